-- Privacy of memory: what rests on a consent goes when it is withdrawn, a member's data can be handed out and restricted,
-- who read or changed what is written down by the database itself, and everything has an end.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

grant create on schema jarvis to jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------
-- The data map says on what a column rests. In a table that names a member, whatever says nothing rests on the consent
-- to memory: a new table is cleared with it, not forgotten.
-- ---------------------------------------------------------------------------------------------------------
alter table jarvis.data_map add column rests_on text check (rests_on in ('memory', 'contract'));
comment on column jarvis.data_map.rests_on is
  'memory (effacé au retrait du consentement memory) ou contract ; vide : memory, dans une table qui nomme un membre.';
update jarvis.data_map m set rests_on = 'contract'
 where (m.schema_name, m.table_name) in
         (('public', 'gym_members_v2'), ('public', 'member_fitness_profile'), ('public', 'member_preferences'),
          ('public', 'member_visits'), ('public', 'member_analytics'), ('public', 'manager_alerts'),
          ('public', 'conversation_sessions'), ('jarvis', 'member_analytics_history'), ('jarvis', 'consent_ledger'),
          ('jarvis', 'legacy_rows'), ('jarvis', 'legacy_held'), ('jarvis', 'adoption_remains'),
          ('jarvis', 'adopted_members'), ('jarvis', 'erasures'), ('jarvis', 'audit_log'))
    or (m.table_name = 'conversation_events' and m.column_name not in ('transcript', 'tool_args', 'tool_result'));

-- Every table that names a member, with the column that does.
create function jarvis.member_tables() returns table (tbl regclass, schema_name text, table_name text, member_column text)
  language sql stable set search_path = ''
  as $$
    select c.oid::regclass, n.nspname::text, c.relname::text, a.attname::text
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       and (a.attname = 'member_id' or c.oid = 'public.gym_members_v2'::regclass and a.attname = 'id')
     where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
       and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
       and not exists (select from pg_catalog.pg_depend d
                        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  $$;
comment on function jarvis.member_tables() is 'Tables qui nomment un membre, celles de l''exploitant comprises, et la colonne qui le nomme.';

-- ---------------------------------------------------------------------------------------------------------
-- Restriction (GDPR, article 18): kept, and used for nothing
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.restrictions (
  gym_id      uuid not null default jarvis.current_gym(),
  member_id   uuid not null,
  reason      text check (length(reason) <= 500),
  actor       text not null default jarvis.actor(),
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (gym_id, member_id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
alter table jarvis.restrictions enable row level security;
alter table jarvis.restrictions force row level security;
revoke all on jarvis.restrictions from public, anon, authenticated, service_role;
comment on table jarvis.restrictions is 'Membres dont les données sont gardées sans être employées (RGPD, article 18).';
comment on column jarvis.restrictions.gym_id is 'Salle.';
comment on column jarvis.restrictions.member_id is 'Membre.';
comment on column jarvis.restrictions.reason is 'Motif donné, sans parole du membre.';
comment on column jarvis.restrictions.actor is 'Qui l''a enregistrée.';
comment on column jarvis.restrictions.recorded_at is 'Depuis quand.';
grant select, insert, delete on jarvis.restrictions to jarvis_server;
grant select on jarvis.restrictions to jarvis_system, jarvis_writer;
create policy restrictions_server_select on jarvis.restrictions
  for select to jarvis_server using (gym_id = (select jarvis.current_gym()));
create policy restrictions_server_insert on jarvis.restrictions
  for insert to jarvis_server with check (gym_id = (select jarvis.current_gym()));
create policy restrictions_server_delete on jarvis.restrictions
  for delete to jarvis_server using (gym_id = (select jarvis.current_gym()));
create policy restrictions_system_select on jarvis.restrictions for select to jarvis_system using (true);
-- People see them where they work; managers make and lift them.
grant select, insert, delete on jarvis.restrictions to authenticated;
create policy restrictions_people_select on jarvis.restrictions
  for select to authenticated using (gym_id = any ((select jarvis.my_gyms())::uuid[]));
create policy restrictions_people_insert on jarvis.restrictions
  for insert to authenticated
  with check (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));
create policy restrictions_people_delete on jarvis.restrictions
  for delete to authenticated
  using (gym_id = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]));

