-- What the operator's own things need: triggers of ours back on, their indexes, rules, views and functions again.
do $$
declare
  one record;
begin
  for one in select name from jarvis_adoption.moved union all select 'conversation_sessions' loop
    execute format('alter table public.%I enable trigger user', one.name);
  end loop;
end
$$;

insert into jarvis_adoption.dependants (kind, name, back)
select 'rule', format('%I on public.%I', c.name, c.tbl), array[format('alter table public.%I add constraint %I %s', c.tbl, c.name, c.def)]
  from jarvis_adoption.old_constraints c
 where exists (select from jarvis_adoption.extras x where x.tbl = c.tbl and x.col = any (c.cols)) and c.type <> 'p';
insert into jarvis_adoption.dependants (kind, name, back)
select 'index', i.name, array[i.def] from jarvis_adoption.old_indexes i
 where exists (select from jarvis_adoption.extras x where x.tbl = i.tbl and x.col = any (i.cols));
select jarvis_adoption.say('index_replaced', 'settled', tbl, count(*), string_agg(name, ', ' order by name), 'replaced by ours')
  from jarvis_adoption.old_indexes i
 where not exists (select from jarvis_adoption.extras x where x.tbl = i.tbl and x.col = any (i.cols)) group by tbl order by tbl;
select jarvis_adoption.say('rule_replaced', 'settled', tbl, null, name || ' ' || def, 'replaced by our rules for this table')
  from jarvis_adoption.old_constraints c
 where c.type in ('c', 'u', 'x', 'f') and not exists (select from jarvis_adoption.extras x where x.tbl = c.tbl and x.col = any (c.cols)) order by tbl, name;

do $$
declare
  one record;
  progress boolean := true;
  statement text;
  problems jsonb := '{}';
begin
  update jarvis_adoption.dependants set done = false;
  while progress loop
    progress := false;
    for one in select n, name, back from jarvis_adoption.dependants where not done order by case kind when 'rule' then 1 when 'foreign key' then 2 else 3 end, n loop
      begin
        foreach statement in array one.back loop
          execute statement;
        end loop;
        update jarvis_adoption.dependants set done = true where n = one.n;
        progress := true;
      exception when others then
        problems := problems || jsonb_build_object(one.n::text, sqlerrm);
      end;
    end loop;
  end loop;
  for one in select * from jarvis_adoption.dependants where not done loop
    perform jarvis_adoption.say('dependant_not_restored', 'blocking', one.kind || ' ' || one.name, null, problems ->> one.n::text,
      'change or drop it first; its definition is: ' || array_to_string(one.back, '; '));
  end loop;
  for one in select * from jarvis_adoption.dependants where done and kind <> 'index' order by n loop
    perform jarvis_adoption.say('dependant_kept', 'settled', one.kind || ' ' || one.name, null, null, 'made again on the new tables');
  end loop;
end
$$;
do $$
declare
  own record;
begin
  for own in select * from jarvis_adoption.extras where sequence is not null and identity = '' loop
    execute format('alter sequence %s owned by public.%I.%I', own.sequence, own.tbl, own.col);
  end loop;
end
$$;
