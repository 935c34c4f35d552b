-- What a call costs is kept to the last digit: a price per million tokens has six decimals, so a token has twelve. Rounded
-- call by call to millionths of a dollar, thousands of small calls add up to something else than the provider's bill.
set local lock_timeout = '10s';
set local statement_timeout = '300s';

-- PostgreSQL changes no column that a trigger names. The table is written again under its lock: one row for each call of a
-- model, a second or two for a million of them.
drop trigger b20_never_edited on jarvis.usage_ledger;
-- squawk-ignore changing-column-type
alter table jarvis.usage_ledger alter column cost_usd type numeric(38,12);
create trigger b20_never_edited
  before update of id, gym_id, job_id, provider, model, input_tokens, cached_input_tokens, output_tokens,
    audio_seconds, cost_usd, recorded_at on jarvis.usage_ledger
  for each row execute function jarvis.never_edited();

comment on column jarvis.usage_ledger.cost_usd is
  'Coût en dollars, exact, au prix du moment ; vide quand un des prix est inconnu.';
comment on column jarvis.jobs.attempted_at is
  'Début du dernier essai ; pour une tâche qui attend de nouveau, l''instant depuis lequel elle attend.';
