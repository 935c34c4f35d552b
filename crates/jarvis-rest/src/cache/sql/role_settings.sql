select coalesce(json_agg(json_build_array(r.rolname, split_part(s, '=', 1), substr(s, strpos(s, '=') + 1))), '[]')::text
from pg_catalog.pg_db_role_setting d
join pg_catalog.pg_roles r on r.oid = d.setrole
cross join unnest(d.setconfig) s
left join pg_catalog.pg_settings p on p.name = split_part(s, '=', 1)
where d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
  and r.rolname <> session_user
  and pg_catalog.pg_has_role(r.oid, 'MEMBER')
  and (p.context = 'user' or (p.context = 'superuser' and pg_catalog.has_parameter_privilege(p.name, 'set')))
