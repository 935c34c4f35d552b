-- The schemas that this login may look into, besides PostgreSQL's own.
select coalesce(json_agg(n.nspname order by n.nspname), '[]')::text
from pg_catalog.pg_namespace n
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and (pg_has_role(n.nspowner, 'USAGE') or has_schema_privilege(n.oid, 'CREATE, USAGE'))
