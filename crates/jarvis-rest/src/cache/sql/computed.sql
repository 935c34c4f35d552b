with recursive bases as (
  select t.oid, t.oid as base, t.typtype, t.typbasetype from pg_catalog.pg_type t
  union all
  select b.oid, t.oid, t.typtype, t.typbasetype
  from bases b join pg_catalog.pg_type t on t.oid = b.typbasetype
  where b.typtype = 'd'
)
select coalesce(json_agg(json_build_object(
  'schema', s.nspname, 'name', p.proname,
  'relation', json_build_object('schema', an.nspname, 'name', a.relname),
  'base', format_type(b.base, -1),
  'to', case when r.oid is not null then json_build_object('schema', rn.nspname, 'name', r.relname) end,
  'single', not p.proretset or p.prorows = 1
)), '[]')::text
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace s on s.oid = p.pronamespace
join pg_catalog.pg_class a on a.reltype = p.proargtypes[0] and a.relkind in ('r', 'v', 'm', 'f', 'p')
join pg_catalog.pg_namespace an on an.oid = a.relnamespace
join bases b on b.oid = p.prorettype and b.typtype <> 'd'
left join pg_catalog.pg_class r on r.reltype = p.prorettype and r.relkind in ('r', 'v', 'm', 'f', 'p')
left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
where p.pronargs = 1 and p.proargtypes[0] <> 0 and p.prokind = 'f'
