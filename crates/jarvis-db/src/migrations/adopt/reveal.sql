-- The migrations set their own path and limits.
set local search_path = pg_catalog;
set local timezone = 'UTC';
set local statement_timeout = 0;
set local row_security = off;
set local check_function_bodies = off;
-- The staging tables change under the planner's statistics: a loop that it takes for short may be rows times rows.
set local enable_nestloop = off;
set local jit = off;
do $$
declare
  legacy text;
begin
  for legacy in select relname from pg_class where relnamespace = 'jarvis_adoption'::regnamespace and relkind in ('r', 'p')
                   and relname in ('gym_members', 'jarvis_conversation_logs', 'openai_realtime_audio_events') loop
    execute format('alter table jarvis_adoption.%I set schema public', legacy);
  end loop;
end
$$;
