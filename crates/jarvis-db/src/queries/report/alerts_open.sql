select count(*)::float8 as value, count(*) as n
  from public.manager_alerts
 where gym_id = $1 and created_at <= $2
   and (status in ('pending', 'in_progress') or coalesce(resolved_at, updated_at) > $2)
