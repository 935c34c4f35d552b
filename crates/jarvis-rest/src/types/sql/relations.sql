-- A column of a domain is shown with the domain's base type. What has INSTEAD OF triggers or an unconditional INSTEAD rule can
-- be written in all columns, since both take whole rows; bits of tgtype: 64 instead, 4 insert, 16 update.
select coalesce(json_agg(json_build_object(
  'oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind::text,
  'comment', obj_description(c.oid, 'pg_class'),
  'insertable', c.relkind = 'v' and pg_relation_is_updatable(c.oid, true) & 8 = 8,
  'updatable', c.relkind = 'v' and pg_relation_is_updatable(c.oid, true) & 4 = 4,
  'columns', coalesce((
    select json_agg(json_build_object(
      'number', a.attnum, 'name', a.attname,
      'type_name', coalesce(b.typname, t.typname), 'type_schema', coalesce(bn.nspname, tn.nspname),
      'not_null', a.attnotnull or t.typtype = 'd' and t.typnotnull,
      'has_default', a.atthasdef, 'identity', a.attidentity::text, 'generated', a.attgenerated <> '',
      'writable', c.relkind in ('r', 'p') or c.relkind in ('v', 'f') and (
        w.replaced or pg_column_is_updatable(c.oid, a.attnum, false)),
      'comment', col_description(c.oid, a.attnum)
    ) order by a.attnum)
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
    left join pg_catalog.pg_type b on t.typtype = 'd' and b.oid = t.typbasetype
    left join pg_catalog.pg_namespace bn on bn.oid = b.typnamespace
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and (pg_has_role(c.relowner, 'USAGE')
        or has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES'))), '[]')
)), '[]')::text
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral (
  select exists (
    select from pg_catalog.pg_trigger g
    where g.tgrelid = c.oid and g.tgtype & 64 <> 0 and g.tgtype & 20 <> 0 and not g.tgisinternal
  ) or exists (
    select from pg_catalog.pg_rewrite r
    where r.ev_class = c.oid and r.is_instead and r.ev_type in ('2', '3') and r.ev_qual::text = '<>'
  ) as replaced
) w
where n.nspname = any($1) and c.relkind in ('r', 'p', 'v', 'm', 'f') and not pg_is_other_temp_schema(n.oid)
  and (c.relkind not in ('r', 'p') or pg_has_role(c.relowner, 'USAGE')
    or has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
    or has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