-- What the ledger says, restricted or not.
create function jarvis.consent_recorded(gym uuid, member uuid, of_purpose text) returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select coalesce((
      select l.granted
             and (l.by_guardian or of_purpose not in ('voice', 'memory', 'health_memory')
                  or not exists (select from public.gym_members_v2 m
                                  where m.gym_id = gym and m.id = member
                                    and m.date_of_birth > current_date - interval '15 years'))
        from jarvis.consent_ledger l
       where l.gym_id = gym and l.member_id = member and l.purpose = of_purpose
       order by l.recorded_at desc, l.seq desc
       limit 1), false)
  $$;
comment on function jarvis.consent_recorded(uuid, uuid, text) is
  'Dernière réponse du membre (ou de son représentant avant 15 ans), même si ses données sont en limitation (fonctions internes).';
revoke all on function jarvis.consent_recorded(uuid, uuid, text), jarvis.member_tables() from public, anon, authenticated;
grant execute on function jarvis.consent_recorded(uuid, uuid, text), jarvis.member_tables() to jarvis_writer;
alter function jarvis.consent_recorded(uuid, uuid, text) owner to jarvis_writer;

-- Every reader and every trigger asks this one: restricted, only speaking with the assistant goes on.
set local role jarvis_writer;
create or replace function jarvis.consent_given(gym uuid, member uuid, of_purpose text) returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select jarvis.consent_recorded(gym, member, of_purpose)
           and (of_purpose = 'voice'
                or not exists (select from jarvis.restrictions r where r.gym_id = gym and r.member_id = member))
  $$;
reset role;

-- ---------------------------------------------------------------------------------------------------------
-- Withdrawal: a job in the transaction of the answer, whoever wrote it
-- ---------------------------------------------------------------------------------------------------------
grant select (id, kind, unique_key, gym_id, lane, state, run_at), update (run_at),
      insert (kind, unique_key, gym_id, args, priority, run_at, created_at) on jarvis.jobs to jarvis_writer;

create function jarvis.ask_withdrawal(gym uuid, member uuid, purpose text) returns void
  language plpgsql security definer set search_path = ''
  as $$
begin
  if purpose not in ('memory', 'health_memory') or jarvis.consent_recorded(gym, member, purpose) then
    return;
  end if;
  insert into jarvis.jobs (kind, unique_key, gym_id, args, priority)
  values ('privacy.withdraw', member || ':' || purpose, gym,
          jsonb_build_object('gym', gym, 'member', member, 'purpose', purpose), 10)
  on conflict (kind, lane, unique_key) where unique_key is not null and state in ('available', 'retryable')
  do update set run_at = least(jobs.run_at, excluded.run_at);
  perform pg_catalog.pg_notify('jarvis_jobs', '');
end
$$;
comment on function jarvis.ask_withdrawal(uuid, uuid, text) is
  'Met en file l''effacement de ce qui repose sur un consentement qui n''est pas, ou plus, donné (fonctions internes).';

create function jarvis.consent_answered() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not jarvis.is_elsewhere(new.gym_id) then
    perform jarvis.ask_withdrawal(new.gym_id, new.member_id, new.purpose);
  end if;
  return null;
end
$$;
comment on function jarvis.consent_answered() is 'Déclencheur : un retrait efface bientôt ce qui en dépend.';

-- A child who was taken for an adult: what their own word allowed, it did not allow.
create function jarvis.birth_corrected() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if new.date_of_birth > current_date - interval '15 years' and not jarvis.is_elsewhere(new.gym_id) then
    perform jarvis.ask_withdrawal(new.gym_id, new.id, 'memory'), jarvis.ask_withdrawal(new.gym_id, new.id, 'health_memory');
  end if;
  return null;
end
$$;
comment on function jarvis.birth_corrected() is 'Déclencheur : avant 15 ans, seul un représentant a pu consentir.';

