select coalesce(json_agg(json_build_array(name, spelled) order by rank, name), '[]')::text
from (
  select t.typname as name, format_type(t.oid, -1) as spelled, coalesce(array_position($1, n.nspname::text), 0) as rank
  from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  where n.nspname = 'pg_catalog' and t.typtype in ('b', 'r', 'm') or n.nspname = any($1)
  union all
  select format_type(t.oid, null), format_type(t.oid, -1), 0
  from pg_catalog.pg_type t
  where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm')
) as known
