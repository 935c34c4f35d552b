select coalesce(json_agg(json_build_array(r.kind, r.oid)), '[]')::text
from (
  select 'relation' as kind, c.oid::int8
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any($1) and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and (pg_catalog.pg_has_role(c.relowner, 'usage')
      or pg_catalog.has_table_privilege(c.oid, 'select, insert, update, delete, truncate, references, trigger')
      or pg_catalog.has_any_column_privilege(c.oid, 'select, insert, update, references'))
  union all
  select 'function', p.oid::int8
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where n.nspname = any($1) and pg_catalog.has_function_privilege(p.oid, 'execute')
) as r