-- Facts, their history, summaries, vectors, windows, whatever else the data map knows of, and words of events. The
-- member's row is locked: who is writing for them ends first, and who comes later is refused for want of consent.
create function jarvis.withdraw_memory(gym uuid, member uuid) returns boolean
  language plpgsql security definer set search_path = ''
  as $$
declare
  one record;
begin
  if not jarvis.may_touch(gym) then
    return false;
  end if;
  perform from public.gym_members_v2 m where m.gym_id = gym and m.id = member for update;
  if not found or jarvis.consent_recorded(gym, member, 'memory') then
    return false;
  end if;
  -- First, for their going is entered in the history.
  delete from public.member_facts f where f.gym_id = gym and f.member_id = member;
  for one in
    select t.tbl, bool_and(coalesce(m.rests_on, 'memory') = 'memory') as whole,
           string_agg(format('%I = default', m.column_name), ', ') filter (where m.rests_on is distinct from 'contract') as emptied,
           string_agg(format('%I is not null', m.column_name), ' or ') filter (where m.rests_on is distinct from 'contract') as filled
      from jarvis.member_tables() t
      join jarvis.data_map m on m.schema_name = t.schema_name and m.table_name = t.table_name
     where t.member_column = 'member_id'
     group by t.tbl
    having bool_or(coalesce(m.rests_on, 'memory') = 'memory')
     order by t.tbl::text
  loop
    if one.whole then
      execute format('delete from %s where gym_id = $1 and member_id = $2', one.tbl) using gym, member;
    else
      execute format('update %s set %s where gym_id = $1 and member_id = $2 and (%s)', one.tbl, one.emptied, one.filled)
        using gym, member;
    end if;
  end loop;
  if to_regclass('jarvis.legacy_held') is not null then
    delete from jarvis.legacy_held h where h.gym_id = gym and h.member_id = member and h.needs && array['memory', 'health_memory'];
  end if;
  delete from public.manager_alerts a
   where a.gym_id = gym and a.member_id = member
     and a.alert_type in ('negative_feedback', 'health_concern', 'goal_milestone', 'member_achievement');
  update public.conversation_sessions s
     set state = 'empty', state_reason = 'no_consent', attempts = 0, last_error = null, notes = '{}'
   where s.gym_id = gym and s.member_id = member and s.state in ('processed', 'failed');
  return true;
end
$$;
comment on function jarvis.withdraw_memory(uuid, uuid) is
  'Efface ce qui repose sur le consentement memory d''un membre qui ne le donne pas ; faux s''il le donne ou n''existe pas.';

-- Locks the member for the withdrawal of health; false when it is agreed to, or there is no such member.
create function jarvis.begin_health_withdrawal(gym uuid, member uuid) returns boolean
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not jarvis.may_touch(gym) then
    return false;
  end if;
  perform from public.gym_members_v2 m where m.gym_id = gym and m.id = member for update;
  return found and not jarvis.consent_recorded(gym, member, 'health_memory');
end
$$;
comment on function jarvis.begin_health_withdrawal(uuid, uuid) is
  'Verrouille un membre qui n''accepte pas health_memory ; faux s''il l''accepte ou n''existe pas.';

-- Our program knows which words are about health: it names the events with what is left of them, and the facts, changes
-- and conversations that tell of it. Health facts it need not name. What was made of such a conversation goes, and the
-- conversation is made into memory again from what is left.
create function jarvis.withdraw_health(gym uuid, member uuid, events uuid[], masked text[], tools uuid[], facts uuid[],
                                       changes bigint[], sessions text[]) returns text[]
  language plpgsql security definer set search_path = ''
  as $$
declare
  one record;
  again text[];
