select format('%I', n.nspname) as object, null::text as part, string_agg(a.name, ', ' order by a.name) as what,
       format('revoke create on schema %I from public, anon, authenticated;', n.nspname) as mend,
       pg_catalog.obj_description(n.oid, 'pg_namespace') as comment
  from pg_catalog.pg_namespace n cross join settings s
  join askers a on pg_catalog.has_schema_privilege(a.name, n.oid, 'create')
 where n.nspname = any (s.schemas)
 group by n.nspname, n.oid
