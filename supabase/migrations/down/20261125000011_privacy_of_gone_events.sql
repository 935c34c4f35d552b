-- Gives the withdrawal of health its earlier reach.
grant create on schema jarvis to jarvis_writer;
set local role jarvis_writer;
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
drop function jarvis.expire_remains(timestamptz, boolean);
reset role;
revoke create on schema jarvis from jarvis_writer;
revoke select (id, adopted_at) on jarvis.adoptions from jarvis_writer;
