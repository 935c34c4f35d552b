select count(distinct member_id)::float8 as value, count(distinct member_id) as n
  from public.conversation_sessions
 where gym_id = $1 and started_at >= $2 and started_at < $3 and created_at <= $4 and state <> 'empty'
