-- Who may do what. Row level security is enabled and forced where each table is made; here are the policies (36 for
-- people and 9 for the server on the nine tables, then those of the supporting tables), the grants and the data map.
-- Policies call jarvis.my_gyms in a sub-select, so that it runs once per statement and not once per row.

set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

-- ---------------------------------------------------------------------------------------------------------------
-- 36 policies for people: nine tables, four verbs. No identity never means more rights: anon has none.
-- ---------------------------------------------------------------------------------------------------------------
-- gym_members_v2
create policy people_select on public.gym_members_v2 for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.gym_members_v2 for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_update on public.gym_members_v2 for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_delete on public.gym_members_v2 for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- member_fitness_profile
create policy people_select on public.member_fitness_profile for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.member_fitness_profile for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_update on public.member_fitness_profile for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_delete on public.member_fitness_profile for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- member_preferences
create policy people_select on public.member_preferences for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.member_preferences for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_update on public.member_preferences for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_delete on public.member_preferences for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- member_facts
create policy people_select on public.member_facts for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[])
         or (gym_id = any ((select jarvis.my_gyms(array['gym_staff']))::uuid[])
             and not jarvis.is_health_fact(category, fact_key, fact_value, slot)));
create policy people_insert on public.member_facts for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_update on public.member_facts for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.member_facts for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- conversation_summaries
create policy people_select on public.conversation_summaries for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[])
         or (gym_id = any ((select jarvis.my_gyms(array['gym_staff']))::uuid[]) and not tells_health));
create policy people_insert on public.conversation_summaries for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_update on public.conversation_summaries for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.conversation_summaries for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- conversation_events
create policy people_select on public.conversation_events for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_insert on public.conversation_events for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_update on public.conversation_events for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.conversation_events for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- member_analytics
create policy people_select on public.member_analytics for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.member_analytics for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_update on public.member_analytics for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.member_analytics for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- manager_alerts
create policy people_select on public.manager_alerts for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.manager_alerts for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_update on public.manager_alerts for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_delete on public.manager_alerts for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- insights_reports
create policy people_select on public.insights_reports for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.insights_reports for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_update on public.insights_reports for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.insights_reports for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- ---------------------------------------------------------------------------------------------------------------
-- 9 policies for our server: one gym per transaction; without app.gym_id, no row.
-- ---------------------------------------------------------------------------------------------------------------
create policy server_all on public.gym_members_v2 for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.member_fitness_profile for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.member_preferences for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.member_facts for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.conversation_summaries for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.conversation_events for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.member_analytics for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.manager_alerts for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.insights_reports for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));

-- ---------------------------------------------------------------------------------------------------------------
-- Supporting tables
-- ---------------------------------------------------------------------------------------------------------------
-- gyms
create policy people_select on public.gyms for select to authenticated
  using (id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.gyms for insert to authenticated
  with check ((select jarvis.is_super_admin()));
create policy people_update on public.gyms for update to authenticated
  using (id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.gyms for delete to authenticated
  using ((select jarvis.is_super_admin()));

-- users: oneself, and the colleagues of the gyms one manages; only a super admin changes rights
create policy people_select on public.users for select to authenticated
  using (id = (select jarvis.active_uid()) or (select jarvis.is_super_admin())
         or gym_access && (select jarvis.my_gyms(array['gym_manager']))::uuid[]);
create policy people_insert on public.users for insert to authenticated
  with check ((select jarvis.is_super_admin()));
create policy people_update on public.users for update to authenticated
  using ((select jarvis.is_super_admin()))
  with check ((select jarvis.is_super_admin()));
create policy people_delete on public.users for delete to authenticated
  using ((select jarvis.is_super_admin()));

-- kiosks
create policy people_select on public.kiosks for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.kiosks for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_update on public.kiosks for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.kiosks for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- conversation_sessions
create policy people_select on public.conversation_sessions for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.conversation_sessions for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_update on public.conversation_sessions for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.conversation_sessions for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- member_visits
create policy people_select on public.member_visits for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_insert on public.member_visits for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy people_update on public.member_visits for update to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy people_delete on public.member_visits for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- A vector tells what its summary tells: staff see those of the summaries they may read.
create policy people_select on jarvis.summary_vectors for select to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[])
         or (gym_id = any ((select jarvis.my_gyms(array['gym_staff']))::uuid[])
             and exists (select from public.conversation_summaries s
                          where s.gym_id = summary_vectors.gym_id and s.id = summary_vectors.summary_id)));

