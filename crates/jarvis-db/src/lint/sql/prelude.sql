-- What every rule starts from. Each rule goes on with `select object, part, what, mend, comment`.
with recursive settings as (
  select $1::text[] as schemas, $2::text as tenant, $3::text[] as roles, $4::text[] as logins, $5::text[] as exposed,
         -- The data map, when there is one: tables without anything personal, and `schema.table.column`.
         $6::text[] as impersonal, $7::text[] as mapped),
-- Who may come in from outside; `public` means everybody, and PostgreSQL takes it as a role's name.
askers as (
  select 'public'::text as name
  union all select r.rolname::text from pg_catalog.pg_roles r, settings s where r.rolname = any (s.roles)),
relations as (
  select c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) as object, c.relkind, c.relrowsecurity,
         c.relforcerowsecurity, c.relowner, c.relacl, c.reloptions,
         pg_catalog.obj_description(c.oid, 'pg_class') as comment,
         (select a.attnum from pg_catalog.pg_attribute a
           where a.attrelid = c.oid and a.attname = s.tenant and not a.attisdropped) as tenant
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   cross join settings s
   where n.nspname = any (s.schemas) and c.relkind in ('r', 'p', 'v', 'm', 'f')
     and not exists (select from pg_catalog.pg_depend d
                      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')),
tables as (select * from relations where relkind in ('r', 'p')),
policies as (
  select p.oid, p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles, t.object, t.relname,
         pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using_, pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as check_,
         concat_ws(' ', pg_catalog.obj_description(p.oid, 'pg_policy'), t.comment) as comment
    from pg_catalog.pg_policy p join tables t on t.oid = p.polrelid),
functions as (
  select f.oid, n.nspname, f.prosecdef, f.proconfig,
         format('%I.%I(%s)', n.nspname, f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid)) as object,
         case f.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind,
         -- Nobody can call these by hand.
         f.prorettype in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype) as is_trigger,
         pg_catalog.obj_description(f.oid, 'pg_proc') as comment
    from pg_catalog.pg_proc f
    join pg_catalog.pg_namespace n on n.oid = f.pronamespace
   cross join settings s
   where n.nspname = any (s.schemas)
     and not exists (select from pg_catalog.pg_depend d
                      where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'))
