-- Who may do what, measured: every persona tries every verb on every table, each try in a savepoint that is undone.

create table world.personas (ord integer primary key, persona text, role text, gym_id text, sub text);
insert into world.personas values
  (1,  'anonymous',         'anon',          '', null),
  (2,  'no claims',         'authenticated', '', null),
  (3,  'stranger',          'authenticated', '', '00000000-0000-7000-8000-00000000dead'),
  (4,  'staff A',           'authenticated', '', '00000000-0000-7000-8000-0000000000a1'),
  (5,  'manager A',         'authenticated', '', '00000000-0000-7000-8000-0000000000a2'),
  (6,  'manager A and B',   'authenticated', '', '00000000-0000-7000-8000-0000000000ab'),
  (7,  'manager B',         'authenticated', '', '00000000-0000-7000-8000-0000000000b2'),
  (8,  'inactive manager',  'authenticated', '', '00000000-0000-7000-8000-0000000000a3'),
  (9,  'super admin',       'authenticated', '', '00000000-0000-7000-8000-0000000000ff'),
  -- A kiosk speaks through our server, in its own gym; a gym setting gives a person nothing.
  (10, 'kiosk A (server)',  'jarvis_server', 'aaaaaaaa-0000-7000-8000-000000000000', null),
  (11, 'server B',          'jarvis_server', 'bbbbbbbb-0000-7000-8000-000000000000', null),
  (12, 'server, no gym',    'jarvis_server', '', null),
  (13, 'no claims, gym A',  'authenticated', 'aaaaaaaa-0000-7000-8000-000000000000', null),
  (14, 'system',            'jarvis_system', '', null),
  (15, 'service role',      'service_role',  '', null),
  (16, 'login itself',      'jarvis_login',  '', null);

insert into jarvis.restrictions (gym_id, member_id) select gym_id, member_id from world.full_lives where n = 3;

