select r.object, c.attname::text as part, string_agg(a.name, ', ' order by a.name) as what,
       format(E'revoke select on %s from public, anon, authenticated;\ngrant select (%s) on %1$s to authenticated;', r.object,
              (select string_agg(format('%I', o.attname), ', ' order by o.attnum) from pg_catalog.pg_attribute o
                 join pg_catalog.pg_type other on other.oid = o.atttypid
                where o.attrelid = r.oid and o.attnum > 0 and not o.attisdropped
                  and other.typname not in ('vector', 'halfvec', 'sparsevec'))) as mend, r.comment
  from relations r
  join pg_catalog.pg_attribute c on c.attrelid = r.oid and c.attnum > 0 and not c.attisdropped
  join pg_catalog.pg_type y on y.oid = c.atttypid and y.typname in ('vector', 'halfvec', 'sparsevec')
 cross join settings s
  join askers a on pg_catalog.has_column_privilege(a.name, r.oid, c.attnum, 'select')
 where r.nspname = any (s.exposed)
 group by r.oid, r.object, c.attname, r.comment
