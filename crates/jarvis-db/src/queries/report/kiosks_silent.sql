select count(*) filter (where last_seen_at < $2::timestamptz - interval '1 hour')::float8 as value, count(*) as n
  from public.kiosks
 where gym_id = $1 and status = 'active' and paired_at <= $2