-- The server, one gym
create policy server_select on public.gyms for select to jarvis_server using (id = (select jarvis.current_gym()));
create policy server_update on public.gyms for update to jarvis_server
  using (id = (select jarvis.current_gym())) with check (id = (select jarvis.current_gym()));
create policy server_all on public.kiosks for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.conversation_sessions for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_all on public.member_visits for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
create policy server_select on jarvis.consent_ledger for select to jarvis_server
  using (gym_id = (select jarvis.current_gym()));
create policy server_insert on jarvis.consent_ledger for insert to jarvis_server
  with check (gym_id = (select jarvis.current_gym()));
create policy server_select on jarvis.member_fact_history for select to jarvis_server
  using (gym_id = (select jarvis.current_gym()));
create policy server_select on jarvis.member_analytics_history for select to jarvis_server
  using (gym_id = (select jarvis.current_gym()));
create policy server_select on jarvis.summary_vectors for select to jarvis_server
  using (gym_id = (select jarvis.current_gym()));
create policy server_select on jarvis.embedding_models for select to jarvis_server using (true);

-- What needs all gyms: signing in, finding a kiosk, closing orphans
create policy system_select on public.gyms for select to jarvis_system using (true);
create policy system_select on public.users for select to jarvis_system using (true);
create policy system_select on public.kiosks for select to jarvis_system using (true);
create policy system_update on public.kiosks for update to jarvis_system using (true) with check (true);
create policy system_select on public.conversation_sessions for select to jarvis_system using (true);
create policy system_update on public.conversation_sessions for update to jarvis_system using (true) with check (true);
create policy system_all on jarvis.kiosk_pairing_codes for all to jarvis_system using (true) with check (true);
create policy system_select on jarvis.embedding_models for select to jarvis_system using (true);

-- ---------------------------------------------------------------------------------------------------------------
-- Grants, exactly. A platform's default privileges gave everything to everybody: each table took that back where
-- it was made.
-- ---------------------------------------------------------------------------------------------------------------
grant select, insert, update, delete on
  public.gym_members_v2, public.member_fitness_profile, public.member_preferences, public.member_facts,
  public.conversation_summaries, public.conversation_events, public.member_analytics, public.manager_alerts,
  public.insights_reports, public.conversation_sessions, public.member_visits
  to jarvis_server, service_role;
grant select, insert, update, delete on public.gyms, public.users, public.kiosks to service_role;
grant select, insert, update on public.kiosks to jarvis_server;
grant select, update (name, timezone, locale, opening_hours, embedding_model) on public.gyms to jarvis_server;
grant select, insert on jarvis.consent_ledger to jarvis_server, service_role;
grant select on jarvis.member_fact_history, jarvis.member_analytics_history, jarvis.summary_vectors,
  jarvis.embedding_models to jarvis_server, service_role;

grant select, insert, update, delete on
  public.gym_members_v2, public.member_fitness_profile, public.member_preferences, public.member_facts,
  public.conversation_events, public.member_analytics, public.manager_alerts, public.insights_reports,
  public.kiosks, public.conversation_sessions, public.member_visits, public.users
  to authenticated;
grant select, insert, delete, update (name, timezone, locale, opening_hours) on public.gyms to authenticated;
-- An embedding can be turned back into text: people read everything but it.
grant insert, update, delete,
  select (id, session_id, member_id, gym_id, summary_text, key_topics, sentiment, sentiment_score, embedding_model,
          language, written_by, tells_health, session_duration_seconds, turn_count, created_at, search)
  on public.conversation_summaries to authenticated;
grant select on jarvis.summary_vectors to authenticated;

grant select on public.gyms, public.users, public.kiosks, public.conversation_sessions, jarvis.embedding_models
  to jarvis_system;
