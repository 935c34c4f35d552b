set local lock_timeout = '10s';

drop function jarvis.tell_changes_of(regclass);
do $$
declare
  told record;
begin
  for told in
    select t.tgname, t.tgrelid::regclass as relation from pg_trigger t
     where t.tgfoid = 'jarvis.tell_changes()'::regprocedure
  loop
    execute format('drop trigger %I on %s', told.tgname, told.relation);
  end loop;
end $$;
drop function jarvis.tell_changes();
