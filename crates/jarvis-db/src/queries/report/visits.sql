select count(*)::float8 as value, count(*) as n
  from public.member_visits
 where gym_id = $1 and visited_at >= $2 and visited_at < $3 and created_at <= $4 and source <> 'opening_balance'
