-- Opens the workshop of an adoption and writes down what stands in the database, before anything moves. The workshop
-- is a schema that exists within this transaction only.
set local search_path = pg_catalog;
set local timezone = 'UTC';
set local statement_timeout = 0;
set local row_security = off;
set local check_function_bodies = off;

create schema jarvis_adoption;

-- The tables that are taken over, parents first; `key` names the row in the new table.
create table jarvis_adoption.moved (
  n integer primary key, name text unique not null, key text not null, parent boolean not null,
  old oid, found bigint not null default 0);
insert into jarvis_adoption.moved (n, name, key, parent, old)
select n, name, key, parent, to_regclass(format('public.%I', name))
  from (values (1, 'gyms', 'id', true), (2, 'users', 'id', true), (3, 'gym_members_v2', 'id', true),
               (4, 'member_fitness_profile', 'member_id', false), (5, 'member_preferences', 'member_id', false),
               (6, 'member_facts', 'id', false), (7, 'conversation_summaries', 'id', false),
               (8, 'conversation_events', 'id', false), (9, 'member_analytics', 'member_id', false),
               (10, 'manager_alerts', 'id', false), (11, 'insights_reports', 'id', false)) as t (n, name, key, parent);

create table jarvis_adoption.findings (
  n bigint generated always as identity, code text, severity text, place text, rows bigint, detail text, settlement text);
create table jarvis_adoption.dependants (
  n bigint generated always as identity, kind text, name text, off text, back text[], done boolean not null default false);
create table jarvis_adoption.remains (place text, spot text, col text, reason text, unique (place, spot, col));
create table jarvis_adoption.reach (classid oid, objid oid, primary key (classid, objid));
create table jarvis_adoption.bad (spot text primary key);

create function jarvis_adoption.say(code text, severity text, place text, rows bigint, detail text, settlement text)
  returns void language sql as $$
    insert into jarvis_adoption.findings (code, severity, place, rows, detail, settlement)
    values (code, severity, place, rows, detail, settlement)
  $$;

-- Grants of an object again, as statements. A platform's default privileges open new objects to everybody, so what
-- is there at birth is taken back first.
create function jarvis_adoption.grants(acl aclitem[], owner oid, object text) returns text[] language sql as $$
  select array[format('revoke all on %s from public', object)]
      || coalesce((select array_agg(format('revoke all on %s from %I', object, r.rolname)) from pg_roles r
                    where r.rolname in ('anon', 'authenticated', 'service_role')), '{}')
      || coalesce((select array_agg(format('grant %s on %s to %s%s', g.privilege_type, object,
                          case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
                          case when g.is_grantable then ' with grant option' else '' end))
                     from aclexplode(acl) g where g.grantee <> owner), '{}')
$$;

create table jarvis_adoption.old_columns as
select m.name as tbl, a.attname::text as col, a.attnum, format_type(a.atttypid, a.atttypmod) as type, a.atttypid,
       a.attnotnull, a.attgenerated <> '' as generated, a.attidentity::text as identity, pg_get_expr(d.adbin, d.adrelid) as def,
       case when a.attcollation not in (0, t.typcollation)
            then format('%I.%I', cn.nspname, c.collname) end as collation,
       col_description(a.attrelid, a.attnum) as comment, null::text as sequence
  from jarvis_adoption.moved m
  join pg_attribute a on a.attrelid = m.old and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join pg_collation c on c.oid = a.attcollation
  left join pg_namespace cn on cn.oid = c.collnamespace;

-- A sequence behind a default belongs to its column and would move with it.
update jarvis_adoption.old_columns o set sequence = s.sequence
  from (select m.name as tbl, d.refobjsubid as attnum, format('%I.%I', n.nspname, q.relname) as sequence
          from jarvis_adoption.moved m
          join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = m.old and d.refobjsubid > 0
                          and d.classid = 'pg_class'::regclass and d.deptype = 'a'
          join pg_class q on q.oid = d.objid and q.relkind = 'S'
          join pg_namespace n on n.oid = q.relnamespace) as s
 where s.tbl = o.tbl and s.attnum = o.attnum;

create table jarvis_adoption.old_constraints as
select m.name as tbl, c.conname::text as name, pg_get_constraintdef(c.oid) as def, c.contype::text as type,
       coalesce((select array_agg(a.attname::text) from pg_attribute a where a.attrelid = m.old and a.attnum = any (c.conkey)), '{}') as cols
  from jarvis_adoption.moved m join pg_constraint c on c.conrelid = m.old
 where c.contype in ('c', 'f', 'u', 'p', 'x');

