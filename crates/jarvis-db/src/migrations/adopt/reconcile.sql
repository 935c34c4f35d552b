-- Compares every cell with what was found, writes the paper, and clears the workshop.
-- Whether values can be compared as they are; the others are compared as text. The operators of vectors stand where
-- that extension was installed.
create function jarvis_adoption.is_comparable(type text) returns boolean language sql as $$
  select type not in ('json', 'xml', 'point') and (type not like '%.%' or type ~ '\.vector\(\d+\)$')
$$;
select set_config('search_path', 'pg_catalog, ' || quote_ident(n.nspname), true)
  from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector';

create function jarvis_adoption.differing(tbl text, key text) returns bigint language plpgsql as $$
declare
  cells text;
  hits bigint;
begin
  select string_agg(format(
           case when c.converted then
             '(o.%1$I is not null and p.%1$I is null and not exists (select from jarvis_adoption.remains r where r.place = %2$L and r.spot = s.__row and r.col = %1$L))'
           when c.plain then
             '(o.%1$I is not null and o.%1$I is distinct from p.%1$I and not exists (select from jarvis_adoption.remains r where r.place = %2$L and r.spot = s.__row and r.col = %1$L))'
           else
             '(o.%1$I is not null and o.%1$I::%3$s::text is distinct from p.%1$I::text and not exists (select from jarvis_adoption.remains r where r.place = %2$L and r.spot = s.__row and r.col = %1$L))'
           end, c.col, tbl, c.type), ' or ')
    into cells
    from (select r.col, r.type, r.converted, r.old_type = r.type and jarvis_adoption.is_comparable(r.type) as plain
            from jarvis_adoption.readings r where r.tbl = differing.tbl and r.old_type is not null
          union all
          select x.col, x.type, false, jarvis_adoption.is_comparable(x.type) from jarvis_adoption.extras x where x.tbl = differing.tbl) as c;
  execute format('select count(*) from jarvis_adoption.%1$I o
                    join jarvis_adoption.new_%1$I s on s.__row = o.tableoid::text || o.ctid::text
                    left join public.%1$I p on p.%2$I = s.%2$I
                   where s.__held is null and (p.%2$I is null or %3$s)', tbl, key, cells) into hits;
  return hits;
end
$$;

-- What is set aside goes with the member, or with the gym, to whom it belongs.
create function jarvis_adoption.keep_remains(adoption uuid, tbl text, key text) returns void language plpgsql as $$
declare
  cell record;
  has_member constant boolean := exists (select from jarvis_adoption.new_columns n where n.tbl = keep_remains.tbl and n.col = 'member_id');
  whose text := case when tbl = 'gym_members_v2' then 's.id' when has_member then 's.member_id' else 'null::uuid' end;
  its_gym text := case tbl when 'gyms' then 's.id' when 'users' then 'null::uuid' else 's.gym_id' end;
begin
  for cell in select distinct r.col from jarvis_adoption.remains r where r.place = tbl loop
    execute format('insert into jarvis.adoption_remains (adoption_id, gym_id, member_id, table_name, row_key, column_name, value, reason)
                    select %1$L, coalesce(m.gym_id, g.id), m.id, %2$L, s.%3$I::text, %4$L, to_jsonb(o.%4$I), r.reason
                      from jarvis_adoption.remains r
                      join jarvis_adoption.new_%2$I s on s.__row = r.spot and s.__held is null
                      join jarvis_adoption.%2$I o on o.tableoid::text || o.ctid::text = r.spot
                      left join public.gym_members_v2 m on m.id = %5$s
                      left join public.gyms g on g.id = %6$s
                     where r.place = %2$L and r.col = %4$L', adoption, tbl, key, cell.col, whose, its_gym);
  end loop;
  execute format('insert into jarvis.adoption_remains (adoption_id, gym_id, member_id, table_name, row_key, column_name, value, reason)
                  select %1$L, coalesce(m.gym_id, g.id), m.id, %2$L, s.%3$I::text, null, to_jsonb(o), s.__held
                    from jarvis_adoption.new_%2$I s
                    join jarvis_adoption.%2$I o on o.tableoid::text || o.ctid::text = s.__row
                    left join public.gym_members_v2 m on m.id = %4$s
                    left join public.gyms g on g.id = %5$s
                   where s.__held is not null', adoption, tbl, key, whose, its_gym);
end
$$;

do $$
declare
  adoption constant uuid := current_setting('jarvis_adoption.id')::uuid;
  one record;
  kept bigint;
  held bigint;
  differing bigint;
begin
  for one in select * from jarvis_adoption.moved where old is not null order by n loop
    execute format('select count(*) from public.%I', one.name) into kept;
    execute format('select count(*) from jarvis_adoption.new_%I where __held is not null', one.name) into held;
    differing := jarvis_adoption.differing(one.name, one.key);
    if one.found <> kept + held or differing <> 0 then
      raise exception using errcode = 'JA002', message = format(
        'the rows of %s do not add up: %s found, %s kept, %s held, %s differ', one.name, one.found, kept, held, differing);
    end if;
    execute format('insert into jarvis.adoption_tables (adoption_id, table_name, found, kept, held, changed)
                    select %L, %L, %s, %s, %s, count(distinct r.spot) from jarvis_adoption.remains r
                      join jarvis_adoption.new_%I s on s.__row = r.spot and s.__held is null where r.place = %L',
      adoption, one.name, one.found, kept, held, one.name, one.name);
    perform jarvis_adoption.keep_remains(adoption, one.name, one.key);
  end loop;
end
$$;