-- {g} gym, {m} a member with rows, {n} the bare member, {s} a session, {k} a kiosk.
create table world.probes (ord integer primary key, tab text, ins text, upd text);
insert into world.probes values
  (1,  'public.gym_members_v2', '(gym_id, badge_id, first_name, last_name) values ({g}, ''NEW'', ''Noa'', ''Petit'')', 'member_notes = ''x'''),
  (2,  'public.member_fitness_profile', '(gym_id, member_id) values ({g}, {n})', 'height_cm = 180'),
  (3,  'public.member_preferences', '(gym_id, member_id) values ({g}, {n})', 'voice_preference = ''x'''),
  (4,  'public.member_facts', '(gym_id, member_id, category, fact_key, fact_value) values ({g}, {n}, ''goal'', ''k'', ''{}'')', 'expires_at = ''2100-01-01'''),
  (5,  'public.conversation_summaries', '(gym_id, member_id, session_id, summary_text) values ({g}, {n}, ''new'', ''x'')', 'sentiment = ''neutral'''),
  (6,  'public.conversation_events', '(gym_id, member_id, session_id, event_type) values ({g}, {m}, {s}, ''error'')', 'tool_name = ''x'''),
  (7,  'public.member_analytics', '(gym_id, member_id) values ({g}, {n})', 'total_sessions = 1'),
  (8,  'public.manager_alerts', '(gym_id, alert_type, title) values ({g}, ''inactivity'', ''x'')', 'outcome = ''x'''),
  (9,  'public.insights_reports', '(gym_id, report_type, title, period_start, period_end) values ({g}, ''weekly_digest'', ''x'', now(), now())', 'summary = ''x'''),
  (10, 'public.gyms', '(name) values (''Salle neuve'')', 'locale = ''fr'''),
  (11, 'public.users', '(id, email, gym_access) values (''00000000-0000-7000-8000-00000000beef'', ''n@exemple.fr'', array[{g}]::uuid[])', 'full_name = ''x'''),
  (12, 'public.kiosks', '(gym_id, name, slug) values ({g}, ''x'', ''x'')', 'last_seen_at = now()'),
  (13, 'public.conversation_sessions', '(gym_id, member_id, session_id) values ({g}, {m}, ''new'')', 'end_reason = ''client'''),
  (14, 'public.member_visits', '(gym_id, member_id) values ({g}, {m})', 'source = ''manual'''),
  (15, 'jarvis.kiosk_pairing_codes', '(code_hash, gym_id, kiosk_id, expires_at) values (''\x00'', {g}, {k}, now())', 'attempts = 1'),
  (16, 'jarvis.consent_ledger', '(gym_id, member_id, purpose, granted, source) values ({g}, {m}, ''voice'', true, ''api'')', 'granted = false'),
  (17, 'jarvis.member_fact_history', '(gym_id, member_id, fact_id, category, fact_key, operation) values ({g}, {m}, {m}, ''goal'', ''k'', ''insert'')', 'actor = ''x'''),
  (18, 'jarvis.member_analytics_history', '(gym_id, member_id, day, data) values ({g}, {m}, ''2020-01-01'', ''{}'')', 'source = ''x'''),
  (19, 'jarvis.summary_vectors', '(gym_id, member_id, summary_id, model, created_at, emb) select {g}, {m}, gen_random_uuid(), ''x'', now(), array_fill(0, array[1536])::extensions.halfvec', 'model = ''x'''),
  (20, 'jarvis.embedding_models', '(model, a, c, dimensions) values (''x'', 1, 0, 1)', 'note = ''x'''),
  (21, 'jarvis.data_map', '(schema_name, table_name, column_name, class, retention, in_export, erased_how) values (''x'', ''x'', ''x'', ''public'', ''x'', false, ''x'')', 'retention = ''x'''),
  (22, 'jarvis.jobs', '(kind, gym_id) values (''test.matrix'', {g})', 'run_at = now()'),
  (23, 'jarvis.job_schedules', '(name, last_tick) values (''x'', now())', 'last_tick = now()'),
  (24, 'auth.users', '(email) values (''new@exemple.fr'')', 'last_sign_in_at = now()'),
  (25, 'jarvis.price_book', '(model, unit, valid_from, usd_per_million, source) values (''x'', ''input_token'', now(), 1, ''x'')', 'usd_per_million = 2'),
  (26, 'jarvis.usage_ledger', '(gym_id, provider, model, input_tokens, output_tokens) values ({g}, ''x'', ''x'', 1, 1)', 'cost_usd = 0'),
  (27, 'jarvis.audit_log', '(gym_id, action, entity) values ({g}, ''fact.read'', ''member_fact'')', 'reason = ''x'''),
  (28, 'jarvis.adoptions', '(embedding_model) values (''x'')', 'embedding_model = ''y'''),
  (29, 'jarvis.adoption_tables', '(adoption_id, table_name, found, kept, held, changed) values (gen_random_uuid(), ''x'', 0, 0, 0, 0)', 'changed = 0'),
  (30, 'jarvis.adoption_remains', '(adoption_id, gym_id, member_id, table_name, value, reason) values (gen_random_uuid(), {g}, {m}, ''x'', ''{}'', ''x'')', 'reason = ''y'''),
  (31, 'jarvis.adopted_members', '(gym_id, member_id, adoption_id) values ({g}, {n}, gen_random_uuid())', 'adoption_id = gen_random_uuid()'),
  (40, 'jarvis.legacy_gyms', '(legacy_gym_id, gym_id) values (''x'', {g})', 'stated_at = now()'),
  (41, 'jarvis.legacy_rows', '(source_table, source_id, fingerprint, outcome, gym_id, member_id) values (''gym_members'', ''x'', ''x'', ''imported'', {g}, {m})', 'imported_at = now()'),
  (42, 'jarvis.legacy_held', '(gym_id, member_id, source_table, source_id, source_column, kind, reason, content) values ({g}, {m}, ''gym_members'', ''x'', ''x'', ''value'', ''no_place'', ''{}'')', 'held_at = now()'),
  (51, 'jarvis.restrictions', '(gym_id, member_id) values ({g}, {n})', 'reason = ''x'''),
  (52, 'jarvis.retention_periods', '(subject, days) values (''x'', 1)', 'days = 2'),
  (50, 'jarvis.erasures', '(gym_id, member_id) values ({g}, gen_random_uuid())', 'erased_at = now()'),
  (59, 'jarvis.memory_windows', '(gym_id, member_id, session_id, event_id, speaker, said, said_at, search) values ({g}, {m}, {s}, gen_random_uuid(), ''member'', ''x'', now(), '''')', 'language = ''en'''),
  (60, 'jarvis.fact_slots', '(slot, category, many, lives, health) values (''goal.x'', ''goal'', true, ''1 day'', false)', 'many = false'),
  (62, 'jarvis.fact_proposals', '(gym_id, member_id, first_fact, other_fact, reason) values ({g}, {m}, ''00000000-0000-7000-8000-000000000001'', ''00000000-0000-7000-8000-000000000002'', ''same_slot'')', 'decided_by = ''x'''),
  (63, 'jarvis.fact_endings', '(gym_id, member_id, fact_id) select {g}, {m}, id from public.member_facts where member_id = {m} and category = ''goal''', 'asked_at = now()'),
  (64, 'jarvis.forgotten_facts', '(gym_id, member_id, mark, forgotten_at) values ({g}, {m}, encode(sha256(''new''), ''hex''), now())', 'forgotten_at = now()'),
  (72, 'jarvis.api_keys', '(kind, name, shown, key_hash) values (''secret'', ''x'', ''x'', sha256(''new''))', 'revoked_at = now()'),
  (73, 'jarvis.auth_sessions', '(id, user_id) select gen_random_uuid(), id from public.users limit 1', 'ended_at = now()'),
  (74, 'jarvis.refresh_tokens', '(token_hash, session_id) select sha256(''new''), id from jarvis.auth_sessions limit 1', 'used_at = now()');

