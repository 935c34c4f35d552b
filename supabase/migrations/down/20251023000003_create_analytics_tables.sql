-- Drops the analytics tables.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

do $rows$
declare
  lost text;
  filled boolean;
begin
  foreach lost in array array['public.member_analytics', 'public.manager_alerts', 'public.insights_reports',
                            'jarvis.member_analytics_history'] loop
    execute format('select exists (select from %s)', lost) into filled;
    if filled and coalesce(current_setting('jarvis.allow_data_loss', true), '') <> 'on' then
      raise exception using errcode = 'JD001', message = 'data_would_be_lost', detail = lost,
        hint = 'Cette migration efface des lignes : ajoutez --allow-data-loss si c''est voulu.';
    end if;
  end loop;
end
$rows$;

drop table public.insights_reports, public.manager_alerts, jarvis.member_analytics_history, public.member_analytics;
drop function jarvis.keep_analytics_day();
revoke select (timezone) on public.gyms from jarvis_writer;
