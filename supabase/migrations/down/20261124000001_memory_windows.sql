-- Drops the turns that recall reads. Summaries stay; processing a session again by a program that knows the table makes
-- its turns again, as long as its events are there.
delete from jarvis.data_map where schema_name = 'jarvis' and table_name = 'memory_windows';
drop function jarvis.recall_memory;
revoke select (language) on public.conversation_summaries from jarvis_writer;
drop table jarvis.memory_windows;
drop function jarvis.guard_window();