create function world.try(who world.personas, statement text) returns text
  language plpgsql as $$
declare
  rows_hit bigint;
begin
  perform set_config('request.jwt.claims', case when who.sub is null then '' else json_build_object('sub', who.sub)::text end, true),
          set_config('app.gym_id', who.gym_id, true), set_config('role', who.role, true);
  if statement like 'select%' then
    execute statement into rows_hit;
  else
    execute statement;
    get diagnostics rows_hit = row_count;
  end if;
  raise exception using errcode = 'UNDO0', message = rows_hit;
exception
  when sqlstate 'UNDO0' then return sqlerrm;
  when insufficient_privilege then return case when sqlerrm like 'permission denied%' then 'denied' else 'refused' end;
  when others then return sqlstate;
end
$$;

create function world.fill(template text, which text) returns text
  language sql as $$
    select replace(replace(replace(replace(replace(template,
             '{g}', quote_literal(p.gym_id)), '{m}', quote_literal(p.member_id)), '{s}', quote_literal(p.session_id)),
             '{k}', quote_literal(p.kiosk_id)), '{n}', quote_literal(bare.member_id))
      from world.people p join world.people bare on bare.letter = p.letter and bare.n = 9
     where p.letter = which and p.n = 1
  $$;

-- Ninety-nine is enough to see: the data map grows with every column.
create function world.matrix(of_table text default null) returns table (line text)
  language plpgsql as $$
declare
  who world.personas;
  probe world.probes;
begin
  for probe in select * from world.probes where of_table is null or tab = of_table order by ord loop
    line := probe.tab;
    return next;
    for who in select * from world.personas order by ord loop
      line := format('  %s select %s insert A %s B %s update %s delete %s', rpad(who.persona, 18),
        rpad(world.try(who, format('select count(*) from (select from %s limit 99) as seen', probe.tab)), 7),
        rpad(world.try(who, format('insert into %s %s', probe.tab, world.fill(probe.ins, 'a'))), 8),
        rpad(world.try(who, format('insert into %s %s', probe.tab, world.fill(probe.ins, 'b'))), 8),
        rpad(world.try(who, format('update %s set %s', probe.tab, probe.upd)), 7),
        world.try(who, format('delete from %s', probe.tab)));
      return next;
    end loop;
  end loop;
