select count(*)::float8 as value, count(*) as n
  from public.gym_members_v2 m join public.gyms g on g.id = m.gym_id
 where m.gym_id = $1 and m.member_since >= ($2::timestamptz at time zone g.timezone)::date
   and m.member_since < ($3::timestamptz at time zone g.timezone)::date and m.created_at <= $4
