-- Conversations: the guide had no table of sessions. Each session id becomes one row, for one member, with one summary;
-- what shared an id gets one of its own.
create function jarvis_adoption.is_session_id(id text) returns boolean language sql immutable as $$
  select coalesce(length(id) between 1 and 128
                  and id !~ '[[:space:][:cntrl:]\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]', false)
$$;

-- Who spoke: the row says it, or else its session, when only one member is known there.
do $$
declare
  hits bigint;
begin
  update jarvis_adoption.new_conversation_events n
     set member_id = known.member_id, gym_id = known.gym_id
    from (select session_id, min(member_id::text)::uuid as member_id, min(gym_id::text)::uuid as gym_id
            from (select session_id, member_id, gym_id from jarvis_adoption.new_conversation_summaries where __held is null
                  union select session_id, member_id, gym_id from jarvis_adoption.new_conversation_events where __held is null and member_id is not null) as s
           where btrim(session_id) <> '' group by session_id having count(distinct member_id) = 1) as known
   where n.__held is null and n.member_id is null and n.session_id = known.session_id;
  get diagnostics hits = row_count;
  if hits > 0 then
    perform jarvis_adoption.say('event_member_found', 'settled', 'conversation_events.member_id', hits, 'it was empty', 'taken from the rest of the conversation');
  end if;
  perform jarvis_adoption.hold('conversation_events', 'n.member_id is null', 'event_of_nobody');
  hits := jarvis_adoption.change('conversation_events', 'session_id', '''adopted-'' || md5(n.member_id::text || (n."timestamp")::date::text)',
    'btrim(coalesce(n.session_id, '''')) = ''''', 'session_missing')
        + jarvis_adoption.change('conversation_summaries', 'session_id', '''adopted-'' || md5(n.id::text)',
    'btrim(coalesce(n.session_id, '''')) = ''''', 'session_missing');
  if hits > 0 then
    perform jarvis_adoption.say('session_missing', 'settled', 'session_id', hits, 'events or summaries without a session', 'one session per member and day, or per summary');
  end if;
end
$$;

create unlogged table jarvis_adoption.units as
with told as (
  select session_id, member_id, gym_id, __row as summary_row, created_at as told_at,
         created_at - make_interval(secs => greatest(session_duration_seconds, 0)) as began,
         row_number() over (partition by session_id, member_id order by created_at desc nulls last, __row) as nth
    from jarvis_adoption.new_conversation_summaries where __held is null
), spoken as (
  select session_id, member_id, gym_id, min("timestamp") as first_at, max("timestamp") as last_at,
         bool_or(event_type = 'user_transcript' and btrim(transcript) <> '') as has_words
    from jarvis_adoption.new_conversation_events where __held is null group by 1, 2, 3
), both_kinds as (
  select coalesce(t.session_id, s.session_id) as old_id, coalesce(t.member_id, s.member_id) as member_id,
         coalesce(t.gym_id, s.gym_id) as gym_id, t.summary_row, t.told_at, coalesce(t.nth, 1) as nth,
         s.first_at, s.last_at, coalesce(s.has_words, false) as has_words, t.began
    from told t full join spoken s on s.session_id = t.session_id and s.member_id = t.member_id and t.nth = 1
)
select *, case when jarvis_adoption.is_session_id(old_id) then old_id else 'adopted-' || md5(old_id) end as base,
       row_number() over (partition by old_id order by nth, told_at desc nulls last, first_at, member_id, summary_row) as place,
       null::text as session_id
  from both_kinds;
update jarvis_adoption.units set session_id = case place when 1 then base else left(base, 100) || '#' || place end;
-- An id made here may be one that exists.
update jarvis_adoption.units u
   set session_id = left(u.base, 80) || '#' || md5(u.old_id || u.member_id::text || coalesce(u.summary_row, ''))
 where u.session_id <> u.old_id
   and exists (select from jarvis_adoption.units o where o.session_id = u.session_id and o.ctid <> u.ctid);
