-- Forgetting and exports as they were.
set local lock_timeout = '10s';

drop function jarvis.outdated_exports(uuid[], timestamptz[]), jarvis.forget_words(uuid, uuid, text[]), jarvis.says(jsonb, text[]);
