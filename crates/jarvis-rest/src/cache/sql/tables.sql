with recursive bases as (
  select t.oid, t.oid as base, t.typtype, t.typbasetype from pg_catalog.pg_type t
  union all
  select b.oid, t.oid, t.typtype, t.typbasetype
  from bases b join pg_catalog.pg_type t on t.oid = b.typbasetype
  where b.typtype = 'd'
)
select coalesce(json_agg(json_build_object(
  'oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'is_view', c.relkind in ('v', 'm'),
  'insertable', c.relkind in ('r', 'p') or exposed and c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 8 = 8,
  'updatable', c.relkind in ('r', 'p') or exposed and c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 4 = 4,
  'description', obj_description(c.oid, 'pg_class'),
  'deletable', c.relkind in ('r', 'p') or exposed and c.relkind in ('v', 'f') and pg_relation_is_updatable(c.oid, true) & 16 = 16,
  'primary_key', coalesce((
    select json_agg(json_build_array(a.attnum, a.attname) order by a.attname)
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = any(k.conkey)
    where k.conrelid = c.oid and k.contype = 'p'), '[]'),
  'numbers', coalesce((
    select json_agg(json_build_array(a.attnum, a.attname) order by a.attnum)
    from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]'),
  'columns', case when not exposed then '[]' else coalesce((
    select json_agg(json_build_object(
      'name', a.attname,
      'description', col_description(c.oid, a.attnum),
      'nullable', not (a.attnotnull or t.typtype = 'd' and t.typnotnull),
      'max_length', information_schema._pg_char_max_length(
        information_schema._pg_truetypid(a, t), information_schema._pg_truetypmod(a, t)),
      'labels', coalesce((
        select json_agg(l.enumlabel order by l.enumsortorder) from pg_catalog.pg_enum l where l.enumtypid = b.base), '[]'),
      'shown', case
        when bt.typnamespace = 'pg_catalog'::regnamespace then format_type(b.base, null)
        else format_type(a.atttypid, a.atttypmod) end,
      'declared', format_type(a.atttypid, a.atttypmod),
      'base', format_type(b.base, -1),
      'default', case
        when d.adbin is null and t.typbasetype <> 0 then pg_get_expr(t.typdefaultbin, 0)
        when a.attidentity = 'd' then format('nextval(%L)', q.objid::regclass)
        when a.attgenerated <> '' then null
        else pg_get_expr(d.adbin, d.adrelid) end
    ) order by a.attnum)
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    join bases b on b.oid = a.atttypid and b.typtype <> 'd'
    join pg_catalog.pg_type bt on bt.oid = b.base
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_catalog.pg_depend q on q.refobjid = a.attrelid and q.refobjsubid = a.attnum and q.deptype = 'i'
      and q.classid = 'pg_class'::regclass
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') end
)), '[]')::text
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral (select n.nspname = any($1) as exposed) e
where c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition
  and n.nspname not in ('pg_catalog', 'information_schema') and not pg_is_other_temp_schema(n.oid)
