-- Every view's query, of whatever schema: what a view shows may come through others.
select coalesce(json_agg(json_build_array(
  c.oid::int8, n.nspname, r.ev_action::text,
  (select json_object_agg(a.attnum, a.attname) from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0)
)), '[]')::text
from pg_catalog.pg_rewrite r
join pg_catalog.pg_class c on c.oid = r.ev_class
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('v', 'm') and r.ev_type = '1' and r.is_instead and n.nspname not in ('pg_catalog', 'information_schema')
