-- Two gyms with equal badges and equal names. Gym A has two members with a full life and a bare one, gym B three and
-- a bare one, so that a count says whose rows were seen: 2 is A's, 3 is B's, 5 is both.

insert into public.gyms (id, name, slug) values
  ('aaaaaaaa-0000-7000-8000-000000000000', 'Salle du Canal', 'canal'),
  ('bbbbbbbb-0000-7000-8000-000000000000', 'Salle du Canal', 'canal-2');

insert into public.users (id, email, full_name, role, gym_access, is_active) values
  ('00000000-0000-7000-8000-0000000000a1', 'staff-a@exemple.fr', 'Accueil A', 'gym_staff',
   array['aaaaaaaa-0000-7000-8000-000000000000']::uuid[], true),
  ('00000000-0000-7000-8000-0000000000a2', 'manager-a@exemple.fr', 'Responsable A', 'gym_manager',
   array['aaaaaaaa-0000-7000-8000-000000000000']::uuid[], true),
  ('00000000-0000-7000-8000-0000000000a3', 'inactive-a@exemple.fr', 'Ancienne A', 'gym_manager',
   array['aaaaaaaa-0000-7000-8000-000000000000']::uuid[], false),
  ('00000000-0000-7000-8000-0000000000ab', 'manager-ab@exemple.fr', 'Responsable AB', 'gym_manager',
   array['aaaaaaaa-0000-7000-8000-000000000000', 'bbbbbbbb-0000-7000-8000-000000000000']::uuid[], true),
  ('00000000-0000-7000-8000-0000000000b2', 'manager-b@exemple.fr', 'Responsable B', 'gym_manager',
   array['bbbbbbbb-0000-7000-8000-000000000000']::uuid[], true),
  ('00000000-0000-7000-8000-0000000000ff', 'super@exemple.fr', 'Opérateur', 'super_admin', '{}', true);
insert into auth.users (id, email) select id, email from public.users;

create schema world;
-- Letter a or b, number 1 to 3; number 9 is the member without any row of their own.
create table world.people as
select letter, n, g.id as gym_id,
       (repeat(letter, 8) || '-0000-7000-8000-00000000000' || n)::uuid as member_id,
       'session-' || letter || n as session_id,
       (repeat(letter, 8) || '-0000-7000-8000-00000000010' || n)::uuid as kiosk_id
  from (values ('a', 1), ('a', 2), ('a', 9), ('b', 1), ('b', 2), ('b', 3), ('b', 9)) as p (letter, n)
  join public.gyms g on g.slug = case letter when 'a' then 'canal' else 'canal-2' end;

insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name, date_of_birth)
select member_id, gym_id, 'BADGE_00' || n, 'Camille', 'Martin', '1990-05-17' from world.people;
insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, source)
select gym_id, member_id, purpose, true, 'import'
  from world.people, unnest(array['memory', 'health_memory', 'share_with_staff']) as purpose;

create view world.full_lives as select * from world.people where n <> 9;
insert into public.kiosks (id, gym_id, name, slug) select kiosk_id, gym_id, 'Borne ' || n, 'borne-' || n from world.full_lives;
insert into jarvis.kiosk_pairing_codes (code_hash, gym_id, kiosk_id, expires_at)
select sha256(session_id::bytea), gym_id, kiosk_id, now() + interval '10 minutes' from world.full_lives;
insert into jarvis.api_keys (kind, name, shown, key_hash) values ('publishable', 'Site', 'sb_publishable_x…', sha256('world'));
insert into jarvis.auth_sessions (id, user_id) select gen_random_uuid(), id from public.users;
insert into jarvis.refresh_tokens (token_hash, session_id) select sha256(id::text::bytea), id from jarvis.auth_sessions;
insert into public.member_fitness_profile (member_id, gym_id) select member_id, gym_id from world.full_lives;
insert into public.member_preferences (member_id, gym_id) select member_id, gym_id from world.full_lives;
insert into public.member_visits (member_id, gym_id) select member_id, gym_id from world.full_lives;
insert into public.conversation_sessions (session_id, gym_id, kiosk_id, member_id)
select session_id, gym_id, kiosk_id, member_id from world.full_lives;
insert into public.conversation_events (session_id, gym_id, member_id, event_type, transcript)
select session_id, gym_id, member_id, 'user_transcript', 'J''ai mal au genou droit depuis janvier' from world.full_lives;
insert into jarvis.memory_windows (event_id, session_id, gym_id, member_id, speaker, said, said_at, search)
select id, session_id, gym_id, member_id, 'member', transcript, "timestamp", to_tsvector('public.fr', transcript)
  from public.conversation_events;
