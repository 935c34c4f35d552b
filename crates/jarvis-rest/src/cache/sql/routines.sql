with recursive bases as (
  select t.oid, t.oid as base, t.typtype, t.typbasetype from pg_catalog.pg_type t
  union all
  select b.oid, t.oid, t.typtype, t.typbasetype
  from bases b join pg_catalog.pg_type t on t.oid = b.typbasetype
  where b.typtype = 'd'
)
select coalesce(json_agg(json_build_object(
  'oid', p.oid::int8, 'schema', n.nspname, 'name', p.proname,
  'description', obj_description(p.oid, 'pg_proc'),
  'arguments', coalesce(g.arguments, '[]'),
  'returns_schema', tn.nspname, 'returns_name', coalesce(c.relname, t.typname),
  'set', p.proretset,
  'composite', t.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false),
  'volatile', p.provolatile = 'v',
  'columns', case
    when coalesce(p.proargmodes::text[] && '{t,b,o}', false) then (
      select json_agg(json_build_array(coalesce(o.name, ''), format_type(ob.base, -1)) order by o.place)
      from unnest(p.proargnames, p.proallargtypes, p.proargmodes) with ordinality as o (name, type, mode, place)
      join bases ob on ob.oid = o.type and ob.typtype <> 'd'
      where o.mode in ('t', 'b', 'o'))
    else coalesce((
      select json_agg(json_build_array(a.attname, format_type(ab.base, -1)) order by a.attnum)
      from pg_catalog.pg_attribute a join bases ab on ab.oid = a.atttypid and ab.typtype <> 'd'
      where a.attrelid = t.typrelid and t.typrelid <> 0 and a.attnum > 0 and not a.attisdropped), '[]') end,
  'settings', coalesce(to_json(p.proconfig), '[]')
) order by p.oid), '[]')::text
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join bases rb on rb.oid = p.prorettype and rb.typtype <> 'd'
join pg_catalog.pg_type t on t.oid = rb.base
join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
left join pg_catalog.pg_class c on c.oid = t.typrelid
left join lateral (
  select
    json_agg(json_build_object(
      'name', coalesce(x.name, ''), 'as_type', format_type(x.type, -1), 'shown', format_type(x.type, null),
      'required', x.place <= p.pronargs - p.pronargdefaults, 'variadic', coalesce(x.mode = 'v', false)
    ) order by x.place) as arguments,
    count(*) - count(nullif(x.name, '')) as unnamed,
    count(*) as total,
    min(x.type) as first_type
  from (
    select y.name, y.type, y.mode, row_number() over (order by y.ord) as place
    from unnest(
      p.proargnames, coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargmodes
    ) with ordinality as y (name, type, mode, ord)
    where coalesce(y.mode, 'i') in ('i', 'b', 'v')
  ) as x
) as g on true
where n.nspname = any($1) and p.prokind = 'f' and t.oid not in ('trigger'::regtype, 'event_trigger'::regtype)
  and (coalesce(g.unnamed, 0) = 0 or g.unnamed = 1 and g.total = 1
       and g.first_type in ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype))
