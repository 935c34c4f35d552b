-- Back to conversations that only the rules read. Which gyms allowed more, and why a model did not read, is lost.
delete from jarvis.data_map
 where schema_name = 'public'
   and (table_name, column_name) in (('gyms', 'external_models'), ('conversation_sessions', 'degraded_reason'));
alter table public.conversation_sessions drop column degraded_reason;
alter table public.gyms drop column external_models;