grant update (status, last_seen_at, public_key, paired_at, revoked_at) on public.kiosks to jarvis_system;
grant update (state, state_reason, end_reason, ended_at, last_error) on public.conversation_sessions to jarvis_system;
grant select, insert, update, delete on jarvis.kiosk_pairing_codes to jarvis_system;

do $auth$
begin
  if obj_description('auth'::regnamespace) like 'JARVIS%' then
    grant select, update (last_sign_in_at) on auth.users to jarvis_system;
    grant select, insert, update, delete on auth.users to service_role;
    create policy system_select on auth.users for select to jarvis_system using (true);
    create policy system_update on auth.users for update to jarvis_system using (true) with check (true);
  end if;
end
$auth$;

-- ---------------------------------------------------------------------------------------------------------------
-- Data map: every column, its class, how long it is kept, whether a member takes it away, how it is erased
-- ---------------------------------------------------------------------------------------------------------------
create table jarvis.data_map (
  schema_name text not null,
  table_name  text not null,
  column_name text not null check (column_name <> '*'),
  class       text not null check (class in ('public', 'personal', 'health', 'secret')),
  retention   text not null check (btrim(retention) <> ''),
  in_export   boolean not null,
  erased_how  text not null check (btrim(erased_how) <> ''),
  primary key (schema_name, table_name, column_name)
);
alter table jarvis.data_map enable row level security;
alter table jarvis.data_map force row level security;
revoke all on jarvis.data_map from public, anon, authenticated, service_role;
comment on table jarvis.data_map is 'Carte des données : chaque colonne, sa classe, sa durée, son export, son effacement.';
comment on column jarvis.data_map.schema_name is 'Schéma.';
comment on column jarvis.data_map.table_name is 'Table.';
comment on column jarvis.data_map.column_name is 'Colonne.';
comment on column jarvis.data_map.class is 'public, personal, health ou secret.';
comment on column jarvis.data_map.retention is 'Durée de conservation.';
comment on column jarvis.data_map.in_export is 'Fait partie de ce qu''un membre emporte.';
comment on column jarvis.data_map.erased_how is 'Comment la colonne est effacée.';
create policy server_select on jarvis.data_map for select to jarvis_server using (true);
create policy system_select on jarvis.data_map for select to jarvis_system using (true);
grant select on jarvis.data_map to jarvis_server, jarvis_system, service_role;

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how) values
  ('public', 'gyms', 'id', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'name', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'slug', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'timezone', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'locale', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'opening_hours', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'status', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'embedding_model', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'created_at', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'gyms', 'updated_at', 'public', 'durée du contrat de la salle', false, 'sans objet (aucun membre)'),
  ('public', 'users', 'id', 'personal', 'durée du compte', false, 'avec le compte'),
  ('public', 'users', 'email', 'personal', 'durée du compte', false, 'avec le compte'),
  ('public', 'users', 'full_name', 'personal', 'durée du compte', false, 'avec le compte'),
  ('public', 'users', 'role', 'personal', 'durée du compte', false, 'avec le compte'),
  ('public', 'users', 'gym_access', 'personal', 'durée du compte', false, 'avec le compte'),
  ('public', 'users', 'is_active', 'personal', 'durée du compte', false, 'avec le compte'),
  ('public', 'users', 'created_at', 'personal', 'durée du compte', false, 'avec le compte'),
  ('public', 'users', 'updated_at', 'personal', 'durée du compte', false, 'avec le compte'),
  ('public', 'kiosks', 'id', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'gym_id', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'name', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'slug', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'language', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'public_key', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'status', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'last_seen_at', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'paired_at', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'revoked_at', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'created_at', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('public', 'kiosks', 'updated_at', 'public', 'durée de la borne', false, 'sans objet (aucun membre)'),
  ('jarvis', 'kiosk_pairing_codes', 'code_hash', 'secret', '10 minutes utiles, purge par travail', false, 'sans objet (aucun membre)'),
  ('jarvis', 'kiosk_pairing_codes', 'gym_id', 'secret', '10 minutes utiles, purge par travail', false, 'sans objet (aucun membre)'),
  ('jarvis', 'kiosk_pairing_codes', 'kiosk_id', 'secret', '10 minutes utiles, purge par travail', false, 'sans objet (aucun membre)'),
  ('jarvis', 'kiosk_pairing_codes', 'expires_at', 'secret', '10 minutes utiles, purge par travail', false, 'sans objet (aucun membre)'),
  ('jarvis', 'kiosk_pairing_codes', 'attempts', 'secret', '10 minutes utiles, purge par travail', false, 'sans objet (aucun membre)'),
  ('jarvis', 'kiosk_pairing_codes', 'used_at', 'secret', '10 minutes utiles, purge par travail', false, 'sans objet (aucun membre)'),
  ('jarvis', 'kiosk_pairing_codes', 'created_at', 'secret', '10 minutes utiles, purge par travail', false, 'sans objet (aucun membre)'),
  ('public', 'gym_members_v2', 'id', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'gym_id', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'badge_id', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'first_name', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'last_name', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'email', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'phone', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'date_of_birth', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'gender', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'profile_photo_url', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'membership_type', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'member_since', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'membership_expires', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'is_active', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'last_visit', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'total_visits', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'can_use_jarvis', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'member_notes', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'created_at', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'gym_members_v2', 'updated_at', 'personal', 'durée de l''abonnement', true, 'effacement du membre'),
  ('public', 'member_fitness_profile', 'member_id', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'gym_id', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'height_cm', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'current_weight_kg', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'target_weight_kg', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'body_fat_percentage', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'fitness_level', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'primary_goals', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'target_date', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'preferred_workout_times', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'workout_frequency_per_week', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'preferred_workout_duration', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'preferred_workout_style', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'created_at', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_fitness_profile', 'updated_at', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_preferences', 'member_id', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_preferences', 'gym_id', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_preferences', 'communication_style', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_preferences', 'feedback_style', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_preferences', 'language', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_preferences', 'voice_preference', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_preferences', 'created_at', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_preferences', 'updated_at', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_visits', 'id', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('public', 'member_visits', 'gym_id', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('public', 'member_visits', 'member_id', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('public', 'member_visits', 'visited_at', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('public', 'member_visits', 'source', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('public', 'member_visits', 'quantity', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('public', 'member_visits', 'created_at', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'id', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'seq', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'gym_id', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'member_id', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'purpose', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'granted', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'by_guardian', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'statement_version', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'source', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'actor', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('jarvis', 'consent_ledger', 'recorded_at', 'personal', '3 ans après l''effacement des données visées', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'session_id', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'gym_id', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'kiosk_id', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'member_id', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'channel', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'language', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'state', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'state_reason', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'end_reason', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'started_at', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'last_event_at', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'ended_at', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'processed_at', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'attempts', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'last_error', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'notes', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'withheld_health_spans', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'facts_rejected', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'extractor', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'usage', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'cost_total', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'disclosure_version', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'created_at', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_sessions', 'updated_at', 'personal', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'id', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'session_id', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'member_id', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'gym_id', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'event_type', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'transcript', 'health', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'tool_name', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'tool_args', 'health', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'tool_result', 'health', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'turn_number', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'audio_duration_ms', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'confidence_score', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'timestamp', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'provider_event_id', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'received_at', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'conversation_events', 'created_at', 'personal', '90 jours', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'id', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'member_id', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'gym_id', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'category', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'fact_key', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'fact_value', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'confidence', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'source_session_id', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'source_quote', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'source_event_id', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'is_active', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'expires_at', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'slot', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'verified', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'last_confirmed_at', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'times_confirmed', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'created_at', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('public', 'member_facts', 'updated_at', 'health', '24 mois ; santé 6 mois sauf confirmation', true, 'avec le membre (cascade)'),
  ('jarvis', 'member_fact_history', 'id', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'fact_id', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'gym_id', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'member_id', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'category', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'fact_key', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'operation', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'refusal_code', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'old', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'new', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'session_id', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'actor', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'valid_from', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'valid_to', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'superseded_by', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('jarvis', 'member_fact_history', 'recorded_at', 'health', '24 mois', true, 'avec le membre (cascade) ; oubli d''un fait'),
  ('public', 'conversation_summaries', 'id', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'session_id', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'member_id', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'gym_id', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'summary_text', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'key_topics', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'sentiment', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'sentiment_score', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'embedding', 'health', '12 mois', false, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'embedding_model', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'language', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'written_by', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'tells_health', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'session_duration_seconds', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'turn_count', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'created_at', 'health', '12 mois', true, 'avec le membre (cascade)'),
  ('public', 'conversation_summaries', 'search', 'health', '12 mois', false, 'avec le membre (cascade)'),
  ('jarvis', 'embedding_models', 'model', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'embedding_models', 'a', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'embedding_models', 'c', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'embedding_models', 'dimensions', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'embedding_models', 'note', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'summary_vectors', 'summary_id', 'health', '12 mois', false, 'avec le membre (cascade)'),
  ('jarvis', 'summary_vectors', 'gym_id', 'health', '12 mois', false, 'avec le membre (cascade)'),
  ('jarvis', 'summary_vectors', 'member_id', 'health', '12 mois', false, 'avec le membre (cascade)'),
  ('jarvis', 'summary_vectors', 'model', 'health', '12 mois', false, 'avec le membre (cascade)'),
  ('jarvis', 'summary_vectors', 'created_at', 'health', '12 mois', false, 'avec le membre (cascade)'),
  ('jarvis', 'summary_vectors', 'emb', 'health', '12 mois', false, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'member_id', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'gym_id', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'total_conversations', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'total_sessions', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'avg_session_duration_seconds', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'last_interaction_at', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'visits_30d', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'visit_frequency_per_week', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'days_since_last_visit', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'conversation_frequency', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'preferred_days_of_week', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'preferred_time_of_day', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'avg_sentiment_score', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'sentiment_trend', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'engagement_score', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'churn_risk_score', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'churn_risk_level', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'churn_factors', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'churn_model', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'last_churn_analysis_at', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'active_goals_count', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'goals_achievement_rate', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('public', 'member_analytics', 'updated_at', 'personal', 'durée de l''abonnement', true, 'avec le membre (cascade)'),
  ('jarvis', 'member_analytics_history', 'gym_id', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('jarvis', 'member_analytics_history', 'member_id', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('jarvis', 'member_analytics_history', 'day', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('jarvis', 'member_analytics_history', 'data', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('jarvis', 'member_analytics_history', 'source', 'personal', '3 ans', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'id', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'gym_id', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'member_id', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'alert_type', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'priority', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'status', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'title', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'description', 'health', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'recommended_actions', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'context', 'health', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'dedup_key', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'occurrences', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'snoozed_until', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'assigned_to', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'resolved_by', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'resolved_at', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'resolution_notes', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'outcome', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'created_at', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'manager_alerts', 'updated_at', 'personal', '12 mois après résolution', true, 'avec le membre (cascade)'),
  ('public', 'insights_reports', 'id', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'gym_id', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'report_type', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'title', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'summary', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'insights', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'metrics', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'recommendations', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'period_start', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'period_end', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('public', 'insights_reports', 'generated_at', 'public', '36 mois', false, 'sans objet (chiffres de groupe)'),
  ('jarvis', 'data_map', 'schema_name', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'data_map', 'table_name', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'data_map', 'column_name', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'data_map', 'class', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'data_map', 'retention', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'data_map', 'in_export', 'public', 'sans limite', false, 'sans objet (aucun membre)'),
  ('jarvis', 'data_map', 'erased_how', 'public', 'sans limite', false, 'sans objet (aucun membre)');

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select * from (values
  ('auth', 'users', 'id', 'personal', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'email', 'personal', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'encrypted_password', 'secret', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'email_confirmed_at', 'personal', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'last_sign_in_at', 'personal', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'banned_until', 'personal', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'raw_app_meta_data', 'personal', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'raw_user_meta_data', 'personal', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'created_at', 'personal', 'durée du compte', false, 'avec le compte'),
  ('auth', 'users', 'updated_at', 'personal', 'durée du compte', false, 'avec le compte')
) as identity (schema_name, table_name, column_name, class, retention, in_export, erased_how)
where obj_description('auth'::regnamespace) like 'JARVIS%';
