select coalesce(json_agg(json_build_object(
  'constraint', k.conname, 'table', k.conrelid::int8, 'other', k.confrelid::int8,
  'table_name', json_build_object('schema', tn.nspname, 'name', t.relname),
  'other_name', json_build_object('schema', fn.nspname, 'name', f.relname),
  'columns', (
    select json_agg(json_build_array(a.attname, a.attnum, b.attname, b.attnum) order by p.place)
    from unnest(k.conkey, k.confkey) with ordinality as p (here, there, place)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = p.here
    join pg_catalog.pg_attribute b on b.attrelid = k.confrelid and b.attnum = p.there),
  'unique', exists (
    select from pg_catalog.pg_constraint u
    where u.conrelid = k.conrelid and u.contype in ('p', 'u') and u.conkey <@ k.conkey and k.conkey <@ u.conkey)
) order by k.conrelid, k.conname), '[]')::text
from pg_catalog.pg_constraint k
join pg_catalog.pg_class t on t.oid = k.conrelid
join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
join pg_catalog.pg_class f on f.oid = k.confrelid
join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
where k.contype = 'f' and k.conparentid = 0
