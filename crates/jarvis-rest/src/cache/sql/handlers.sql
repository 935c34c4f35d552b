with media as (
  select t.oid, lower(t.typname) as name, t.typname as written, n.nspname as schema,
    case t.typname when '*/*' then 'application/octet-stream' else t.typname end as makes
  from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  where t.typbasetype <> 0 and (t.typname ~* '^[A-Za-z0-9.-]+/[A-Za-z0-9.+-]+$' or t.typname = '*/*')
)
select coalesce(json_agg(json_build_object(
  'schema', schema, 'name', name, 'of_schema', of_schema, 'of_name', of_name, 'media', media, 'makes', makes)), '[]')::text
from (
  select s.nspname as schema, p.proname as name, an.nspname as of_schema, a.typname as of_name, m.name as media, m.makes
  from media m
  join pg_catalog.pg_proc p on p.prorettype = m.oid
  join pg_catalog.pg_aggregate g on g.aggfnoid = p.oid
  join pg_catalog.pg_namespace s on s.oid = p.pronamespace
  join pg_catalog.pg_type a on a.oid = p.proargtypes[0]
  join pg_catalog.pg_namespace an on an.oid = a.typnamespace
  where s.nspname = any($1) and p.pronargs = 1
    and (a.typname = 'anyelement' or exists (select from pg_catalog.pg_class c where c.reltype = a.oid))
  union
  select m.schema, m.written, s.nspname, p.proname, m.name, m.makes
  from media m
  join pg_catalog.pg_proc p on p.prorettype = m.oid
  join pg_catalog.pg_namespace s on s.oid = p.pronamespace
  where s.nspname = any($1) and p.prokind = 'f' and not p.proretset
) as found