create table jarvis_adoption.old_indexes as
select m.name as tbl, i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as def, i.indisunique as uniq,
       coalesce((select array_agg(distinct a.attname::text) from pg_depend d
                   join pg_attribute a on a.attrelid = m.old and a.attnum = d.refobjsubid
                  where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                    and d.refclassid = 'pg_class'::regclass and d.refobjid = m.old and d.refobjsubid > 0), '{}') as cols
  from jarvis_adoption.moved m join pg_index i on i.indrelid = m.old
 where not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('u', 'p', 'x'));

-- Everything that stands on these tables, however far: views, functions, policies of other tables.
do $$
declare
  found_more bigint := 1;
begin
  insert into jarvis_adoption.reach
  select 'pg_class'::regclass, old from jarvis_adoption.moved where old is not null;
  while found_more > 0 loop
    with fresh as (
      insert into jarvis_adoption.reach
      -- a relation lends its row type, and that type its array
      select 'pg_type'::regclass, t.oid from pg_type t join jarvis_adoption.reach r
          on r.classid = 'pg_class'::regclass and t.typrelid = r.objid and t.typrelid <> 0
      union
      select 'pg_type'::regclass, t.oid from pg_type t join jarvis_adoption.reach r
          on r.classid = 'pg_type'::regclass and t.typelem = r.objid and t.typcategory = 'A'
      union
      select 'pg_class'::regclass, w.ev_class from pg_depend d join pg_rewrite w on w.oid = d.objid
        join jarvis_adoption.reach r on d.refclassid = r.classid and d.refobjid = r.objid
       where d.classid = 'pg_rewrite'::regclass and w.ev_class <> d.refobjid
      union
      select d.classid, d.objid from pg_depend d
        join jarvis_adoption.reach r on d.refclassid = r.classid and d.refobjid = r.objid
       where d.classid in ('pg_proc'::regclass, 'pg_policy'::regclass) and d.deptype = 'n'
      on conflict do nothing
      returning 1)
    select count(*) into found_more from fresh;
  end loop;
end
$$;

-- Policies of other tables
insert into jarvis_adoption.dependants (kind, name, off, back)
select 'policy', format('%I on %s', p.polname, p.polrelid::regclass), format('drop policy %I on %s', p.polname, p.polrelid::regclass),
       array[format('create policy %I on %s as %s for %s to %s%s%s', p.polname, p.polrelid::regclass,
         case when p.polpermissive then 'permissive' else 'restrictive' end,
         case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
         (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ') from unnest(p.polroles) r),
         ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')]
  from pg_policy p join jarvis_adoption.reach r on r.classid = 'pg_policy'::regclass and r.objid = p.oid
 where p.polrelid not in (select old from jarvis_adoption.moved where old is not null);

-- Foreign keys of other tables
insert into jarvis_adoption.dependants (kind, name, off, back)
select 'foreign key', format('%I on %s', c.conname, c.conrelid::regclass), format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname),
       array[format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))]
  from pg_constraint c join jarvis_adoption.moved m on m.old = c.confrelid
 where c.contype = 'f' and c.conparentid = 0 and c.conrelid not in (select old from jarvis_adoption.moved where old is not null);

-- Views. Without security_invoker a view shows its owner's rows to everybody who may select from it.
insert into jarvis_adoption.dependants (kind, name, off, back)
select 'view', c.oid::regclass::text, format('drop view %s', c.oid::regclass),
       array[format('create view %s with (security_invoker = true%s) as %s', c.oid::regclass,
               (select string_agg(', ' || o, '') from unnest(c.reloptions) o where o not like 'security_invoker%'),
               pg_get_viewdef(c.oid))]
       || jarvis_adoption.grants(c.relacl, c.relowner, c.oid::regclass::text)
       || case when c.relowner <> current_user::regrole then array[format('alter view %s owner to %I', c.oid::regclass, pg_get_userbyid(c.relowner))] else '{}' end
       || coalesce(array[format('comment on view %s is %L', c.oid::regclass, obj_description(c.oid, 'pg_class'))], '{}')
  from pg_class c join jarvis_adoption.reach r on r.classid = 'pg_class'::regclass and r.objid = c.oid
 where c.relkind = 'v';
