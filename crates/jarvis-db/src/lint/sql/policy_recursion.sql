, edges as (
  -- A reader of the table is asked its policies for reading; those may read further tables.
  select distinct p.polrelid as source, d.refobjid as target, p.polcmd
    from policies p
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
     and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> p.polrelid
    join tables t on t.oid = d.refobjid and t.relrowsecurity),
walk as (
  select source as start, target, array[source, target] as path from edges
  union all
  select w.start, e.target, w.path || e.target
    from walk w join edges e on e.source = w.target and e.polcmd in ('r', '*')
   where w.start <> w.target and not e.target = any (w.path[2:]) and cardinality(w.path) < 8),
circles as (
  select distinct on (start) start, path from walk where start = target order by start, cardinality(path))
select object, polname::text as part, null::text as what,
       'move the look-up into a function (security definer, set search_path = '''') and let the policy call that' as mend, comment
  from policies
 where concat_ws(' ', using_, check_)
         ~ ('(\mFROM|\mJOIN|,)\s+\(*(ONLY\s+)?' || regexp_replace(object, '(\W)', '\\\1', 'g') || '(\s|\)|$)')
union all
select t.object, null, (select string_agg(r.object, ' → ' order by p.n)
                          from unnest(c.path) with ordinality as p (rel, n) join relations r on r.oid = p.rel),
       'break the circle: move one look-up into a function (security definer, set search_path = '''')', t.comment
  from circles c join tables t on t.oid = c.start
