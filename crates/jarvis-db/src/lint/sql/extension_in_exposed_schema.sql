select format('%I', n.nspname) as object, e.extname::text as part, null::text as what,
       format(E'create schema if not exists extensions;\nalter extension %I set schema extensions;', e.extname) as mend,
       pg_catalog.obj_description(e.oid, 'pg_extension') as comment
  from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace cross join settings s
 where n.nspname = any (s.exposed)
