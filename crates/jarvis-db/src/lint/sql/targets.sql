-- What a role could touch at all, and the expressions that row level security puts before it. Policies of one verb are
-- joined by `or`, restrictive ones by `and`; a policy without an expression adds nothing (PostgreSQL does the same).
, masks as (
  select r.oid as relid, v.name as verb, a.name as role,
         string_agg('(' || case when v.checks then coalesce(p.check_, p.using_) else p.using_ end || ')', ' or ')
           filter (where p.polpermissive) as allows,
         string_agg('(' || case when v.checks then coalesce(p.check_, p.using_) else p.using_ end || ')', ' and ')
           filter (where not p.polpermissive) as limits
    from tables r cross join (values ('read', 'r', false), ('insert', 'a', true), ('update', 'w', false), ('change', 'w', true), ('delete', 'd', false))
           as v (name, cmd, checks) cross join askers a
    join policies p on p.polrelid = r.oid and p.polcmd::text in (v.cmd, '*')
     and (0 = any (p.polroles)
          or exists (select from unnest(p.polroles) as m (member) where m.member <> 0 and pg_catalog.pg_has_role(a.name, m.member, 'usage')))
   where a.name <> 'public'
   group by r.oid, v.name, a.name),
-- Functions that could act outside of this transaction, and the relations whose reading calls them.
reaching as (
  select f.oid from pg_catalog.pg_proc f join pg_catalog.pg_language l on l.oid = f.prolang
   where l.lanname not in ('internal', 'c', 'sql', 'plpgsql')
      or f.prosrc ~* '(dblink|\mhttp(_\w+)?\s*\(|net\.http|pg_background|pg_read_|pg_ls_dir|lo_export|\mcopy\M.*\mprogram\M)'
      or exists (select from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
                  where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
                    and e.extname in ('dblink', 'http', 'pg_net', 'file_fdw', 'postgres_fdw', 'adminpack', 'pg_background'))),
rests_on as (
  select w.ev_class as relid, d.refclassid, d.refobjid
    from pg_catalog.pg_rewrite w join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
   where d.refobjid <> w.ev_class
  union
  select p.polrelid, d.refclassid, d.refobjid
    from pg_catalog.pg_policy p join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
   where d.refobjid <> p.polrelid),
below as (
  select r.oid as top, r.oid as relid from relations r
  union
  select b.top, o.refobjid from below b join rests_on o on o.relid = b.relid and o.refclassid = 'pg_catalog.pg_class'::regclass)
select r.object, r.relname::text as name, r.relkind::text as kind, r.comment, a.name as role, r.relrowsecurity as guarded,
       exists (select from unnest(r.reloptions) as o (line) where line ~* '^security_invoker=(true|on|1|yes)$') as invoker,
       exists (select from below b join rests_on o on o.relid = b.relid and o.refclassid = 'pg_catalog.pg_proc'::regclass
                 join reaching x on x.oid = o.refobjid where b.top = r.oid) as reaches_out,
       pg_catalog.has_any_column_privilege(a.name, r.oid, 'select') as reads,
       pg_catalog.has_any_column_privilege(a.name, r.oid, 'insert') as inserts,
       pg_catalog.has_any_column_privilege(a.name, r.oid, 'update') as updates,
       pg_catalog.has_table_privilege(a.name, r.oid, 'delete') as deletes,
       pg_catalog.pg_relation_is_updatable(r.oid, true) as updatable,
       (select coalesce(m.allows, 'false') || coalesce(') and (' || m.limits, '') from masks m where m.relid = r.oid and m.role = a.name and m.verb = 'read') as read_mask,
       (select coalesce(m.allows, 'false') || coalesce(') and (' || m.limits, '') from masks m where m.relid = r.oid and m.role = a.name and m.verb = 'insert') as insert_mask,
       (select coalesce(m.allows, 'false') || coalesce(') and (' || m.limits, '') from masks m where m.relid = r.oid and m.role = a.name and m.verb = 'update') as update_mask,
       (select coalesce(m.allows, 'false') || coalesce(') and (' || m.limits, '') from masks m where m.relid = r.oid and m.role = a.name and m.verb = 'delete') as delete_mask,
       -- What an update may make of a row.
       (select coalesce(m.allows, 'false') || coalesce(') and (' || m.limits, '') from masks m where m.relid = r.oid and m.role = a.name and m.verb = 'change') as change_mask
  from relations r join askers a on a.name <> 'public' and pg_catalog.has_schema_privilege(a.name, r.nspname, 'usage')
 where r.relkind in ('r', 'p', 'v')
   and (pg_catalog.has_any_column_privilege(a.name, r.oid, 'select') or pg_catalog.has_any_column_privilege(a.name, r.oid, 'insert')
        or pg_catalog.has_any_column_privilege(a.name, r.oid, 'update') or pg_catalog.has_table_privilege(a.name, r.oid, 'delete'))
 order by r.object, a.name
