select r.object, null::text as part, string_agg(distinct coalesce(g.rolname::text, 'public'), ', ') as what,
       format('alter view %s set (security_invoker = true);', r.object) as mend, r.comment
  from relations r
 cross join lateral (
   select x.grantee from pg_catalog.aclexplode(r.relacl) as x where x.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
   union
   select x.grantee from pg_catalog.pg_attribute a cross join lateral pg_catalog.aclexplode(a.attacl) as x where a.attrelid = r.oid) as x
  left join pg_catalog.pg_roles g on g.oid = x.grantee
 where r.relkind = 'v' and x.grantee <> r.relowner
   and not exists (select from unnest(r.reloptions) as o (line) where line ~* '^security_invoker=(true|on|1|yes)$')
 group by r.object, r.comment
