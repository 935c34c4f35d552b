-- Puts every row into the new tables' shape, in staging tables without rules: new_<table>, whose __row says which old
-- row it was and whose __held, once set, why the row cannot be kept in its place.

-- A value in another type, or null when it does not fit. Arrays may come as JSON.
create function jarvis_adoption.fit(value text, old_type text, new_type text) returns text language plpgsql as $$
declare
  fitted text;
begin
  if value is null then
    return null;
  end if;
  if new_type like '%[]' and old_type in ('json', 'jsonb') then
    execute format('select coalesce(array_agg(e), ''{}'')::%s::text from jsonb_array_elements_text(%L::jsonb) e', new_type, value) into fitted;
  elsif new_type in ('json', 'jsonb') and old_type like '%[]' then
    execute format('select to_jsonb(%L::%s)::text', value, old_type) into fitted;
  else
    execute format('select %L::%s::text', value, new_type) into fitted;
  end if;
  return fitted;
exception when others then
  return null;
end
$$;

-- Whether nothing of the value is lost in the other type.
create function jarvis_adoption.lossless(value text, old_type text, new_type text) returns boolean language plpgsql as $$
declare
  same boolean;
begin
  if value is null or new_type like '%[]' and old_type in ('json', 'jsonb') or new_type in ('json', 'jsonb') and old_type like '%[]' then
    return true;
  end if;
  execute format('select %1$L::%2$s::text::%3$s = %1$L::%3$s', value, new_type, old_type) into same;
  return coalesce(same, true);
exception when others then
  return true;
end
$$;

create table jarvis_adoption.new_columns as
select m.n, m.name as tbl, a.attname::text as col, a.attnum, format_type(a.atttypid, a.atttypmod) as type, a.atttypid,
       a.atttypmod, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) as def
  from jarvis_adoption.moved m
  join pg_attribute a on a.attrelid = to_regclass(format('public.%I', m.name)) and a.attnum > 0 and not a.attisdropped
                     and a.attgenerated = ''
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum;

-- What the guide's tables have and ours have not is the operator's own, and stays.
create table jarvis_adoption.extras as
select o.* from jarvis_adoption.old_columns o
 where not exists (select from pg_attribute a where a.attrelid = to_regclass(format('public.%I', o.tbl))
                      and a.attname = o.col and a.attnum > 0 and not a.attisdropped);

-- How each column of a staging table is read from the old one. `converted` needs a look at what is lost.
create table jarvis_adoption.readings as
select n.tbl, n.col, n.attnum, n.type, o.type as old_type, read.converted,
       case when n.def is not null and not (n.tbl = 'users' and n.col = 'role')
            then format('coalesce((%s)::%s, (%s)::%s)', read.expression, n.type, n.def, n.type)
            else format('(%s)::%s', read.expression, n.type) end as expression
  from jarvis_adoption.new_columns n
  left join jarvis_adoption.old_columns o on o.tbl = n.tbl and o.col = n.col
 cross join lateral (
   select case when o.col is null then coalesce(n.def, 'null')
               when o.type = n.type or n.type = 'text'
                 or n.atttypmod = -1 and exists (select from pg_cast c where c.castsource = o.atttypid and c.casttarget = n.atttypid and c.castcontext = 'i')
               then format('o.%I', n.col)
               else format('jarvis_adoption.fit(o.%I::text, %L, %L)', n.col, o.type, n.type) end as expression,
          o.col is not null and o.type <> n.type and n.type <> 'text'
            and not (n.atttypmod = -1 and exists (select from pg_cast c where c.castsource = o.atttypid and c.casttarget = n.atttypid and c.castcontext = 'i')) as converted
 ) as read;

do $$
declare
  one record;
  cell record;
  hits bigint;
begin
  for one in select m.name, m.old,
                    (select string_agg(format('%s as %I', r.expression, r.col), ', ' order by r.attnum)
                       from jarvis_adoption.readings r where r.tbl = m.name) as ours,
                    (select string_agg(format(', o.%I', x.col), '' order by x.attnum)
                       from jarvis_adoption.extras x where x.tbl = m.name) as theirs
               from jarvis_adoption.moved m order by m.n loop
    if one.old is null then
      execute format('create unlogged table jarvis_adoption.new_%I as select null::text as __row, null::text as __held, %s from public.%I limit 0',
        one.name, (select string_agg(quote_ident(col), ', ' order by attnum) from jarvis_adoption.new_columns where tbl = one.name), one.name);
    else
      execute format('create unlogged table jarvis_adoption.new_%1$I as
                        select o.tableoid::text || o.ctid::text as __row, null::text as __held, %2$s%3$s from jarvis_adoption.%1$I o',
        one.name, one.ours, coalesce(one.theirs, ''));
    end if;
    execute format('create unique index on jarvis_adoption.new_%I (__row)', one.name);
    execute format('analyze jarvis_adoption.new_%I', one.name);
    for cell in select r.col, r.type, r.old_type from jarvis_adoption.readings r where r.tbl = one.name and r.converted loop
      execute format('insert into jarvis_adoption.remains (place, spot, col, reason)
                      select %1$L, o.tableoid::text || o.ctid::text, %2$L,
                             case when jarvis_adoption.fit(o.%2$I::text, %3$L, %4$L) is null then ''type'' else ''rounded'' end
                        from jarvis_adoption.%1$I o
                       where o.%2$I is not null
                         and (jarvis_adoption.fit(o.%2$I::text, %3$L, %4$L) is null
                              or not jarvis_adoption.lossless(o.%2$I::text, %3$L, %4$L))', one.name, cell.col, cell.old_type, cell.type);
      get diagnostics hits = row_count;
      if hits > 0 then
        perform jarvis_adoption.say('type_differs', 'settled', one.name || '.' || cell.col, hits,
          format('%s here, %s there: these values do not fit exactly', cell.type, cell.old_type),
          'the originals are kept in jarvis.adoption_remains');
      end if;
    end loop;
  end loop;
end
$$;

select jarvis_adoption.say('own_column', 'settled', tbl || '.' || col, null, type, 'kept, with its values, default and rules')
  from jarvis_adoption.extras order by tbl, attnum;
