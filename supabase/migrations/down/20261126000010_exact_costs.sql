-- Costs are rounded to millionths again.
set local lock_timeout = '10s';
set local statement_timeout = '300s';

drop trigger b20_never_edited on jarvis.usage_ledger;
alter table jarvis.usage_ledger alter column cost_usd type numeric(14,6);
create trigger b20_never_edited
  before update of id, gym_id, job_id, provider, model, input_tokens, cached_input_tokens, output_tokens,
    audio_seconds, cost_usd, recorded_at on jarvis.usage_ledger
  for each row execute function jarvis.never_edited();

comment on column jarvis.usage_ledger.cost_usd is 'Coût, en dollars ; vide si le prix est inconnu.';
comment on column jarvis.jobs.attempted_at is 'Début du dernier essai.';