begin
  if not jarvis.begin_health_withdrawal(gym, member) then
    return '{}';
  end if;
  update public.conversation_events e set transcript = m.left_over
    from unnest(events, masked) as m (id, left_over)
   where e.gym_id = gym and e.member_id = member and e.id = m.id;
  update public.conversation_events e set tool_args = null, tool_result = null
   where e.gym_id = gym and e.member_id = member and e.id = any (tools);
  with gone as (
    delete from public.member_facts f
     where f.gym_id = gym and f.member_id = member
       and (f.id = any (facts) or jarvis.is_health_fact(f.category, f.fact_key, f.fact_value, f.slot))
    returning f.id
  )
  select array_agg(gone.id) into facts from gone;
  delete from jarvis.member_fact_history h
   where h.gym_id = gym and h.member_id = member
     and (h.id = any (changes) or h.fact_id = any (facts) or h.category = 'injury'
          or jarvis.is_health_fact(h.category, h.fact_key, h.old -> 'fact_value', h.old ->> 'slot')
          or jarvis.is_health_fact(h.category, h.fact_key, h.new -> 'fact_value', h.new ->> 'slot'));
  for one in
    select t.tbl, exists (select from pg_catalog.pg_attribute a
                           where a.attrelid = t.tbl and a.attname = 'session_id' and not a.attisdropped) as by_session
      from jarvis.member_tables() t
      join jarvis.data_map m on m.schema_name = t.schema_name and m.table_name = t.table_name
     where t.member_column = 'member_id'
       and t.tbl not in ('public.member_facts'::regclass, 'jarvis.member_fact_history'::regclass,
                         'jarvis.summary_vectors'::regclass)
     group by t.tbl
    having bool_and(coalesce(m.rests_on, 'memory') = 'memory')
     order by t.tbl::text
  loop
    execute format('delete from %s where gym_id = $1 and member_id = $2%s', one.tbl,
                   case when one.by_session then ' and session_id = any ($3)' else '' end)
      using gym, member, sessions;
  end loop;
  if to_regclass('jarvis.legacy_held') is not null then
    delete from jarvis.legacy_held h where h.gym_id = gym and h.member_id = member and 'health_memory' = any (h.needs);
  end if;
  delete from public.manager_alerts a
   where a.gym_id = gym and a.member_id = member and a.alert_type = 'health_concern';
  with touched as (
    update public.conversation_sessions s
       set state = 'closing', attempts = 0, state_reason = null,
           withheld_health_spans = s.withheld_health_spans
             + (select count(*)::integer from public.conversation_events e
                 where e.gym_id = s.gym_id and e.session_id = s.session_id and e.id = any (events))
     where s.gym_id = gym and s.member_id = member and s.session_id = any (sessions) and s.state in ('processed', 'failed', 'empty')
    returning s.session_id
  )
  select array_agg(touched.session_id order by touched.session_id) into again from touched;
  return coalesce(again, '{}');
end
$$;
comment on function jarvis.withdraw_health(uuid, uuid, uuid[], text[], uuid[], uuid[], bigint[], text[]) is
  'Efface ou masque ce qui repose sur health_memory ; rend les conversations à retraiter avec ce qui reste.';

-- ---------------------------------------------------------------------------------------------------------
-- Export: every column that the data map gives out, of every table that names the member
-- ---------------------------------------------------------------------------------------------------------
create function jarvis.export_member(gym uuid, member uuid) returns jsonb
  language plpgsql security definer set search_path = ''
  as $$
declare
  one record;
  found_rows jsonb;
  result jsonb := '{}';
