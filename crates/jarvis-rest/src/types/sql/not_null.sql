-- The columns that are never null, of the tables that views read.
select coalesce(json_agg(distinct jsonb_build_array(a.attrelid::int8, a.attnum)), '[]')::text
from pg_catalog.pg_depend d
join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
join pg_catalog.pg_type t on t.oid = a.atttypid
where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
  and d.refobjsubid > 0 and (a.attnotnull or t.typtype = 'd' and t.typnotnull)
