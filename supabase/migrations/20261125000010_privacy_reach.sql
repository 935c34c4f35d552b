-- A withdrawal reaches every table that names the member, or says which one it cannot reach; what a child says binds
-- nobody; what was set aside goes too; an export has no widest table.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

-- ---------------------------------------------------------------------------------------------------------
-- The data map: a column that says nothing rests on what its table rests on
-- ---------------------------------------------------------------------------------------------------------
comment on column jarvis.data_map.rests_on is
  'memory (effacé au retrait du consentement memory) ou contract ; vide : comme sa table, contract dès qu''une de ses colonnes le dit, sinon memory.';
update jarvis.data_map m set rests_on = 'memory'
 where (m.schema_name, m.table_name) = ('public', 'conversation_events') and m.column_name in ('transcript', 'tool_args', 'tool_result');
update jarvis.data_map m set retention = '12 mois, ou jusqu''au retrait du consentement'
 where (m.schema_name, m.table_name) = ('jarvis', 'adoption_remains');

-- Whether somebody was under fifteen, the age from which one consents alone in France (law 78-17, article 45).
create function jarvis.is_child(gym uuid, member uuid, at timestamptz) returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select exists (select from public.gym_members_v2 m
                    where m.gym_id = gym and m.id = member and m.date_of_birth > at::date - interval '15 years')
  $$;
comment on function jarvis.is_child(uuid, uuid, timestamptz) is 'Vrai si le membre avait moins de 15 ans à ce moment (fonctions internes).';

