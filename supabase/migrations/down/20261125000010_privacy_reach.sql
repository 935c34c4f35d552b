-- Gives withdrawal, export and consent their earlier reach.
drop trigger b20_guardian on jarvis.consent_ledger;
drop trigger c40_restricted on jarvis.restrictions;
drop function jarvis.member_tables();
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
revoke all on function jarvis.member_tables() from public, anon, authenticated;
grant execute on function jarvis.member_tables() to jarvis_writer;
grant create on schema jarvis to jarvis_writer;
set local role jarvis_writer;
create or replace function jarvis.consent_recorded(gym uuid, member uuid, of_purpose text) returns boolean
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
create or replace function jarvis.consent_answered() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not jarvis.is_elsewhere(new.gym_id) then
    perform jarvis.ask_withdrawal(new.gym_id, new.member_id, new.purpose);
  end if;
  return null;
end
$$;
create or replace function jarvis.birth_corrected() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if new.date_of_birth > current_date - interval '15 years' and not jarvis.is_elsewhere(new.gym_id) then
    perform jarvis.ask_withdrawal(new.gym_id, new.id, 'memory'), jarvis.ask_withdrawal(new.gym_id, new.id, 'health_memory');
  end if;
  return null;
end
$$;
create or replace function jarvis.event_consent() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if new.transcript is null and new.tool_args is null and new.tool_result is null then
    return new;
  end if;
  if not jarvis.consent_given(new.gym_id, new.member_id, 'memory')
     or (jarvis.request_role() <> 'jarvis_server'
         and not jarvis.consent_given(new.gym_id, new.member_id, 'health_memory')) then
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
  if tg_op = 'INSERT' or (new.summary_text, new.key_topics, new.member_id)
                         is distinct from (old.summary_text, old.key_topics, old.member_id) then
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
drop function jarvis.restricted(), jarvis.guardian_asked(), jarvis.take_back_alerts(uuid, uuid), jarvis.clear_remains(uuid, uuid),
  jarvis.clear_predecessor(uuid, uuid), jarvis.is_child(uuid, uuid, timestamptz);
reset role;
revoke create on schema jarvis from jarvis_writer;
drop function jarvis.open_predecessor(), jarvis.demand_reach(regclass, text, text[]), jarvis.demand_map(text, text);
revoke update (alerted_at) on jarvis.fact_endings from jarvis_writer;
revoke delete on jarvis.adoption_remains from jarvis_writer;
do $predecessor$
declare
  name text;
begin
  foreach name in array array['public.jarvis_conversation_logs', 'public.openai_realtime_audio_events'] loop
    if to_regclass(name) is not null then
      execute format('revoke select, delete on %s from jarvis_writer', name);
    end if;
  end loop;
end
$predecessor$;
comment on column jarvis.data_map.rests_on is
  'memory (effacé au retrait du consentement memory) ou contract ; vide : memory, dans une table qui nomme un membre.';
update jarvis.data_map m set rests_on = null
 where (m.schema_name, m.table_name) = ('public', 'conversation_events') and m.column_name in ('transcript', 'tool_args', 'tool_result');
update jarvis.data_map m set retention = 'jusqu''au règlement par l''opérateur'
 where (m.schema_name, m.table_name) = ('jarvis', 'adoption_remains');