insert into public.member_facts (member_id, gym_id, category, fact_key, fact_value, source_session_id, source_quote)
select member_id, gym_id, f.category, f.fact_key, f.fact_value, session_id, 'mal au genou droit'
  from world.full_lives,
       (values ('injury', 'knee_pain', '{"location": "right_knee"}'::jsonb),
               ('goal', 'weight', '{"kind": "weight_loss"}'::jsonb)) as f (category, fact_key, fact_value);
insert into jarvis.fact_endings (gym_id, member_id, fact_id) select gym_id, member_id, id from public.member_facts where category = 'injury';
insert into jarvis.fact_proposals (gym_id, member_id, first_fact, other_fact, reason)
select i.gym_id, i.member_id, least(i.id, g.id), greatest(i.id, g.id), 'same_value'
  from public.member_facts i join public.member_facts g using (gym_id, member_id) where i.category = 'injury' and g.category = 'goal';
insert into jarvis.forgotten_facts (gym_id, member_id, mark, forgotten_at)
select gym_id, member_id, encode(sha256(session_id::bytea), 'hex'), now() from world.full_lives;
insert into public.conversation_summaries (session_id, member_id, gym_id, summary_text, embedding, embedding_model)
select session_id, member_id, gym_id, 'Genou droit douloureux.', v.embedding, 'e5-use-multilingual'
  from world.full_lives, (select array_agg(case i when 1 then 1.0 else 0.0 end)::extensions.vector as embedding
                            from generate_series(1, 1536) as i) as v;
insert into public.member_analytics (member_id, gym_id) select member_id, gym_id from world.full_lives;
insert into public.manager_alerts (gym_id, member_id, alert_type, title)
select gym_id, member_id, 'inactivity', 'Absence' from world.full_lives;
insert into public.insights_reports (gym_id, report_type, title, period_start, period_end)
select gym_id, 'daily_summary', 'Jour', now() - n * interval '1 day', now() from world.full_lives;
insert into jarvis.jobs (kind, gym_id) select 'test.world', gym_id from world.full_lives;
insert into jarvis.price_book (model, unit, valid_from, usd_per_million, source) values ('modèle', 'input_token', now(), 1, 'test');
insert into jarvis.usage_ledger (gym_id, provider, model, input_tokens, output_tokens)
select gym_id, 'test', 'modèle', 1, 1 from world.full_lives;
insert into jarvis.audit_log (gym_id, action, entity, member_id) select gym_id, 'fact.read', 'member_fact', member_id from world.full_lives;
insert into jarvis.adoptions (id, embedding_model) values ('ad000000-0000-4000-8000-000000000001', 'text-embedding-3-small');
insert into jarvis.adoption_tables (adoption_id, table_name, found, kept, held, changed)
values ('ad000000-0000-4000-8000-000000000001', 'gyms', 1, 1, 0, 0);
insert into jarvis.adoption_remains (adoption_id, gym_id, member_id, table_name, column_name, value, reason)
select 'ad000000-0000-4000-8000-000000000001', gym_id, member_id, 'gym_members_v2', 'phone', '"?"', 'check' from world.full_lives;
insert into jarvis.adopted_members (adoption_id, gym_id, member_id)
select 'ad000000-0000-4000-8000-000000000001', gym_id, member_id from world.full_lives;
insert into jarvis.erasures (gym_id, member_id) select gym_id, gen_random_uuid() from world.full_lives;
insert into jarvis.legacy_rows (source_table, source_id, fingerprint, outcome, gym_id, member_id, cells)
select 'gym_members', 'predecessor-' || letter || n, 'x', 'imported', gym_id, member_id, '{"name": {"o": "kept"}}' from world.full_lives;
insert into jarvis.legacy_held (gym_id, member_id, source_table, source_id, source_column, kind, reason, content)
select gym_id, member_id, 'gym_members', 'predecessor-' || letter || n, 'notes', 'value', 'no_place', '"genou"' from world.full_lives;
