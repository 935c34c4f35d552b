select count(*) filter (where not exists (
         select from public.member_visits v
          where v.gym_id = m.gym_id and v.member_id = m.id and v.created_at <= $2
            and v.visited_at >= $2::timestamptz - interval '14 days' and v.visited_at < $2))::float8 as value,
       count(*) as n
  from public.gym_members_v2 m
 where m.gym_id = $1 and m.is_active and m.created_at <= $2::timestamptz - interval '14 days'
