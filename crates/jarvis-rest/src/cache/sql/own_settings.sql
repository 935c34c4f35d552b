select coalesce(json_agg(json_build_array(split_part(s, '=', 1), substr(s, strpos(s, '=') + 1)) order by d.setdatabase), '[]')::text
from pg_catalog.pg_db_role_setting d, unnest(d.setconfig) s
where d.setrole = (select oid from pg_catalog.pg_roles where rolname = session_user)
  and d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
  and s like 'pgrst.%'
