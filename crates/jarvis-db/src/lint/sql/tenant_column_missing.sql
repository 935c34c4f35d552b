select t.object, null::text as part, null::text as what,
       format('alter table %s add column %I uuid not null; -- filled from the row it belongs to', t.object, s.tenant) as mend, t.comment
  from tables t cross join settings s
 where t.tenant is null
   -- The list of the tenants themselves.
   and not exists (select from pg_catalog.pg_constraint k join relations r on r.oid = k.conrelid
                    where k.contype = 'f' and k.confrelid = t.oid and r.tenant is not null and k.conkey = array[r.tenant])
   -- People who work for several tenants: gym_access uuid[], gym_ids uuid[].
   and not exists (select from pg_catalog.pg_attribute a join pg_catalog.pg_type y on y.oid = a.atttypid
                    where a.attrelid = t.oid and not a.attisdropped and y.typcategory = 'A'
                      and a.attname::text ~ ('^' || regexp_replace(s.tenant, '_id$', '') || '_(access|ids)$'))
   and not format('%s.%s', t.nspname, t.relname) = any (coalesce(s.impersonal, '{}'))
