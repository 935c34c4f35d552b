select r.rolname::text as object, null::text as part, case when r.rolsuper then 'superuser' else 'bypassrls' end as what,
       format('alter role %I %s;', r.rolname, case when r.rolsuper then 'nosuperuser nobypassrls' else 'nobypassrls' end) as mend, null::text as comment
  from pg_catalog.pg_roles r, settings s
 where r.rolname = any (s.logins || s.roles) and (r.rolsuper or r.rolbypassrls)
