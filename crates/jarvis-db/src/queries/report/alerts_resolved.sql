select count(*)::float8 as value, count(*) as n
  from public.manager_alerts
 where gym_id = $1 and resolved_at >= $2 and resolved_at < $3 and resolved_at <= $4 and status = 'resolved'
