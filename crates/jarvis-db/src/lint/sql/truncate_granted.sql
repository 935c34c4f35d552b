select t.object, null::text as part, string_agg(a.name, ', ' order by a.name) as what,
       format('revoke truncate, references, trigger on %s from public, anon, authenticated;', t.object) as mend, t.comment
  from tables t join askers a on pg_catalog.has_table_privilege(a.name, t.oid, 'truncate')
 group by t.object, t.comment