begin
  -- Of people, managers alone hand it out.
  if not jarvis.may_touch(gym)
     or jarvis.request_role() = 'authenticated' and not gym = any (jarvis.my_gyms(array['super_admin', 'gym_manager']))
     or not exists (select from public.gym_members_v2 m where m.gym_id = gym and m.id = member) then
    return null;
  end if;
  for one in
    select t.tbl, t.schema_name, t.table_name, t.member_column,
           exists (select from pg_catalog.pg_attribute a
                    where a.attrelid = t.tbl and a.attname = 'gym_id' and not a.attisdropped) as has_gym,
           (select string_agg(a.attname, ', ' order by a.attnum) from pg_catalog.pg_attribute a
             where a.attrelid = t.tbl and a.attnum > 0 and not a.attisdropped
               and not exists (select from jarvis.data_map m
                                where (m.schema_name, m.table_name, m.column_name) = (t.schema_name, t.table_name, a.attname))) as unknown,
           (select string_agg(format('%L, x.%I', a.attname, a.attname), ', ' order by a.attnum)
              from pg_catalog.pg_attribute a
              join jarvis.data_map m on (m.schema_name, m.table_name, m.column_name) = (t.schema_name, t.table_name, a.attname)
             where a.attrelid = t.tbl and a.attnum > 0 and not a.attisdropped and m.in_export) as given_out
      from jarvis.member_tables() t
     order by t.schema_name desc, t.table_name
  loop
    if one.unknown is not null then
      raise exception using errcode = 'JP001', message = 'data_map_incomplete',
        detail = format('%s.%s: %s', one.schema_name, one.table_name, one.unknown),
        hint = 'Inscrivez ces colonnes dans jarvis.data_map (et : grant select on la table to jarvis_writer), puis recommencez.';
    end if;
    if one.given_out is null then
      continue;
    end if;
    if not pg_catalog.has_table_privilege('jarvis_writer', one.tbl, 'select') then
      raise exception using errcode = 'JP001', message = 'data_map_incomplete', detail = format('%s.%s', one.schema_name, one.table_name),
        hint = format('Donnez le droit de lire : grant select on %s to jarvis_writer.', one.tbl);
    end if;
    execute format('select jsonb_agg(jsonb_build_object(%s)) from %s x where x.%I = $2%s', one.given_out, one.tbl,
                   one.member_column, case when one.has_gym then ' and x.gym_id = $1' else '' end)
      into found_rows using gym, member;
    if found_rows is not null then
      result := result || jsonb_build_object(one.schema_name || '.' || one.table_name, found_rows);
    end if;
  end loop;
  insert into jarvis.audit_log (gym_id, action, entity, member_id) values (gym, 'member.export', 'member', member);
  return result;
end
$$;
comment on function jarvis.export_member(uuid, uuid) is
  'Tout ce que la carte des données remet à un membre, table par table ; refuse (JP001) si une table manque à la carte.';

-- ---------------------------------------------------------------------------------------------------------
-- Audit: written by the database for whoever comes through the API, the command line or the data API
-- ---------------------------------------------------------------------------------------------------------
create function jarvis.audit_change() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  what constant jsonb := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
  whose constant uuid := coalesce(what ->> 'member_id', what ->> 'id');
  verb text := lower(tg_op);
  entity text;
begin
  -- Jobs of the server leave their own trace: the history of facts, and the session.
  if jarvis.request_role() not in ('jarvis_server', 'authenticated', 'service_role') or jarvis.actor() = 'server' then
    return null;
  end if;
  -- With the member everything goes, this too.
  if not exists (select from public.gym_members_v2 m where m.gym_id = (what ->> 'gym_id')::uuid and m.id = whose) then
    return null;
  end if;
  entity := case tg_table_name when 'member_facts' then 'fact' when 'consent_ledger' then 'consent'
                               when 'restrictions' then 'restriction' else 'member' end;
  if entity = 'consent' then
    verb := case when (what ->> 'granted')::boolean then 'grant' else 'withdraw' end;
  end if;
  insert into jarvis.audit_log (gym_id, action, entity, entity_id, member_id)
  values ((what ->> 'gym_id')::uuid, entity || '.' || verb, entity,
          case entity when 'consent' then what ->> 'purpose' when 'fact' then what ->> 'id' end, whose);
  return null;
end
$$;
comment on function jarvis.audit_change() is 'Déclencheur : inscrit qui a changé quoi, sans le contenu.';

-- Reading leaves no trace by itself: whoever reads for somebody says so in the same transaction.
create function jarvis.note_read(gym uuid, member uuid, action text, entity text, entity_id text) returns void
  language plpgsql security definer set search_path = ''
  as $$
begin
  if action not in ('context.read', 'fact.read', 'fact_history.read', 'transcript.read', 'memory.recall') then
    raise exception using errcode = '22023', message = 'no kind of read';
  end if;
  insert into jarvis.audit_log (gym_id, action, entity, entity_id, member_id)
  select m.gym_id, note_read.action, note_read.entity, note_read.entity_id, m.id
    from public.gym_members_v2 m
   where m.gym_id = note_read.gym and m.id = note_read.member and jarvis.may_touch(m.gym_id);
end
$$;
comment on function jarvis.note_read(uuid, uuid, text, text, text) is 'Inscrit au journal qui a lu quoi d''un membre.';

