-- Takes the tables out of the way. From here on nobody else reads or writes them until the end.
do $$
declare
  one record;
  progress boolean := true;
  problem text;
begin
  for one in select format('alter sequence %s owned by none', sequence) as statement from jarvis_adoption.old_columns
              where sequence is not null and identity = '' loop
    execute one.statement;
  end loop;
  -- What depends on one another comes off in whatever order works.
  while progress loop
    progress := false;
    for one in select n, name, off from jarvis_adoption.dependants where off is not null and not done order by n desc loop
      begin
        execute one.off;
        update jarvis_adoption.dependants set done = true where n = one.n;
        progress := true;
      exception when dependent_objects_still_exist then
        get stacked diagnostics problem = pg_exception_detail;
      end;
    end loop;
  end loop;
  for one in select name from jarvis_adoption.dependants where off is not null and not done loop
    perform jarvis_adoption.say('dependant_unknown', 'blocking', one.name, null, problem, 'drop what depends on it, and create it again afterwards');
  end loop;
  for one in select name, old from jarvis_adoption.moved where old is not null order by n loop
    execute format('alter table public.%I set schema jarvis_adoption', one.name);
    execute format('update jarvis_adoption.moved set found = (select count(*) from jarvis_adoption.%I) where name = %L', one.name, one.name);
  end loop;
  for one in select oid, signature from jarvis_adoption.replaced_functions loop
    execute format('alter routine %s set schema jarvis_adoption', one.signature);
  end loop;
  -- The migrations would import these on their own; that is a step by itself, after this one.
  for one in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
                and relname in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events') loop
    execute format('alter table public.%I set schema jarvis_adoption', one.relname);
  end loop;
end
$$;
