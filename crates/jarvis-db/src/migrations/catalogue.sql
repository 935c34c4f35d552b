-- What stands in a database: one row an object, by kind, schema, the table it belongs to, name and definition.
-- Every name is written in full (search_path is empty), so that two databases of one PostgreSQL version say the same
-- when they are the same. Left out: PostgreSQL's own schemas, what belongs to an extension, the history of the
-- migrations, and the order of columns. The role that owns schema jarvis is called (owner), whatever its name.
with
  mine as (
    select n.oid, n.nspname, n.nspowner, n.nspacl
      from pg_catalog.pg_namespace n
     where n.nspname not in ('information_schema', 'supabase_migrations') and n.nspname not like 'pg\_%'),
  extension_member as (
    select d.classid, d.objid from pg_catalog.pg_depend d where d.deptype = 'e'),
  proprietor as (
    select coalesce((select nspowner from pg_catalog.pg_namespace where nspname = 'jarvis'),
                    (select oid from pg_catalog.pg_roles where rolname = current_user)) as oid),
  role as (
    select 0::oid as oid, 'public' as name
    union all
    select r.oid, case when r.oid = p.oid then '(owner)' else r.rolname::text end
      from pg_catalog.pg_roles r cross join proprietor p),
  relation as (
    select c.*, m.nspname, format('%I.%I', m.nspname, c.relname) as called
      from pg_catalog.pg_class c join mine m on m.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
       and not exists (select from extension_member e where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid)
       -- The sequence of an identity column follows its column.
       and not exists (select from pg_catalog.pg_depend d
                        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'i'
                          and c.relkind = 'S')),
  routine as (
    select p.*, m.nspname,
           format('%I.%I(%s)', m.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) as called
      from pg_catalog.pg_proc p join mine m on m.oid = p.pronamespace
     where p.prokind in ('f', 'p', 'w')
       and not exists (select from extension_member e where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid)),
  -- An owner's own rights go without saying.
  right_of_relation as (
    select r.oid, string_agg(distinct g.name || ' may ' || lower(a.privilege_type)
                             || case when a.is_grantable then ' with grant option' else '' end, ', '
                             order by g.name || ' may ' || lower(a.privilege_type)
                             || case when a.is_grantable then ' with grant option' else '' end) as who
      from relation r cross join lateral pg_catalog.aclexplode(r.relacl) a join role g on g.oid = a.grantee
     where a.grantee <> r.relowner
     group by r.oid),
  right_of_column as (
    select r.oid, t.attnum, string_agg(distinct g.name || ' may ' || lower(a.privilege_type), ', '
                                       order by g.name || ' may ' || lower(a.privilege_type)) as who
      from relation r join pg_catalog.pg_attribute t on t.attrelid = r.oid
     cross join lateral pg_catalog.aclexplode(t.attacl) a join role g on g.oid = a.grantee
     where a.grantee <> r.relowner
     group by r.oid, t.attnum),
  right_of_routine as (
    select r.oid, string_agg(distinct g.name, ', ' order by g.name) as who
      from routine r
     cross join lateral pg_catalog.aclexplode(coalesce(r.proacl, pg_catalog.acldefault('f', r.proowner))) a
      join role g on g.oid = a.grantee
     where a.grantee <> r.proowner
     group by r.oid)

-- `public` belongs to the platform or the cluster; who may use it is not ours to say.
select 'schema' as kind, m.nspname::text as "schema", null::text as relation, format('%I', m.nspname) as name,
       concat_ws('; ', 'owner ' || o.name,
                 (select string_agg(distinct g.name || ' may ' || lower(a.privilege_type), ', '
                                    order by g.name || ' may ' || lower(a.privilege_type))
                    from pg_catalog.aclexplode(m.nspacl) a join role g on g.oid = a.grantee
                   where a.grantee <> m.nspowner)) as definition
  from mine m join role o on o.oid = m.nspowner
 where m.nspname <> 'public'