-- Nobody holds the right to delete. The owner is kept from it too, but for retention, and for what goes with its member.
create function jarvis.audit_kept() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if current_setting('jarvis.purge', true) = 'on'
     or not exists (select from public.gyms g where g.id = old.gym_id)
     or old.member_id is not null and not exists (select from public.gym_members_v2 m
                                                   where m.gym_id = old.gym_id and m.id = old.member_id) then
    return old;
  end if;
  raise exception using errcode = 'JA001', message = 'append_only', detail = 'jarvis.audit_log',
    hint = 'Le journal ne perd que ce dont la durée de conservation est passée : jarvis retention --run.';
end
$$;
comment on function jarvis.audit_kept() is 'Déclencheur : une ligne du journal ne disparaît qu''à l''échéance, ou avec son membre.';

-- ---------------------------------------------------------------------------------------------------------
-- Retention
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.retention_periods (
  subject    text primary key check (subject ~ '^[a-z_]+$'),
  days       integer not null check (days between 1 and 36500),
  begun_at   timestamptz not null default now(),
  changed_at timestamptz not null default now()
);
alter table jarvis.retention_periods enable row level security;
alter table jarvis.retention_periods force row level security;
revoke all on jarvis.retention_periods from public, anon, authenticated, service_role;
comment on table jarvis.retention_periods is 'Durées de conservation, en jours, par sujet.';
comment on column jarvis.retention_periods.subject is 'Ce qui est conservé.';
comment on column jarvis.retention_periods.days is 'Pendant combien de jours.';
comment on column jarvis.retention_periods.begun_at is 'Début de l''application : d''elle-même, elle n''efface rien avant qu''une durée entière ne soit passée depuis.';
comment on column jarvis.retention_periods.changed_at is 'Dernier changement de la durée.';
grant select on jarvis.retention_periods to jarvis_system, jarvis_server, jarvis_writer;
create policy retention_periods_system_select on jarvis.retention_periods for select to jarvis_system using (true);
create policy retention_periods_server_select on jarvis.retention_periods for select to jarvis_server using (true);
insert into jarvis.retention_periods (subject, days) values
  ('events', 90), ('summaries', 365), ('windows', 365), ('health_facts', 183), ('facts', 730), ('fact_history', 730),
  ('alerts', 365), ('audit', 1095), ('analytics_history', 1095), ('reports', 1095), ('held_imports', 365);

-- Takes away what is past its time, in all gyms. A health fact that still holds is never dropped silently: it goes some
-- time after it was retired or ran out, which its member is asked about first.
--
-- Unasked, nothing goes before a whole period has passed since retention began here: who arrives with years of data, by an
-- upgrade or by adoption, has that long to see what will go (`jarvis retention`).
create function jarvis.expire(at timestamptz, unasked boolean default false) returns table (subject text, days integer, gone bigint)
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
comment on function jarvis.expire(timestamptz, boolean) is 'Efface ce dont la durée de conservation est passée, et dit combien de lignes par sujet.';

-- ---------------------------------------------------------------------------------------------------------
-- Rights of the functions, which belong to jarvis_writer
-- ---------------------------------------------------------------------------------------------------------
do $grants$
declare
  one record;
begin
  for one in select t.tbl, bool_and(coalesce(m.rests_on, 'memory') = 'memory') as whole
               from jarvis.member_tables() t
               join jarvis.data_map m on m.schema_name = t.schema_name and m.table_name = t.table_name
              where t.schema_name in ('public', 'jarvis')
              group by t.tbl loop
    execute format('grant select%s on %s to jarvis_writer',
                   case when one.whole or one.tbl::text = 'jarvis.legacy_held' then ', delete' else '' end, one.tbl);
  end loop;
end
$grants$;
grant select, delete on public.insights_reports to jarvis_writer;
grant select (id) on public.gyms to jarvis_writer;
grant select on jarvis.data_map to jarvis_writer;
grant update (transcript, tool_args, tool_result), delete on public.conversation_events to jarvis_writer;
grant update (state_reason, last_error, notes, withheld_health_spans) on public.conversation_sessions to jarvis_writer;
grant delete on public.manager_alerts, jarvis.member_analytics_history to jarvis_writer;
grant insert, delete on jarvis.audit_log to jarvis_writer;

