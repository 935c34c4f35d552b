select count(*) filter (where a.churn_risk_level in ('high', 'critical'))::float8 as value, count(*) as n
  from public.member_analytics a join public.gym_members_v2 m on (m.gym_id, m.id) = (a.gym_id, a.member_id)
 where a.gym_id = $1 and m.is_active and a.churn_risk_level is not null and a.last_churn_analysis_at <= $2
