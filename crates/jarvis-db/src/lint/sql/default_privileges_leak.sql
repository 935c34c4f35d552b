select format('default privileges of %I%s', o.rolname, case when n.nspname is null then '' else format(' in schema %I', n.nspname) end) as object, k.name as part,
       string_agg(distinct coalesce(g.rolname::text, 'public'), ', ') as what,
       format('alter default privileges for role %I%s revoke all on %s from public, anon, authenticated;', o.rolname,
              case when n.nspname is null then '' else format(' in schema %I', n.nspname) end, k.name) as mend,
       null::text as comment
  from pg_catalog.pg_default_acl d
  join pg_catalog.pg_roles o on o.oid = d.defaclrole
  left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
  join (values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions')) as k (kind, name) on k.kind = d.defaclobjtype::text
 cross join settings s
 cross join lateral pg_catalog.aclexplode(d.defaclacl) as x
  left join pg_catalog.pg_roles g on g.oid = x.grantee
 where (d.defaclnamespace = 0 or n.nspname = any (s.schemas)) and (x.grantee = 0 or g.rolname = any (s.roles))
 group by o.rolname, n.nspname, k.name
