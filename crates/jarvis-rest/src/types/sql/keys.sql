-- One to one is a key whose columns, in its order, are those of a primary key or a unique constraint in the table's order.
select coalesce(json_agg(json_build_object(
  'name', k.conname, 'inherited', k.conparentid <> 0,
  'table', json_build_object('schema', tn.nspname, 'name', t.relname), 'table_oid', t.oid::int8,
  'other', json_build_object('schema', fn.nspname, 'name', f.relname), 'other_oid', f.oid::int8,
  'pairs', p.pairs,
  'one_to_one', exists (
    select from pg_catalog.pg_constraint u
    where u.conrelid = k.conrelid and u.connamespace = k.connamespace and u.contype in ('p', 'u')
      and k.conkey = array(select x from unnest(u.conkey) x order by x))
)), '[]')::text
from pg_catalog.pg_constraint k
join pg_catalog.pg_class t on t.oid = k.conrelid
join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
join pg_catalog.pg_class f on f.oid = k.confrelid
join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
cross join lateral (
  select json_agg(json_build_object(
    'column', a.attname, 'number', a.attnum, 'other_column', b.attname, 'other_number', b.attnum) order by x.place) as pairs
  from unnest(k.conkey, k.confkey) with ordinality as x (here, there, place)
  join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.here
  join pg_catalog.pg_attribute b on b.attrelid = k.confrelid and b.attnum = x.there
) p
where k.contype = 'f' and tn.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
