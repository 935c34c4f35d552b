-- Since PostgreSQL 16 a membership says it itself; before, the member does.
select l.rolname::text as object, g.rolname::text as part, null::text as what,
       case when pg_catalog.current_setting('server_version_num')::int >= 160000
            then format('grant %I to %I with inherit false, set true;', g.rolname, l.rolname)
            else format('alter role %I noinherit;', l.rolname) end as mend, null::text as comment
  from pg_catalog.pg_auth_members m
  join pg_catalog.pg_roles l on l.oid = m.member
  join pg_catalog.pg_roles g on g.oid = m.roleid
 cross join settings s
 where l.rolname = any (s.logins) and not l.rolsuper
   and coalesce((pg_catalog.to_jsonb(m) ->> 'inherit_option')::boolean, l.rolinherit)
