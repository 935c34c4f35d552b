select percentile_cont(0.5) within group (order by extract(epoch from resolved_at - created_at) / 3600)::float8 as value,
       count(*) as n
  from public.manager_alerts
 where gym_id = $1 and resolved_at >= $2 and resolved_at < $3 and resolved_at <= $4 and status = 'resolved'
