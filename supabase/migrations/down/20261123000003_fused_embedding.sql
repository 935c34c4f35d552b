-- Back to one local model. Summaries that were made with two are found by words until they are made again.
alter table public.gyms alter column embedding_model set default 'e5-small-multilingual';
update public.gyms set embedding_model = 'e5-small-multilingual' where embedding_model = 'e5-use-multilingual';
delete from jarvis.embedding_models where model = 'e5-use-multilingual';
