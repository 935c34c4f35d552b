-- Retention as it was. What was forgotten may be read again.
set local lock_timeout = '10s';

grant create on schema jarvis to jarvis_writer;
select set_config('jarvis.migrating_role', current_user, true);
set local role jarvis_writer;
create or replace function jarvis.expire(at timestamptz, unasked boolean default false) returns table (subject text, days integer, gone bigint)
  language plpgsql security definer set search_path = ''
  as $$
declare
  until timestamptz;
  begun timestamptz;
  ids uuid[];
begin
  if jarvis.request_role() <> 'jarvis_system' then
    raise exception using errcode = '42501', message = 'only the system applies retention';
  end if;
  for subject, days, begun in select p.subject, p.days, p.begun_at from jarvis.retention_periods p order by p.subject loop
    until := at - make_interval(days => days);
    gone := 0;
    if unasked and until < begun then
      return next;
      continue;
    end if;
    case subject
      when 'events' then
        delete from public.conversation_events e
         where e."timestamp" < until
           and not exists (select from public.conversation_sessions s
                            where s.gym_id = e.gym_id and s.session_id = e.session_id and s.state in ('open', 'closing'));
        get diagnostics gone = row_count;
      when 'summaries' then
        delete from public.conversation_summaries s where s.created_at < until;
        get diagnostics gone = row_count;
        update public.conversation_sessions s set state = 'empty', state_reason = 'retention'
         where s.state = 'processed' and s.started_at < until
           and not exists (select from public.conversation_summaries c where c.gym_id = s.gym_id and c.session_id = s.session_id);
      when 'windows' then
        if to_regclass('jarvis.memory_windows') is not null then
          execute 'delete from jarvis.memory_windows where said_at < $1' using until;
          get diagnostics gone = row_count;
        end if;
      when 'health_facts', 'facts' then
        delete from jarvis.member_fact_history h
         using public.member_facts f
         where h.gym_id = f.gym_id and h.fact_id = f.id and coalesce(f.last_confirmed_at, f.updated_at) < until
           and jarvis.is_health_fact(f.category, f.fact_key, f.fact_value, f.slot) = (subject = 'health_facts')
           and (subject = 'facts' or not f.is_active or f.expires_at < at);
        with expired as (
          delete from public.member_facts f
           where coalesce(f.last_confirmed_at, f.updated_at) < until
             and jarvis.is_health_fact(f.category, f.fact_key, f.fact_value, f.slot) = (subject = 'health_facts')
             and (subject = 'facts' or not f.is_active or f.expires_at < at)
          returning f.id
        )
        select array_agg(expired.id) into ids from expired;
        gone := coalesce(cardinality(ids), 0);
        -- Its going was entered in the history, with what it was.
        delete from jarvis.member_fact_history h where h.fact_id = any (ids);
      when 'fact_history' then
        delete from jarvis.member_fact_history h
         where h.recorded_at < until and (h.valid_to is not null or h.valid_from is null);
        get diagnostics gone = row_count;
      when 'alerts' then
        delete from public.manager_alerts a
         where a.status in ('resolved', 'dismissed') and coalesce(a.resolved_at, a.updated_at) < until;
        get diagnostics gone = row_count;
      when 'audit' then
        perform set_config('jarvis.purge', 'on', true);
        delete from jarvis.audit_log l where l.recorded_at < until;
        get diagnostics gone = row_count;
        perform set_config('jarvis.purge', '', true);
      when 'analytics_history' then
        delete from jarvis.member_analytics_history h where h.day < until::date;
        get diagnostics gone = row_count;
      when 'reports' then
        delete from public.insights_reports r where r.generated_at < until;
        get diagnostics gone = row_count;
      when 'held_imports' then
        if to_regclass('jarvis.legacy_held') is not null then
          delete from jarvis.legacy_held h where h.held_at < until;
          get diagnostics gone = row_count;
        end if;
      else
        raise exception using errcode = 'JR001', message = 'retention_subject_unknown', detail = subject;
    end case;
    return next;
  end loop;
end
$$;

select set_config('role', current_setting('jarvis.migrating_role'), true);
revoke create on schema jarvis from jarvis_writer;
drop function jarvis.is_restricted(uuid, uuid), jarvis.fact_marks(uuid, text, text, text[]);
drop table jarvis.forgotten_facts;
delete from jarvis.data_map where schema_name = 'jarvis' and table_name = 'forgotten_facts';
