select t.topic as label, count(distinct s.member_id)::float8 as value
  from public.conversation_sessions s join public.conversation_summaries m using (gym_id, session_id)
 cross join unnest(m.key_topics) t (topic)
 where s.gym_id = $1 and s.started_at >= $2 and s.started_at < $3 and m.created_at <= $4
 group by t.topic having count(distinct s.member_id) >= 5 order by 2 desc, 1 limit 8
