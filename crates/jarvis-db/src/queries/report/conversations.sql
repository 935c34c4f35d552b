select count(*)::float8 as value, count(*) as n
  from public.conversation_sessions
 where gym_id = $1 and started_at >= $2 and started_at < $3 and created_at <= $4 and state <> 'empty'
