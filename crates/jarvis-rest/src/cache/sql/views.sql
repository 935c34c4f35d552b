select coalesce(json_agg(json_build_array(c.oid::int8, r.ev_action::text)), '[]')::text
from pg_catalog.pg_rewrite r
join pg_catalog.pg_class c on c.oid = r.ev_class
where c.relkind in ('v', 'm') and r.ev_type = '1' and r.is_instead
  and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
