select r.object, null::text as part,
       concat_ws(': ', case r.relkind when 'm' then 'materialized view' else 'foreign table' end, string_agg(a.name, ', ' order by a.name)) as what,
       format('revoke all on %s from public, anon, authenticated;', r.object) as mend, r.comment
  from relations r join askers a on pg_catalog.has_any_column_privilege(a.name, r.oid, 'select')
                                 or pg_catalog.has_any_column_privilege(a.name, r.oid, 'update')
 where r.relkind in ('m', 'f')
 group by r.object, r.relkind, r.comment
