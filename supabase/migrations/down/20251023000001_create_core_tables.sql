-- Drops the core tables. The roles stay: they belong to the cluster and another database may use them.
-- The extensions and the schema extensions stay as well: others may use them.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

do $rows$
declare
  lost text;
  filled boolean;
begin
  foreach lost in array array['public.gyms', 'public.users', 'public.kiosks', 'public.gym_members_v2',
                            'public.member_fitness_profile', 'public.member_preferences', 'public.member_visits',
                            'jarvis.consent_ledger', 'jarvis.kiosk_pairing_codes'] loop
    execute format('select exists (select from %s)', lost) into filled;
    if filled and coalesce(current_setting('jarvis.allow_data_loss', true), '') <> 'on' then
      raise exception using errcode = 'JD001', message = 'data_would_be_lost', detail = lost,
        hint = 'Cette migration efface des lignes : ajoutez --allow-data-loss si c''est voulu.';
    end if;
  end loop;
end
$rows$;

do $auth$
declare
  filled boolean;
begin
  if obj_description('auth'::regnamespace) like 'JARVIS%' then
    execute 'select exists (select from auth.users)' into filled;
    if filled and coalesce(current_setting('jarvis.allow_data_loss', true), '') <> 'on' then
      raise exception using errcode = 'JD001', message = 'data_would_be_lost', detail = 'auth.users',
        hint = 'Cette migration efface des lignes : ajoutez --allow-data-loss si c''est voulu.';
    end if;
    drop table auth.users;
    drop function auth.uid(), auth.role(), auth.jwt();
    drop schema auth;
  end if;
end
$auth$;

drop function public.log_member_visit;
drop table jarvis.consent_ledger, public.member_visits, public.member_preferences, public.member_fitness_profile,
  jarvis.kiosk_pairing_codes, public.kiosks, public.gym_members_v2, public.users, public.gyms;
drop function jarvis.has_consent, jarvis.require_consent, jarvis.consent_given, jarvis.append_only(), jarvis.count_visit(),
  jarvis.may_touch, jarvis.my_gyms, jarvis.is_super_admin, jarvis.active_uid, jarvis.fill_gym_id(),
  jarvis.touch_updated_at(), jarvis.actor, jarvis.current_gym, jarvis.request_role, jarvis.uid, jarvis.claims, jarvis.fold;
drop text search configuration public.fr;
drop text search configuration public.en;
drop schema jarvis;
revoke usage on schema public from jarvis_server, jarvis_system, jarvis_policy, jarvis_writer;
