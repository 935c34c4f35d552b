select b.band as label, count(m.id)::float8 as value
  from unnest(array['low', 'medium', 'high', 'critical']) with ordinality b (band, rank)
  left join public.member_analytics a on a.gym_id = $1 and a.churn_risk_level = b.band and a.last_churn_analysis_at <= $2
  left join public.gym_members_v2 m on (m.gym_id, m.id) = (a.gym_id, a.member_id) and m.is_active
 group by b.band, b.rank order by b.rank
