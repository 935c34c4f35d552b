select f.object, null::text as part, string_agg(a.name, ', ' order by a.name) as what,
       format('revoke execute on %s %s from public, anon;', f.kind, f.object) as mend, f.comment
  from functions f join askers a on a.name in ('public', 'anon')
 where not f.prosecdef and not f.is_trigger
   and pg_catalog.has_function_privilege(a.name, f.oid, 'execute') and pg_catalog.has_schema_privilege(a.name, f.nspname, 'usage')
 group by f.object, f.kind, f.comment