select jarvis_adoption.say('view_without_security', 'settled', c.oid::regclass::text, null,
         'this view shows every row to whoever may select from it, past row level security',
         'made again with security_invoker = true: each caller sees their own rows')
  from pg_class c join jarvis_adoption.reach r on r.classid = 'pg_class'::regclass and r.objid = c.oid
 where c.relkind = 'v' and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false);
select jarvis_adoption.say('materialized_view', 'blocking', c.oid::regclass::text, null,
         'it keeps a copy of the rows outside of row level security',
         format('drop materialized view %s; and create it again afterwards, if it is still needed', c.oid::regclass))
  from pg_class c join jarvis_adoption.reach r on r.classid = 'pg_class'::regclass and r.objid = c.oid where c.relkind = 'm';

-- Functions whose signature or body is bound to these tables; those that only name them in a text need nothing. The
-- guide's own are replaced by ours.
create table jarvis_adoption.replaced_functions as
select p.oid, p.oid::regprocedure::text as signature from pg_proc p
 where p.pronamespace = 'public'::regnamespace
   and p.proname in ('match_conversation_summaries', 'log_member_visit', 'member_cautions');
insert into jarvis_adoption.dependants (kind, name, off, back)
select 'function', p.oid::regprocedure::text, format('drop %s %s', case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure),
       array[pg_get_functiondef(p.oid)]
       || jarvis_adoption.grants(coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner, 'routine ' || p.oid::regprocedure::text)
       || case when p.proowner <> current_user::regrole then array[format('alter routine %s owner to %I', p.oid::regprocedure, pg_get_userbyid(p.proowner))] else '{}' end
       || coalesce(array[format('comment on routine %s is %L', p.oid::regprocedure, obj_description(p.oid, 'pg_proc'))], '{}')
  from pg_proc p join jarvis_adoption.reach r on r.classid = 'pg_proc'::regclass and r.objid = p.oid
 where p.prokind in ('f', 'p') and p.oid not in (select oid from jarvis_adoption.replaced_functions);

-- Triggers. One that only dates updated_at is done by ours.
create table jarvis_adoption.old_triggers as
select m.name as tbl, t.tgname::text as name, pg_get_triggerdef(t.oid) as def, t.tgenabled::text as enabled,
       regexp_replace(regexp_replace(lower(p.prosrc), '--[^\n]*', '', 'g'), '\s', '', 'g')
         ~ '^begin(new\.updated_at:?=(now\(\)|current_timestamp|clock_timestamp\(\)|timezone\([^;]*\));)returnnew;end;?$' as touches
  from jarvis_adoption.moved m join pg_trigger t on t.tgrelid = m.old and not t.tgisinternal join pg_proc p on p.oid = t.tgfoid;
insert into jarvis_adoption.dependants (kind, name, back)
select 'trigger', format('%I on public.%I', name, tbl),
       array[def] || case enabled when 'D' then array[format('alter table public.%I disable trigger %I', tbl, name)]
                                  when 'A' then array[format('alter table public.%I enable always trigger %I', tbl, name)] else '{}' end
  from jarvis_adoption.old_triggers where not touches;
insert into jarvis_adoption.dependants (kind, name, back)
select 'trigger', format('%I on %s', t.tgname, t.tgrelid::regclass), array[pg_get_triggerdef(t.oid)]
  from pg_trigger t join jarvis_adoption.reach r on r.classid = 'pg_class'::regclass and r.objid = t.tgrelid
  join pg_class c on c.oid = t.tgrelid and c.relkind = 'v' where not t.tgisinternal;

insert into jarvis_adoption.dependants (kind, name, back)
select 'publication', format('%I of public.%I', p.pubname, m.name),
       -- With its columns and its filter, or the subscriber would receive everything.
       array[format('alter publication %I add table public.%I%s%s', p.pubname, m.name,
         (select ' (' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) || ')' from pg_attribute a
           where a.attrelid = r.prrelid and a.attnum = any (r.prattrs::int2[])),
         ' where (' || pg_get_expr(r.prqual, r.prrelid) || ')')]
  from pg_publication_rel r join pg_publication p on p.oid = r.prpubid join jarvis_adoption.moved m on m.old = r.prrelid;