union all
select case r.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                      when 'f' then 'foreign table' else 'table' end,
       r.nspname, null, r.called,
       concat_ws('; ', 'owner ' || o.name, case r.relpersistence when 'u' then 'unlogged' when 't' then 'temporary' end,
                 case when r.relkind = 'p' then 'partitioned ' || pg_catalog.pg_get_partkeydef(r.oid) end,
                 array_to_string(r.reloptions, ', '),
                 case when r.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(r.oid) end,
                 (select concat_ws(' ', pg_catalog.format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin,
                                   s.seqmax, s.seqcycle)
                    from pg_catalog.pg_sequence s where s.seqrelid = r.oid))
  from relation r join role o on o.oid = r.relowner

union all
select 'row level security', r.nspname, r.called, r.called,
       concat_ws(', ', case when r.relrowsecurity then 'enabled' else 'disabled' end,
                 case when r.relforcerowsecurity then 'forced' else 'not forced' end)
  from relation r where r.relkind in ('r', 'p')

union all
select 'rights', r.nspname, r.called, r.called, coalesce(w.who, 'nobody but the owner')
  from relation r left join right_of_relation w on w.oid = r.oid

union all
select 'column', r.nspname, r.called, format('%s.%I', r.called, a.attname),
       concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
                 case when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation::text end,
                 case when a.attnotnull then 'not null' end,
                 case a.attidentity when 'a' then 'generated always as identity'
                                    when 'd' then 'generated by default as identity' end,
                 case when a.attgenerated <> '' then 'generated ' || a.attgenerated::text || ' as' when d.oid is not null then 'default' end,
                 pg_catalog.pg_get_expr(d.adbin, d.adrelid))
  from relation r
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where r.relkind in ('r', 'p', 'f')

union all
select 'rights on column', r.nspname, r.called, format('%s.%I', r.called, a.attname), w.who
  from right_of_column w join relation r on r.oid = w.oid
  join pg_catalog.pg_attribute a on a.attrelid = w.oid and a.attnum = w.attnum

union all
-- Since version 18 `not null` is a constraint too; it stands with its column here.
select 'constraint', r.nspname, r.called, format('%I on %s', c.conname, r.called),
       concat_ws(' ', pg_catalog.pg_get_constraintdef(c.oid), case when not c.convalidated then '(not validated)' end)
  from pg_catalog.pg_constraint c join relation r on r.oid = c.conrelid
 where c.contype <> 'n'

union all
select 'index', r.nspname, r.called, format('%I.%I', r.nspname, i.relname),
       concat_ws(' ', pg_catalog.pg_get_indexdef(x.indexrelid), case when not x.indisvalid then '(invalid)' end)
  from pg_catalog.pg_index x join relation r on r.oid = x.indrelid join pg_catalog.pg_class i on i.oid = x.indexrelid
 -- That of a constraint comes with it.
 where not exists (select from pg_catalog.pg_constraint c where c.conindid = x.indexrelid and c.contype in ('p', 'u', 'x'))

union all
select 'trigger', r.nspname, r.called, format('%I on %s', t.tgname, r.called),
       concat_ws(' ', pg_catalog.pg_get_triggerdef(t.oid),
                 case t.tgenabled when 'D' then '(disabled)' when 'A' then '(always)' when 'R' then '(replica)' end)
  from pg_catalog.pg_trigger t join relation r on r.oid = t.tgrelid
 where not t.tgisinternal

union all
select 'policy', r.nspname, r.called, format('%I on %s', p.polname, r.called),
       concat_ws(' ', 'as', case when p.polpermissive then 'permissive' else 'restrictive' end,
                 'for', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                                      when 'd' then 'delete' else 'all' end,
                 'to', (select string_agg(g.name, ', ' order by g.name) from role g where g.oid = any(p.polroles)),
                 'using (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
                 'with check (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')')
  from pg_catalog.pg_policy p join relation r on r.oid = p.polrelid

