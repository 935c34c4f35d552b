-- Nothing of the old tables may linger, and nothing may go that somebody still stands on: no cascade here.
set local search_path = pg_catalog;
do $$
declare
  list text := (select string_agg(format('jarvis_adoption.%I', name), ', ') from jarvis_adoption.moved where old is not null);
  one record;
  problem text;
begin
  begin
    execute 'drop table ' || list;
    for one in select oid::regprocedure as signature from pg_proc where oid in (select oid from jarvis_adoption.replaced_functions) loop
      execute format('drop routine %s', one.signature);
    end loop;
  exception when dependent_objects_still_exist then
    get stacked diagnostics problem = pg_exception_detail;
    perform jarvis_adoption.say('dependant_unknown', 'blocking', 'database', null, problem, 'drop it first, and create it again afterwards');
  end;
end
$$;
