select r.object, o.rolname::text as part, null::text as what,
       format('alter table %s owner to %I;', r.object, (select d.datdba::regrole from pg_catalog.pg_database d where d.datname = current_database())) as mend,
       r.comment
  from relations r join pg_catalog.pg_roles o on o.oid = r.relowner cross join settings s
 where o.rolname = any (s.logins || s.roles)
