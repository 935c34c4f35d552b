-- Recall goes by words and meaning alone again, by the function of the release before.
set local search_path = public, extensions;
drop function jarvis.recall_memory(uuid, uuid, text, text[], halfvec, boolean, boolean, double precision, double precision,
  double precision, double precision, integer);
