select avg(a.engagement_score)::float8 as value, count(a.engagement_score) as n
  from public.member_analytics a join public.gym_members_v2 m on (m.gym_id, m.id) = (a.gym_id, a.member_id)
 where a.gym_id = $1 and m.is_active and a.updated_at <= $2
