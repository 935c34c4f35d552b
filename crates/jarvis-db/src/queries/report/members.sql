select count(*)::float8 as value, count(*) as n
  from public.gym_members_v2
 where gym_id = $1 and is_active and created_at <= $2