revoke all on function jarvis.ask_withdrawal(uuid, uuid, text), jarvis.consent_answered(), jarvis.birth_corrected(),
  jarvis.withdraw_memory(uuid, uuid), jarvis.begin_health_withdrawal(uuid, uuid),
  jarvis.withdraw_health(uuid, uuid, uuid[], text[], uuid[], uuid[], bigint[], text[]), jarvis.export_member(uuid, uuid),
  jarvis.audit_change(), jarvis.audit_kept(), jarvis.note_read(uuid, uuid, text, text, text), jarvis.expire(timestamptz, boolean)
  from public, anon, authenticated;
grant execute on function jarvis.note_read(uuid, uuid, text, text, text) to jarvis_server, authenticated;
grant execute on function jarvis.export_member(uuid, uuid) to authenticated;
grant execute on function jarvis.withdraw_memory(uuid, uuid), jarvis.begin_health_withdrawal(uuid, uuid),
  jarvis.withdraw_health(uuid, uuid, uuid[], text[], uuid[], uuid[], bigint[], text[]), jarvis.export_member(uuid, uuid)
  to jarvis_server;
grant execute on function jarvis.expire(timestamptz, boolean) to jarvis_system;

create trigger c40_answered after insert on jarvis.consent_ledger for each row execute function jarvis.consent_answered();
create trigger c40_birth after update of date_of_birth on public.gym_members_v2
  for each row when (new.date_of_birth is distinct from old.date_of_birth) execute function jarvis.birth_corrected();
create trigger c50_audit after insert on jarvis.consent_ledger for each row execute function jarvis.audit_change();
create trigger c50_audit after insert or delete on jarvis.restrictions for each row execute function jarvis.audit_change();
create trigger c50_audit after insert or update or delete on public.member_facts
  for each row execute function jarvis.audit_change();
create trigger c50_audit after insert or update of badge_id, first_name, last_name, email, phone, date_of_birth, gender,
    membership_type, membership_expires, is_active, can_use_jarvis, member_notes on public.gym_members_v2
  for each row execute function jarvis.audit_change();
create trigger b20_never_deleted before delete on jarvis.audit_log for each row execute function jarvis.audit_kept();
create trigger b20_never_edited_truncate before truncate on jarvis.audit_log
  for each statement execute function jarvis.never_edited();

alter function jarvis.ask_withdrawal(uuid, uuid, text) owner to jarvis_writer;
alter function jarvis.consent_answered() owner to jarvis_writer;
alter function jarvis.birth_corrected() owner to jarvis_writer;
alter function jarvis.withdraw_memory(uuid, uuid) owner to jarvis_writer;
alter function jarvis.begin_health_withdrawal(uuid, uuid) owner to jarvis_writer;
alter function jarvis.withdraw_health(uuid, uuid, uuid[], text[], uuid[], uuid[], bigint[], text[]) owner to jarvis_writer;
alter function jarvis.export_member(uuid, uuid) owner to jarvis_writer;
alter function jarvis.audit_change() owner to jarvis_writer;
alter function jarvis.audit_kept() owner to jarvis_writer;
alter function jarvis.note_read(uuid, uuid, text, text, text) owner to jarvis_writer;
alter function jarvis.expire(timestamptz, boolean) owner to jarvis_writer;
revoke create on schema jarvis from jarvis_writer;

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how, rests_on)
select 'jarvis', 'restrictions', c.name, 'personal', 'jusqu''à sa levée', true, 'avec le membre (cascade)', 'contract'
  from (values ('gym_id'), ('member_id'), ('reason'), ('actor'), ('recorded_at')) as c (name)
union all
select 'jarvis', 'retention_periods', c.name, 'public', 'sans limite', false, 'sans objet (aucun membre)', null
  from (values ('subject'), ('days'), ('begun_at'), ('changed_at')) as c (name)
union all
select 'jarvis', 'data_map', 'rests_on', 'public', 'sans limite', false, 'sans objet (aucun membre)', null;
