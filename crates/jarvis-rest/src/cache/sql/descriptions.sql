select coalesce(json_agg(json_build_array(n.nspname, obj_description(n.oid, 'pg_namespace'))), '[]')::text
from pg_catalog.pg_namespace n
where n.nspname = any($1) and obj_description(n.oid, 'pg_namespace') is not null
