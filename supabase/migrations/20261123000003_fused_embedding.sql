-- The embedding of new gyms: two local models side by side. A gym that has memories keeps the model they were made with.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

insert into jarvis.embedding_models (model, a, c, dimensions, note) values
  ('e5-use-multilingual', 26.65, 0.1857, 896,
   'multilingual-e5-small centré et USE multilingue v3 côte à côte, complétés par des zéros ; calibré sur le jeu de rappel FR-EN')
on conflict (model) do nothing;

alter table public.gyms alter column embedding_model set default 'e5-use-multilingual';
-- A gym that has no memory yet has nothing to keep.
update public.gyms g set embedding_model = 'e5-use-multilingual'
 where g.embedding_model = 'e5-small-multilingual'
   and not exists (select from public.conversation_summaries s where s.gym_id = g.id);
