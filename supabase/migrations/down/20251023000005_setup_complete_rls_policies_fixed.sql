-- Takes back the policies and the grants: afterwards nobody but the owner and service roles of the platform reads anything.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

drop table jarvis.data_map;

do $policies$
declare
  made record;
begin
  for made in
    select p.polname, c.oid::regclass as on_table
      from pg_catalog.pg_policy p
      join pg_catalog.pg_class c on c.oid = p.polrelid
     where (p.polname in ('people_select', 'people_insert', 'people_update', 'people_delete', 'server_all')
            and c.oid in (select r.oid from pg_catalog.pg_class r join pg_catalog.pg_namespace n on n.oid = r.relnamespace
                           where n.nspname = 'public'
                             and r.relname in ('gyms', 'users', 'kiosks', 'gym_members_v2', 'member_fitness_profile',
                                               'member_preferences', 'member_visits', 'member_facts',
                                               'conversation_summaries', 'conversation_events', 'conversation_sessions',
                                               'member_analytics', 'manager_alerts', 'insights_reports')))
        or (p.polname in ('server_select', 'server_insert', 'server_update', 'system_select', 'system_update')
            and c.relnamespace in ('public'::regnamespace, 'jarvis'::regnamespace, 'auth'::regnamespace)
            and c.relname <> 'jobs')
        or c.oid in ('jarvis.kiosk_pairing_codes'::regclass, 'jarvis.summary_vectors'::regclass)
  loop
    execute format('drop policy %I on %s', made.polname, made.on_table);
  end loop;
end
$policies$;

revoke all on
  public.gyms, public.users, public.kiosks, public.gym_members_v2, public.member_fitness_profile,
  public.member_preferences, public.member_visits, public.member_facts, public.conversation_summaries,
  public.conversation_events, public.conversation_sessions, public.member_analytics, public.manager_alerts,
  public.insights_reports, jarvis.kiosk_pairing_codes, jarvis.consent_ledger, jarvis.member_fact_history,
  jarvis.member_analytics_history, jarvis.summary_vectors, jarvis.embedding_models
  from authenticated, service_role, jarvis_server, jarvis_system;

do $auth$
begin
  if obj_description('auth'::regnamespace) like 'JARVIS%' then
    revoke all on auth.users from jarvis_system, service_role;
  end if;
end
$auth$;
