select avg((m.sentiment = 'negative')::int)::float8 as value, count(m.sentiment) as n
  from public.conversation_sessions s join public.conversation_summaries m using (gym_id, session_id)
 where s.gym_id = $1 and s.started_at >= $2 and s.started_at < $3 and m.created_at <= $4
