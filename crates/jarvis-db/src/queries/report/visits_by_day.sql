select d.day::date::text as label, count(v.id)::float8 as value
  from public.gyms g
 cross join generate_series(($2::timestamptz at time zone g.timezone)::date::timestamp,
                            ($3::timestamptz at time zone g.timezone)::date::timestamp - interval '1 day', interval '1 day') d (day)
  left join public.member_visits v on v.gym_id = g.id and v.visited_at >= $2 and v.visited_at < $3 and v.created_at <= $4
        and v.source <> 'opening_balance' and (v.visited_at at time zone g.timezone)::date = d.day::date
 where g.id = $1 group by d.day order by d.day