-- Every table that names a member, by a column member_id or by a foreign key, and what the data map says of it. Erasure
-- has a query of its own, for it also works on schemas of the past.
-- squawk-ignore ban-drop-function
drop function jarvis.member_tables();
create function jarvis.member_tables()
  returns table (tbl regclass, schema_name text, table_name text, of_member text, mapped boolean, unmapped text,
                 by_contract boolean, emptied text[], health text[], withheld text[], by_session boolean)
  language sql stable set search_path = ''
  as $$
    select t.tbl, t.schema_name, t.table_name,
           format('(%s)%s', t.named, case when t.has_gym then ' and x.gym_id = $1' else '' end),
           m.mapped, c.unmapped, m.by_contract, m.emptied, m.health, c.withheld, t.by_session
      from (select c.oid::regclass as tbl, n.nspname::text as schema_name, c.relname::text as table_name,
                   string_agg(case when a.atttypid = 'uuid'::regtype then format('x.%I = $2', a.attname)
                                   else format('x.%I::text = $2::text', a.attname) end, ' or ' order by a.attnum) as named,
                   exists (select from pg_catalog.pg_attribute g
                            where g.attrelid = c.oid and g.attname = 'gym_id' and not g.attisdropped
                              and g.atttypid = 'uuid'::regtype) as has_gym,
                   exists (select from pg_catalog.pg_attribute s
                            where s.attrelid = c.oid and s.attname = 'session_id' and not s.attisdropped) as by_session
              from pg_catalog.pg_class c
              join pg_catalog.pg_namespace n on n.oid = c.relnamespace
              join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
               and case when c.oid = 'public.gym_members_v2'::regclass then a.attname = 'id'
                        else a.attname = 'member_id'
                             or exists (select from pg_catalog.pg_constraint k
                                          cross join lateral unnest(k.conkey, k.confkey) as pair (mine, theirs)
                                          join pg_catalog.pg_attribute i
                                            on i.attrelid = k.confrelid and i.attnum = pair.theirs and i.attname = 'id'
                                         where k.contype = 'f' and k.conrelid = c.oid and pair.mine = a.attnum
                                           and k.confrelid = 'public.gym_members_v2'::regclass) end
             where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
               and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
               and not exists (select from pg_catalog.pg_depend d
                                where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
             group by c.oid, n.nspname, c.relname) as t
     cross join lateral (
       select count(*) > 0 as mapped, coalesce(bool_or(m.rests_on = 'contract'), false) as by_contract,
              array_agg(m.column_name order by m.column_name) filter (where m.rests_on = 'memory') as emptied,
              array_agg(m.column_name order by m.column_name) filter (where m.class = 'health') as health
         from jarvis.data_map m where m.schema_name = t.schema_name and m.table_name = t.table_name) as m
     cross join lateral (
       select string_agg(a.attname, ', ' order by a.attnum) filter (where d.column_name is null) as unmapped,
              coalesce(array_agg(a.attname::text) filter (where not coalesce(d.in_export, false)), '{}') as withheld
         from pg_catalog.pg_attribute a
         left join jarvis.data_map d
           on d.schema_name = t.schema_name and d.table_name = t.table_name and d.column_name = a.attname
        where a.attrelid = t.tbl and a.attnum > 0 and not a.attisdropped) as c
  $$;
comment on function jarvis.member_tables() is
  'Tables qui nomment un membre, celles de l''exploitant comprises, la condition qui trouve ses lignes x ($1 salle, $2 membre), et ce qu''en dit la carte.';

grant create on schema jarvis to jarvis_writer;
grant update (alerted_at) on jarvis.fact_endings to jarvis_writer;
grant select, delete on jarvis.adoption_remains to jarvis_writer;

-- The predecessor's tables may belong to somebody who alone can give them away: then the withdrawal names them.
create function jarvis.open_predecessor() returns void
  language plpgsql set search_path = ''
  as $$
declare
  name text;
begin
  foreach name in array array['public.jarvis_conversation_logs', 'public.openai_realtime_audio_events'] loop
    if to_regclass(name) is not null then
      begin
        execute format('grant select, delete on %s to jarvis_writer', name);
      exception when insufficient_privilege then
        raise warning 'grant select, delete on % to jarvis_writer, as its owner', name;
      end;
    end if;
  end loop;
end
$$;
comment on function jarvis.open_predecessor() is 'Donne aux retraits de consentement l''accès aux journaux du prédécesseur.';
revoke all on function jarvis.open_predecessor() from public, anon, authenticated;
select jarvis.open_predecessor();

-- Refuses where the functions here may not do what a withdrawal or an export needs.
create function jarvis.demand_reach(tbl regclass, verb text, columns text[] default '{}') returns void
  language plpgsql stable set search_path = ''
  as $$
declare
  place constant text := (select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = tbl);
  wanted constant text := case verb when 'select' then 'select' when 'delete' then 'select, delete'
    else format('select, update (%s)', (select string_agg(quote_ident(c), ', ') from unnest(columns) as c)) end;
begin
  if pg_catalog.has_schema_privilege('jarvis_writer', place, 'usage')
     and pg_catalog.has_table_privilege('jarvis_writer', tbl, 'select')
     and (verb <> 'delete' or pg_catalog.has_table_privilege('jarvis_writer', tbl, 'delete'))
     and (verb <> 'update' or not exists (select from unnest(columns) as c
                                           where not pg_catalog.has_column_privilege('jarvis_writer', tbl, c, 'update'))) then
    return;
  end if;
  raise exception using errcode = 'JP001', message = 'data_map_incomplete', detail = tbl::text,
    hint = format('Donnez les droits : grant usage on schema %I to jarvis_writer; grant %s on %s to jarvis_writer.', place, wanted, tbl);
end
$$;
comment on function jarvis.demand_reach(regclass, text, text[]) is 'Lève JP001 si jarvis_writer ne peut lire, vider ou effacer une table (fonctions internes).';

create function jarvis.demand_map(tbl text, unmapped text) returns void
  language plpgsql immutable set search_path = ''
  as $$
begin
  raise exception using errcode = 'JP001', message = 'data_map_incomplete', detail = format('%s: %s', tbl, unmapped),
    hint = 'Inscrivez ces colonnes dans jarvis.data_map (et : grant select, delete on la table to jarvis_writer), puis recommencez.';
end
$$;
comment on function jarvis.demand_map(text, text) is 'Lève JP001 : une table ou une colonne manque à la carte des données (fonctions internes).';

-- What the predecessor's logs hold of a member, as long as cleanup has not dropped them: the words were imported, or wait
-- in jarvis.legacy_held. The settings are those with which jarvis.legacy_source identifies a row.
create function jarvis.clear_predecessor(gym uuid, member uuid) returns void
  language plpgsql security definer set search_path = '' set timezone = 'UTC' set bytea_output = 'hex' set extra_float_digits = 1
  as $$
declare
  name text;
  place regclass;
begin
  if to_regclass('jarvis.legacy_held') is null then
    return;
  end if;
  foreach name in array array['jarvis_conversation_logs', 'openai_realtime_audio_events'] loop
    place := to_regclass('public.' || name);
    if place is null or not exists (select from jarvis.legacy_rows r where r.source_table = name and r.gym_id = gym and r.member_id = member) then
      continue;
    end if;
    perform jarvis.demand_reach(place, 'delete');
    execute format($query$
      delete from %1$s where ctid = any (array(
        select s.place
          from (select t.ctid as place, t.raw ->> 'id' as id, md5(t.raw::text) as mark,
                       row_number() over (partition by t.raw ->> 'id' order by md5(t.raw::text)) as nth
                  from (select l.ctid, to_jsonb(l) as raw from %1$s l) as t) as s
          join jarvis.legacy_rows r
            on r.source_table = $3
           and r.source_id = left(coalesce(s.id, 'row-' || s.mark), 150) || case when s.nth > 1 then '#' || s.nth else '' end
         where r.gym_id = $1 and r.member_id = $2))
      $query$, place) using gym, member, name;
  end loop;
end
$$;
comment on function jarvis.clear_predecessor(uuid, uuid) is 'Efface les paroles d''un membre restées dans les tables du prédécesseur (fonctions internes).';

-- Alerts that were made of what a member shares with the staff go with the sharing. Of a fact that still ends, the gym is
-- told again when it may be.
create function jarvis.take_back_alerts(gym uuid, member uuid) returns void
  language sql security definer set search_path = ''
  as $$
    delete from public.manager_alerts a
     where a.gym_id = gym and a.member_id = member and a.status in ('pending', 'in_progress') and a.dedup_key like 'fact\_ending:%';
    update jarvis.fact_endings e set alerted_at = null
     where e.gym_id = gym and e.member_id = member and e.alerted_at is not null;
  $$;
comment on function jarvis.take_back_alerts(uuid, uuid) is 'Retire les alertes ouvertes nées de ce qu''un membre ne partage plus (fonctions internes).';

-- ---------------------------------------------------------------------------------------------------------
-- A child's yes
-- ---------------------------------------------------------------------------------------------------------
-- The date of an answer is its writer's word: a clock that is ahead makes no adult.
create function jarvis.guardian_asked() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not jarvis.is_elsewhere(new.gym_id) and jarvis.is_child(new.gym_id, new.member_id, least(new.recorded_at, clock_timestamp())) then
    raise exception using errcode = 'JC002', message = 'guardian_required', detail = new.purpose,
      hint = 'Avant 15 ans, seul le représentant légal peut accepter : jarvis consent record --by-guardian (by_guardian dans la table).';
  end if;
  return new;
end
$$;
comment on function jarvis.guardian_asked() is 'Déclencheur : avant 15 ans, seul un représentant légal accepte.';

revoke all on function jarvis.is_child(uuid, uuid, timestamptz), jarvis.member_tables(), jarvis.demand_reach(regclass, text, text[]),
  jarvis.demand_map(text, text), jarvis.clear_predecessor(uuid, uuid), jarvis.take_back_alerts(uuid, uuid), jarvis.guardian_asked()
  from public, anon, authenticated;
grant execute on function jarvis.member_tables(), jarvis.demand_reach(regclass, text, text[]), jarvis.demand_map(text, text)
  to jarvis_writer;
create trigger b20_guardian before insert on jarvis.consent_ledger
  for each row when (new.granted and not new.by_guardian) execute function jarvis.guardian_asked();
alter function jarvis.is_child(uuid, uuid, timestamptz) owner to jarvis_writer;
alter function jarvis.clear_predecessor(uuid, uuid) owner to jarvis_writer;
alter function jarvis.take_back_alerts(uuid, uuid) owner to jarvis_writer;
alter function jarvis.guardian_asked() owner to jarvis_writer;

-- Restricted, nothing is shown to the staff that was made of the member's words.
create function jarvis.restricted() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not jarvis.is_elsewhere(new.gym_id) then
    perform jarvis.take_back_alerts(new.gym_id, new.member_id);
  end if;
  return null;
end
$$;
comment on function jarvis.restricted() is 'Déclencheur : une limitation retire les alertes nées des paroles du membre.';
revoke all on function jarvis.restricted() from public, anon, authenticated;
create trigger c40_restricted after insert on jarvis.restrictions for each row execute function jarvis.restricted();
alter function jarvis.restricted() owner to jarvis_writer;

set local role jarvis_writer;

-- A refusal counts whoever says it. A yes counts when a guardian said it, or somebody who was fifteen that day: nobody is
-- bound on a birthday by what they said as a child.
create or replace function jarvis.consent_recorded(gym uuid, member uuid, of_purpose text) returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select coalesce((
      select l.granted
        from jarvis.consent_ledger l
        left join public.gym_members_v2 m on m.gym_id = l.gym_id and m.id = l.member_id
       where l.gym_id = gym and l.member_id = member and l.purpose = of_purpose
         and (not l.granted or l.by_guardian or m.date_of_birth is null or m.date_of_birth <= l.recorded_at::date - interval '15 years')
       order by l.recorded_at desc, l.seq desc
       limit 1), false)
  $$;

create or replace function jarvis.consent_answered() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not new.granted and not jarvis.is_elsewhere(new.gym_id) then
    perform jarvis.ask_withdrawal(new.gym_id, new.member_id, new.purpose);
    if new.purpose = 'share_with_staff' then
      perform jarvis.take_back_alerts(new.gym_id, new.member_id);
    end if;
  end if;
  return null;
end
$$;

create or replace function jarvis.birth_corrected() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  unbound text;
begin
  if jarvis.is_elsewhere(new.gym_id) then
    return null;
  end if;
  for unbound in
    select distinct l.purpose from jarvis.consent_ledger l
     where l.gym_id = new.gym_id and l.member_id = new.id and l.granted and not l.by_guardian
       and new.date_of_birth > l.recorded_at::date - interval '15 years'
  loop
    perform jarvis.ask_withdrawal(new.gym_id, new.id, unbound);
    if unbound = 'share_with_staff' and not jarvis.consent_recorded(new.gym_id, new.id, unbound) then
      perform jarvis.take_back_alerts(new.gym_id, new.id);
    end if;
  end loop;
  return null;
end
$$;

-- ---------------------------------------------------------------------------------------------------------
-- Taking words out of what is restricted keeps the rest
-- ---------------------------------------------------------------------------------------------------------
create or replace function jarvis.event_consent() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  rewords boolean := false;
  agreed boolean;
begin
  if new.transcript is null and new.tool_args is null and new.tool_result is null then
    return new;
  end if;
  if tg_op = 'UPDATE' then
    rewords := new.member_id = old.member_id
               and (new.transcript is null or old.transcript is not null)
               and (new.tool_args is null or old.tool_args is not null)
               and (new.tool_result is null or old.tool_result is not null);
  end if;
  if rewords then
    agreed := jarvis.consent_recorded(new.gym_id, new.member_id, 'memory')
              and (jarvis.request_role() = 'jarvis_server' or jarvis.consent_recorded(new.gym_id, new.member_id, 'health_memory'));
  else
    agreed := jarvis.consent_given(new.gym_id, new.member_id, 'memory')
              and (jarvis.request_role() = 'jarvis_server' or jarvis.consent_given(new.gym_id, new.member_id, 'health_memory'));
  end if;
  if not agreed then
    new.transcript := null;
    new.tool_args := null;
    new.tool_result := null;
  end if;
  return new;
end
$$;

create or replace function jarvis.guard_summary() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if jarvis.is_elsewhere(new.gym_id) then
    return new;
  end if;
  -- Ours may replace ours; what a client wrote, or rewrote, is never replaced. Nor can we tell whether it is about
  -- health, so it is taken to be.
  if jarvis.request_role() <> 'jarvis_server' then
    new.written_by := 'client';
    new.tells_health := true;
  end if;
  if tg_op = 'INSERT' then
    perform jarvis.require_consent(new.gym_id, new.member_id, 'memory');
  elsif (new.summary_text, new.key_topics, new.member_id) is distinct from (old.summary_text, old.key_topics, old.member_id)
        -- A person who has something forgotten, or our server for them, may take words out of what is restricted.
        and not (jarvis.request_role() in ('jarvis_server', 'authenticated') and new.member_id = old.member_id
                 and jarvis.consent_recorded(new.gym_id, new.member_id, 'memory')) then
    perform jarvis.require_consent(new.gym_id, new.member_id, 'memory');
  end if;
  -- session_id is unique over all gyms: nobody may take the place of another member's summary.
  if exists (select from public.conversation_sessions s
              where s.session_id = new.session_id and (s.gym_id, s.member_id) <> (new.gym_id, new.member_id)) then
    raise exception using errcode = 'JS002', message = 'session_of_another_member',
      hint = 'Cette conversation est celle d''un autre membre.';
  end if;
  return new;
end
$$;

-- ---------------------------------------------------------------------------------------------------------
-- Withdrawal
-- ---------------------------------------------------------------------------------------------------------
-- Values and rows that an adoption set aside, of tables that rest on memory. Nobody can tell which of them are about
-- health, so they go with either consent.
create function jarvis.clear_remains(gym uuid, member uuid) returns void
  language sql security definer set search_path = ''
  as $$
    delete from jarvis.adoption_remains r
     where r.gym_id = gym and r.member_id = member
       and (exists (select from jarvis.data_map m
                     where m.schema_name = 'public' and m.table_name = r.table_name and m.rests_on = 'memory'
                       and (r.column_name is null or m.column_name = r.column_name))
            or not exists (select from jarvis.data_map m
                            where m.schema_name = 'public' and m.table_name = r.table_name and m.rests_on = 'contract')
            or r.table_name = 'manager_alerts'
               and (r.value ->> 'alert_type' in ('negative_feedback', 'health_concern', 'goal_milestone', 'member_achievement')
                    or r.column_name is not null and not exists (select from public.manager_alerts a where a.id::text = r.row_key)));
  $$;
comment on function jarvis.clear_remains(uuid, uuid) is 'Efface ce qu''une reprise avait mis de côté des paroles d''un membre (fonctions internes).';
revoke all on function jarvis.clear_remains(uuid, uuid) from public, anon, authenticated;

create or replace function jarvis.withdraw_memory(gym uuid, member uuid) returns boolean
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
    select * from jarvis.member_tables() t
     where not (t.schema_name = 'public' and t.table_name in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events'))
     order by t.tbl::text
  loop
    if not one.mapped then
      perform jarvis.demand_map(one.schema_name || '.' || one.table_name, one.unmapped);
    elsif not one.by_contract then
      perform jarvis.demand_reach(one.tbl, 'delete');
      execute format('delete from %s x where %s', one.tbl, one.of_member) using gym, member;
    elsif one.emptied is not null then
      perform jarvis.demand_reach(one.tbl, 'update', one.emptied);
      execute format('update %s x set %s where %s and (%s)', one.tbl,
                     (select string_agg(format('%I = default', c), ', ') from unnest(one.emptied) as c), one.of_member,
                     (select string_agg(format('x.%I is not null', c), ' or ') from unnest(one.emptied) as c))
        using gym, member;
    end if;
  end loop;
  if to_regclass('jarvis.legacy_held') is not null then
    delete from jarvis.legacy_held h where h.gym_id = gym and h.member_id = member;
  end if;
  delete from public.manager_alerts a
   where a.gym_id = gym and a.member_id = member
     and a.alert_type in ('negative_feedback', 'health_concern', 'goal_milestone', 'member_achievement');
  perform jarvis.clear_remains(gym, member);
  perform jarvis.clear_predecessor(gym, member);
  update public.conversation_sessions s
     set state = 'empty', state_reason = 'no_consent', attempts = 0, last_error = null, notes = '{}'
   where s.gym_id = gym and s.member_id = member and s.state in ('processed', 'failed');
  return true;
end
$$;

create or replace function jarvis.withdraw_health(gym uuid, member uuid, events uuid[], masked text[], tools uuid[], facts uuid[],
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
    select * from jarvis.member_tables() t
     where t.tbl not in ('public.member_facts'::regclass, 'jarvis.member_fact_history'::regclass,
                         'jarvis.summary_vectors'::regclass, 'public.conversation_events'::regclass)
       and not (t.schema_name = 'public' and t.table_name in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events'))
     order by t.tbl::text
  loop
    if not one.mapped then
      perform jarvis.demand_map(one.schema_name || '.' || one.table_name, one.unmapped);
    elsif one.by_contract then
      -- Of a table that stays, the columns that are about health and rest on memory.
      one.emptied := array(select unnest(one.emptied) intersect select unnest(one.health));
      if one.emptied <> '{}' then
        perform jarvis.demand_reach(one.tbl, 'update', one.emptied);
        execute format('update %s x set %s where %s and (%s)', one.tbl,
                       (select string_agg(format('%I = default', c), ', ') from unnest(one.emptied) as c), one.of_member,
                       (select string_agg(format('x.%I is not null', c), ' or ') from unnest(one.emptied) as c))
          using gym, member;
      end if;
    elsif one.by_session or one.health is not null then
      -- What came of such a conversation; and what is about health and came of none that is known. A table without
      -- either tells nothing of health.
      perform jarvis.demand_reach(one.tbl, 'delete');
      execute format('delete from %s x where %s%s', one.tbl, one.of_member,
                     case when not one.by_session then ''
                          when one.health is null then ' and x.session_id::text = any ($3)'
                          else ' and (x.session_id is null or x.session_id::text = any ($3))' end)
        using gym, member, sessions;
    end if;
  end loop;
  if to_regclass('jarvis.legacy_held') is not null then
    delete from jarvis.legacy_held h
     where h.gym_id = gym and h.member_id = member and (h.needs = '{}' or 'health_memory' = any (h.needs));
  end if;
  delete from public.manager_alerts a
   where a.gym_id = gym and a.member_id = member and a.alert_type = 'health_concern';
  perform jarvis.clear_remains(gym, member);
  perform jarvis.clear_predecessor(gym, member);
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

-- ---------------------------------------------------------------------------------------------------------
-- Export
-- ---------------------------------------------------------------------------------------------------------
create or replace function jarvis.export_member(gym uuid, member uuid) returns jsonb
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
  for one in select * from jarvis.member_tables() t order by t.schema_name desc, t.table_name loop
    if one.unmapped is not null then
      perform jarvis.demand_map(one.schema_name || '.' || one.table_name, one.unmapped);
    end if;
    if not exists (select from jarvis.data_map m where m.schema_name = one.schema_name and m.table_name = one.table_name and m.in_export) then
      continue;
    end if;
    perform jarvis.demand_reach(one.tbl, 'select');
    execute format('select jsonb_agg(to_jsonb(x) - $3) from %s x where %s', one.tbl, one.of_member)
      into found_rows using gym, member, one.withheld;
    if found_rows is not null then
      result := result || jsonb_build_object(one.schema_name || '.' || one.table_name, found_rows);
    end if;
  end loop;
  insert into jarvis.audit_log (gym_id, action, entity, member_id) values (gym, 'member.export', 'member', member);
  return result;
end
$$;

-- What was kept, or shown to the staff, on a word that does not count.
select jarvis.ask_withdrawal(l.gym_id, l.member_id, l.purpose)
  from (select distinct l.gym_id, l.member_id, l.purpose
          from jarvis.consent_ledger l
          join public.gym_members_v2 m on m.gym_id = l.gym_id and m.id = l.member_id
         where l.granted and not l.by_guardian and m.date_of_birth > l.recorded_at::date - interval '15 years') as l;
select jarvis.take_back_alerts(a.gym_id, a.member_id)
  from (select distinct a.gym_id, a.member_id from public.manager_alerts a
         where a.member_id is not null and a.status in ('pending', 'in_progress') and a.dedup_key like 'fact\_ending:%') as a
 where not jarvis.consent_given(a.gym_id, a.member_id, 'share_with_staff');
reset role;
revoke create on schema jarvis from jarvis_writer;
