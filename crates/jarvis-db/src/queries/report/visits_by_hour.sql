select h.hour::text as label, count(v.id)::float8 as value
  from public.gyms g cross join generate_series(0, 23) h (hour)
  left join public.member_visits v on v.gym_id = g.id and v.visited_at >= $2 and v.visited_at < $3 and v.created_at <= $4
        and v.source <> 'opening_balance' and extract(hour from v.visited_at at time zone g.timezone) = h.hour
 where g.id = $1 group by h.hour order by h.hour