create index on jarvis_adoption.units (old_id, member_id);
analyze jarvis_adoption.units;

do $$
declare
  hits bigint;
begin
  insert into jarvis_adoption.remains (place, spot, col, reason)
  select 'conversation_summaries', summary_row, 'session_id', case when place > 1 then 'duplicate' else 'session_id_refused' end
    from jarvis_adoption.units where summary_row is not null and session_id <> old_id on conflict do nothing;
  update jarvis_adoption.new_conversation_summaries n set session_id = u.session_id
    from jarvis_adoption.units u where u.summary_row = n.__row and u.session_id <> u.old_id;
  get diagnostics hits = row_count;
  if hits > 0 then
    perform jarvis_adoption.say('duplicate_session_id', 'settled', 'conversation_summaries.session_id', hits,
      (select string_agg(distinct old_id, ', ') from (select old_id from jarvis_adoption.units where summary_row is not null and session_id <> old_id order by old_id limit 5) as few),
      'the newest summary keeps the id, the others get <id>#2, <id>#3, …; no summary is lost');
  end if;
  insert into jarvis_adoption.remains (place, spot, col, reason)
  select 'conversation_events', n.__row, 'session_id', case when u.place > 1 then 'duplicate' else 'session_id_refused' end
    from jarvis_adoption.new_conversation_events n
    join jarvis_adoption.units u on u.old_id = n.session_id and u.member_id = n.member_id and u.nth = 1
   where n.__held is null and u.session_id <> u.old_id on conflict do nothing;
  update jarvis_adoption.new_conversation_events n set session_id = u.session_id
    from jarvis_adoption.units u
   where n.__held is null and u.old_id = n.session_id and u.member_id = n.member_id and u.nth = 1 and u.session_id <> u.old_id;
  get diagnostics hits = row_count;
  if hits > 0 then
    perform jarvis_adoption.say('session_of_several', 'settled', 'conversation_events.session_id', hits,
      'session ids that several members share, or that no session may have', 'each member''s events get a session of their own');
  end if;
  insert into jarvis_adoption.remains (place, spot, col, reason)
  select 'member_facts', f.__row, 'source_session_id', 'session_id_refused'
    from jarvis_adoption.new_member_facts f
    join jarvis_adoption.units u on u.old_id = f.source_session_id and u.member_id = f.member_id and u.nth = 1
   where f.__held is null and u.session_id <> u.old_id on conflict do nothing;
  update jarvis_adoption.new_member_facts f set source_session_id = u.session_id
    from jarvis_adoption.units u
   where f.__held is null and u.old_id = f.source_session_id and u.member_id = f.member_id and u.nth = 1 and u.session_id <> u.old_id;
end
$$;

-- Whose embeddings they are is what the operator says; half precision ends at 65504.
do $$
declare
  home constant text := (select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector');
begin
  if exists (select from jarvis_adoption.old_columns where tbl = 'conversation_summaries' and col = 'embedding_model') then
    return;
  end if;
  execute format('update jarvis_adoption.new_conversation_summaries n
                     set embedding_model = case when %s.vector_norm(n.embedding) between 1e-12 and 65504
                                                then current_setting(''jarvis_adoption.model'') else ''unknown'' end', home);
end
$$;
do $$
begin
  if not exists (select from jarvis_adoption.old_columns where tbl = 'conversation_summaries' and col = 'language') then
    update jarvis_adoption.new_conversation_summaries n set language = p.language
      from jarvis_adoption.new_member_preferences p
     where p.member_id = n.member_id and p.__held is null and p.language in ('en', 'es', 'de', 'it');
  end if;
end
$$;
select jarvis_adoption.say('summary_without_embedding', 'settled', 'conversation_summaries.embedding_model', count(*), null,
         'kept; its model is unknown, and recall by meaning leaves it out')
  from jarvis_adoption.new_conversation_summaries where __held is null and embedding_model = 'unknown' having count(*) > 0;
