select coalesce(json_agg(json_build_object(
  'oid', t.oid::int8, 'schema', n.nspname, 'name', t.typname, 'shown', format_type(t.oid, null),
  'relation', nullif(t.typrelid::int8, 0), 'comment', obj_description(t.oid, 'pg_type'),
  'labels', case when t.typtype <> 'e' then '[]' else coalesce((
    select json_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid), '[]') end,
  'attributes', case when c.relkind is distinct from 'c' then '[]' else coalesce((
    select json_agg(json_build_object('name', a.attname, 'type', a.atttypid::int8) order by a.attnum)
    from pg_catalog.pg_attribute a where a.attrelid = c.oid and not a.attisdropped), '[]') end
)), '[]')::text
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
left join pg_catalog.pg_class c on c.oid = t.typrelid
where t.typrelid = 0 or c.relkind in ('c', 'r', 'v', 'm', 'p', 'f')