union all
select 'rule', r.nspname, r.called, format('%I on %s', w.rulename, r.called), pg_catalog.pg_get_ruledef(w.oid)
  from pg_catalog.pg_rewrite w join relation r on r.oid = w.ev_class
 where w.rulename <> '_RETURN'

union all
select 'function', r.nspname, null, r.called,
       concat_ws(E'\n', 'owner ' || o.name || ', executed by ' || coalesce(w.who, 'nobody but the owner'),
                 pg_catalog.pg_get_functiondef(r.oid))
  from routine r join role o on o.oid = r.proowner left join right_of_routine w on w.oid = r.oid

union all
select 'type', m.nspname, null, format('%I.%I', m.nspname, t.typname),
       case t.typtype
         when 'e' then (select 'enum of ' || string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                          from pg_catalog.pg_enum e where e.enumtypid = t.oid)
         when 'd' then concat_ws(' ', 'domain over', pg_catalog.format_type(t.typbasetype, t.typtypmod),
                                 case when t.typnotnull then 'not null' end, 'default ' || t.typdefault,
                                 (select string_agg(pg_catalog.pg_get_constraintdef(c.oid), ' ' order by c.conname)
                                    from pg_catalog.pg_constraint c where c.contypid = t.oid and c.contype <> 'n'))
         else (select 'composite of ' || string_agg(format('%I %s', a.attname,
                                                          pg_catalog.format_type(a.atttypid, a.atttypmod)), ', '
                                                   order by a.attnum)
                 from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)
       end
  from pg_catalog.pg_type t join mine m on m.oid = t.typnamespace
  left join pg_catalog.pg_class c on c.oid = t.typrelid
 where (t.typtype in ('e', 'd') or (t.typtype = 'c' and c.relkind = 'c'))
   and not exists (select from extension_member e where e.classid = 'pg_catalog.pg_type'::regclass and e.objid = t.oid)

union all
select 'text search dictionary', m.nspname, null, format('%I.%I', m.nspname, d.dictname),
       concat_ws(' ', (select t.tmplname from pg_catalog.pg_ts_template t where t.oid = d.dicttemplate), d.dictinitoption)
  from pg_catalog.pg_ts_dict d join mine m on m.oid = d.dictnamespace
 where not exists (select from extension_member e where e.classid = 'pg_catalog.pg_ts_dict'::regclass and e.objid = d.oid)

union all
select 'text search configuration', m.nspname, null, format('%I.%I', m.nspname, c.cfgname),
       (select string_agg(concat_ws(' ', x.maptokentype, x.mapseqno, d.dictname), ', ' order by x.maptokentype, x.mapseqno)
          from pg_catalog.pg_ts_config_map x join pg_catalog.pg_ts_dict d on d.oid = x.mapdict where x.mapcfg = c.oid)
  from pg_catalog.pg_ts_config c join mine m on m.oid = c.cfgnamespace

union all
select 'statistics', m.nspname, s.stxrelid::regclass::text, format('%I.%I', m.nspname, s.stxname),
       pg_catalog.pg_get_statisticsobjdef(s.oid)
  from pg_catalog.pg_statistic_ext s join mine m on m.oid = s.stxnamespace

union all
select 'comment', r.nspname, r.called,
       case when d.objsubid = 0 then r.called
            else format('%s.%I', r.called, (select a.attname from pg_catalog.pg_attribute a
                                             where a.attrelid = r.oid and a.attnum = d.objsubid)) end,
       d.description
  from pg_catalog.pg_description d join relation r on r.oid = d.objoid
 where d.classoid = 'pg_catalog.pg_class'::regclass

union all
select 'comment', r.nspname, null, r.called, d.description
  from pg_catalog.pg_description d join routine r on r.oid = d.objoid
 where d.classoid = 'pg_catalog.pg_proc'::regclass

union all
select 'extension', '', null, e.extname::text, 'installed'
  from pg_catalog.pg_extension e