-- What cannot be settled here
select jarvis_adoption.say('not_owner', 'blocking', c.oid::regclass::text, null, format('it belongs to %I, not to %I', pg_get_userbyid(c.relowner), current_user),
         format('run this as that role, or: alter table %s owner to %I', c.oid::regclass, current_user))
  from pg_class c
 where (c.oid in (select old from jarvis_adoption.moved)
        or c.relnamespace = 'public'::regnamespace and c.relname in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events'))
   and not pg_has_role(c.relowner, 'USAGE');
select jarvis_adoption.say('not_a_table', 'blocking', format('public.%I', m.name), null, 'it is no ordinary table, or others inherit from it',
         'make it an ordinary table')
  from jarvis_adoption.moved m join pg_class c on c.oid = m.old
 where c.relkind not in ('r', 'p') or (c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = c.oid))
    or exists (select from pg_rewrite w where w.ev_class = c.oid);
select jarvis_adoption.say('key_missing', 'blocking', format('public.%I', m.name), null, format('it has no column %I, which names its rows', m.key), 'add it')
  from jarvis_adoption.moved m
 where m.old is not null and not exists (select from jarvis_adoption.old_columns o where o.tbl = m.name and o.col = m.key);
select jarvis_adoption.say('name_taken', 'blocking', c.oid::regclass::text, null, 'JARVIS makes a table of this name', 'rename or remove it')
  from pg_class c
 where c.relnamespace = 'public'::regnamespace and c.relname in ('kiosks', 'conversation_sessions', 'member_visits') and c.relkind <> 'i';
select jarvis_adoption.say('name_taken', 'blocking', 'schema jarvis', null, 'JARVIS keeps its own tables in a schema of this name', 'rename or remove it')
 where to_regnamespace('jarvis') is not null and exists (select from pg_class where relnamespace = to_regnamespace('jarvis'));
select jarvis_adoption.say('name_taken', 'blocking', format('text search configuration public.%I', cfgname), null, 'JARVIS makes one of this name', 'rename it')
  from pg_ts_config where cfgnamespace = 'public'::regnamespace and cfgname in ('fr', 'en');

-- What is worth knowing
select jarvis_adoption.say('policies_replaced', 'settled', m.name, count(*), string_agg(p.polname, ', ' order by p.polname),
         'replaced by four policies for people and one for the server')
  from jarvis_adoption.moved m join pg_policy p on p.polrelid = m.old group by m.n, m.name order by m.n;
select jarvis_adoption.say('trigger_replaced', 'settled', tbl, null, name, 'dates updated_at; ours does the same')
  from jarvis_adoption.old_triggers where touches;
select jarvis_adoption.say('function_replaced', 'settled', signature, null, null, 'replaced by ours of the same name')
  from jarvis_adoption.replaced_functions;
select jarvis_adoption.say('rights_not_kept', 'note', format('public.%I', m.name), null, format('role %I had %s', pg_get_userbyid(g.grantee), string_agg(distinct lower(g.privilege_type), ', ')),
         'grant it again if it is still needed; row level security applies to that role')
  from jarvis_adoption.moved m join pg_class c on c.oid = m.old, aclexplode(c.relacl) g
 where g.grantee <> 0 and g.grantee <> c.relowner and pg_get_userbyid(g.grantee) not in ('anon', 'authenticated', 'service_role', 'postgres')
 group by m.n, m.name, g.grantee order by m.n;
select jarvis_adoption.say('function_past_security', 'note', p.oid::regprocedure::text, null,
         'SECURITY DEFINER, names these tables, and people without an identity may run it',
         format('kept as it is; if they need not: revoke execute on function %s from public, anon', p.oid::regprocedure))
  from pg_proc p
 where p.prosecdef and p.prokind = 'f' and p.pronamespace = 'public'::regnamespace
   and p.oid not in (select oid from jarvis_adoption.replaced_functions)
   and p.prosrc ~ '\m(gym_members_v2|member_facts|member_fitness_profile|member_preferences|member_analytics|conversation_(events|summaries)|manager_alerts|insights_reports|users)\M'
   and (has_function_privilege('public', p.oid, 'execute') or coalesce((select has_function_privilege(r.oid, p.oid, 'execute') from pg_roles r where r.rolname = 'anon'), false));
select jarvis_adoption.say('legacy_table', 'note', c.oid::regclass::text, greatest(c.reltuples, 0)::bigint, 'a table of the former system', 'left as it is; import it afterwards: jarvis migration legacy')
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
   and c.relname in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events');