end
$$;

-- What the catalogue must never show in our schemas.
create function world.findings() returns table (finding text)
  language sql as $$
    with ours as (
      select c.oid, format('%s.%s', n.nspname, c.relname) as name, c.relrowsecurity, c.relforcerowsecurity
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p') and n.nspname in ('public', 'jarvis', 'auth'))
    select format('row level security is off: %s', name) from ours where not relrowsecurity
    union all
    select format('row level security is not forced: %s', name) from ours where not relforcerowsecurity
    union all
    select format('policy for everybody: %s on %s', p.polname, o.name)
      from pg_policy p join ours o on o.oid = p.polrelid
     where p.polroles = '{0}' or 'anon'::regrole = any (p.polroles)
    union all
    select format('policy not for exactly one of our roles: %s on %s', p.polname, o.name)
      from pg_policy p join ours o on o.oid = p.polrelid
     where cardinality(p.polroles) <> 1
        or not p.polroles <@ array['authenticated', 'jarvis_server', 'jarvis_system']::regrole[]::oid[]
    union all
    select format('writes without check: %s on %s', p.polname, o.name)
      from pg_policy p join ours o on o.oid = p.polrelid where p.polcmd in ('a', 'w', '*') and p.polwithcheck is null
    union all
    select format('the policy reads its own table: %s on %s', p.polname, o.name)
      from pg_policy p join ours o on o.oid = p.polrelid
     where concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
             ~* ('(from|join) +(only +)?([a-z_]+\.)?' || split_part(o.name, '.', 2) || '\M')
    union all
    select format('anybody may use it: %s', o.name)
      from ours o join pg_class c on c.oid = o.oid, aclexplode(c.relacl) as a where a.grantee in (0, 'anon'::regrole)
    union all
    select format('anybody may call it: %s', f.oid::regprocedure)
      from pg_proc f left join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a on true
     where f.pronamespace in ('public'::regnamespace, 'jarvis'::regnamespace)
       and a.grantee in (0, 'anon'::regrole)
       and not exists (select from pg_depend d where d.objid = f.oid and d.deptype = 'e')
    union all
    select format('definer without a pinned path, or of the wrong owner: %s', f.oid::regprocedure)
      from pg_proc f
     where f.prosecdef and f.pronamespace in ('public'::regnamespace, 'jarvis'::regnamespace)
       and (f.proconfig is null or not exists (select from unnest(f.proconfig) as c where c like 'search_path=%')
            or f.proowner not in ('jarvis_policy'::regrole, 'jarvis_writer'::regrole))
    union all
    select format('foreign key between tenants'' tables without gym_id: %s on %s', k.conname, o.name)
      from pg_constraint k join ours o on o.oid = k.conrelid
     where k.contype = 'f' and k.confrelid <> 'public.gyms'::regclass
       -- Who is signed in belongs to a person, and a person may work for several gyms.
       and o.name not in ('jarvis.auth_sessions', 'jarvis.refresh_tokens')
       and not exists (select from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey)
                          and a.attname = 'gym_id')
    union all
    select format('two foreign keys join %s and %s', o.name, k.confrelid::regclass)
      from pg_constraint k join ours o on o.oid = k.conrelid where k.contype = 'f'
     group by o.name, k.confrelid having count(*) > 1
    union all
    select format('owned by a role that serves requests: %s', o.name)
      from ours o join pg_class c on c.oid = o.oid
     where c.relowner::regrole::text in ('jarvis_login', 'jarvis_server', 'jarvis_system', 'authenticated', 'anon')
    union all
    select format('the login inherits %s', m.roleid::regrole)
      from pg_auth_members m where m.member = 'jarvis_login'::regrole and m.inherit_option
  $$;
