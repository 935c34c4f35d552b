-- Drops the core tables. The runner counts the rows that would be lost and asks first. The roles stay: they belong to the cluster and another database may use them.
-- The extensions and the schema extensions stay as well: others may use them.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

do $auth$
begin
  if obj_description('auth'::regnamespace) like 'JARVIS%' then
    drop table auth.users;
    drop function auth.uid(), auth.role(), auth.jwt();
    drop schema auth;
  end if;
end
$auth$;

drop function public.log_member_visit;
drop table jarvis.consent_ledger, public.member_visits, public.member_preferences, public.member_fitness_profile,
  jarvis.kiosk_pairing_codes, public.kiosks, public.gym_members_v2, public.users, public.gyms;
drop function jarvis.has_consent, jarvis.require_consent, jarvis.consent_given, jarvis.append_only(), jarvis.order_consent(),
  jarvis.count_visit(),
  jarvis.may_touch, jarvis.is_elsewhere, jarvis.my_gyms, jarvis.is_super_admin, jarvis.active_uid, jarvis.fill_gym_id(),
  jarvis.touch_updated_at(), jarvis.actor, jarvis.current_gym, jarvis.request_role, jarvis.uid, jarvis.claims, jarvis.fold;
drop text search configuration public.fr;
drop text search configuration public.en;
drop schema jarvis;
revoke usage on schema public from jarvis_server, jarvis_system, jarvis_policy, jarvis_writer;
