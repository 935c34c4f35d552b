-- Durable job queue (schema jarvis). Read and written only by the crate jarvis-jobs.
--
-- Uniqueness. At most one job per (kind, gym, unique_key) waits, and at most one runs. A job that runs has
-- already read its data, so an enqueue that arrives meanwhile makes a second row, which waits for the first.

set local lock_timeout = '10s';
set local statement_timeout = '120s';

-- ---------------------------------------------------------------------------------------------------------
-- jarvis.jobs
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.jobs (
  id            bigint generated always as identity primary key,
  kind          text not null,
  unique_key    text,
  gym_id        uuid references public.gyms (id) on delete cascade,
  lane          uuid not null generated always as
                  (coalesce(gym_id, '00000000-0000-0000-0000-000000000000'::uuid)) stored,
  args          jsonb not null default '{}'::jsonb,
  state         text not null default 'available',
  priority      smallint not null default 100,
  attempt       smallint not null default 0,
  max_attempts  smallint not null default 20,
  run_at        timestamptz not null default now(),
  lease_until   timestamptz,
  leased_by     text,
  attempted_at  timestamptz,
  finished_at   timestamptz,
  last_error    text,
  errors        jsonb not null default '[]'::jsonb,
  created_at    timestamptz not null default now(),
  constraint jobs_kind_check check (kind ~ '^[a-z][a-z0-9_.]{0,79}$'),
  constraint jobs_unique_key_check check (length(unique_key) between 1 and 300),
  -- Identifiers only: what a member said does not fit, and must not.
  constraint jobs_args_check check (jsonb_typeof(args) = 'object' and length(args::text) <= 4096),
  constraint jobs_state_check check
    (state in ('available', 'running', 'retryable', 'completed', 'discarded', 'cancelled')),
  constraint jobs_attempt_check check (max_attempts between 1 and 100 and attempt between 0 and max_attempts),
  constraint jobs_lease_check check
    ((state = 'running') = (lease_until is not null) and (state = 'running') = (leased_by is not null)),
  constraint jobs_finished_check check
    ((state in ('completed', 'discarded', 'cancelled')) = (finished_at is not null)),
  constraint jobs_last_error_check check (length(last_error) <= 1000),
  constraint jobs_errors_check check (jsonb_typeof(errors) = 'array')
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- One waits ...
create unique index jobs_one_waiting_idx on jarvis.jobs (kind, lane, unique_key)
  where unique_key is not null and state in ('available', 'retryable');
-- ... and one runs.
create unique index jobs_one_running_idx on jarvis.jobs (kind, lane, unique_key)
  where unique_key is not null and state = 'running';
-- Fetch order: gym by gym, then the most urgent, then the oldest.
create index jobs_fetch_idx on jarvis.jobs (lane, priority, run_at, id)
  where state in ('available', 'retryable');
-- Running jobs per gym, and leases that ran out.
create index jobs_running_idx on jarvis.jobs (lane, lease_until) where state = 'running';
-- Retention, and the dead letter.
create index jobs_finished_idx on jarvis.jobs (state, finished_at)
  where state in ('completed', 'discarded', 'cancelled');
-- Erasing a gym.
create index jobs_gym_idx on jarvis.jobs (gym_id) where gym_id is not null;

-- ---------------------------------------------------------------------------------------------------------
-- jarvis.job_schedules
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.job_schedules (
  name       text primary key,
  last_tick  timestamptz not null,
  constraint job_schedules_name_check check (length(name) between 1 and 300)
);

-- ---------------------------------------------------------------------------------------------------------
-- Who may do what
-- ---------------------------------------------------------------------------------------------------------
alter table jarvis.jobs enable row level security;
alter table jarvis.jobs force row level security;
alter table jarvis.job_schedules enable row level security;
alter table jarvis.job_schedules force row level security;

revoke all on jarvis.jobs, jarvis.job_schedules from public, anon, authenticated, service_role;
grant usage on schema jarvis to jarvis_server, jarvis_system;
grant select, insert, update, delete on jarvis.jobs, jarvis.job_schedules to jarvis_system;

-- The server of one gym enqueues and looks. Column grants: a new job can be neither running nor finished. The
-- update of run_at is what an enqueue over a waiting job does; it locks that job until the enqueuer commits.
grant select on jarvis.jobs to jarvis_server;
grant insert (kind, unique_key, gym_id, args, priority, max_attempts, run_at, created_at)
  on jarvis.jobs to jarvis_server;
grant update (run_at) on jarvis.jobs to jarvis_server;

create policy jobs_system_all on jarvis.jobs
  for all to jarvis_system using (true) with check (true);
create policy jobs_server_select on jarvis.jobs
  for select to jarvis_server using (gym_id = (select jarvis.current_gym()));
create policy jobs_server_insert on jarvis.jobs
  for insert to jarvis_server with check (gym_id = (select jarvis.current_gym()));
create policy jobs_server_update on jarvis.jobs
  for update to jarvis_server
  using (gym_id = (select jarvis.current_gym()) and state in ('available', 'retryable'))
  with check (gym_id = (select jarvis.current_gym()));
create policy job_schedules_system_all on jarvis.job_schedules
  for all to jarvis_system using (true) with check (true);

-- ---------------------------------------------------------------------------------------------------------
-- Comments and data map
-- ---------------------------------------------------------------------------------------------------------
comment on table jarvis.jobs is 'File de travaux durable : un travail par ligne, jamais de parole de membre.';
comment on column jarvis.jobs.id is 'Numéro du travail.';
comment on column jarvis.jobs.kind is 'Nature du travail, par exemple memory.process_session.';
comment on column jarvis.jobs.unique_key is
  'Clé d''unicité par nature et par salle : un seul travail en attente et un seul en cours.';
comment on column jarvis.jobs.gym_id is 'Salle concernée ; vide pour un travail de toute l''installation.';
comment on column jarvis.jobs.lane is 'Couloir d''équité : la salle, ou zéro pour les travaux sans salle.';
comment on column jarvis.jobs.args is 'Paramètres : des identifiants seulement.';
comment on column jarvis.jobs.state is
  'available (à faire), running (en cours), retryable (à refaire), completed (fait), discarded (abandonné après le dernier essai), cancelled (annulé).';
comment on column jarvis.jobs.priority is 'Urgence au sein de la salle : le plus petit nombre passe d''abord.';
comment on column jarvis.jobs.attempt is 'Nombre d''essais commencés.';
comment on column jarvis.jobs.max_attempts is 'Nombre d''essais permis avant l''abandon.';
comment on column jarvis.jobs.run_at is 'Pas avant cet instant.';
comment on column jarvis.jobs.lease_until is 'Fin du bail de l''exécutant, à l''horloge de la base.';
comment on column jarvis.jobs.leased_by is 'Exécutant qui tient le bail.';
comment on column jarvis.jobs.attempted_at is 'Début du dernier essai.';
comment on column jarvis.jobs.finished_at is 'Fin du travail, quelle qu''en soit l''issue.';
comment on column jarvis.jobs.last_error is 'Cause du dernier échec, sans parole de membre.';
comment on column jarvis.jobs.errors is 'Échecs successifs : essai, instant, cause.';
comment on column jarvis.jobs.created_at is 'Instant de la demande.';
comment on table jarvis.job_schedules is 'Dernier déclenchement de chaque travail périodique.';
comment on column jarvis.job_schedules.name is 'Nom du travail périodique.';
comment on column jarvis.job_schedules.last_tick is 'Dernière échéance mise en file.';

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', 'jobs', c.name, c.class, '30 jours après la fin du travail', false,
       case c.class when 'personal' then 'purge par travail' else 'sans objet (aucun membre)' end
from (values
  -- The identifier of a session or of a member can stand in these two.
  ('unique_key', 'personal'), ('args', 'personal'),
  ('id', 'public'), ('kind', 'public'), ('gym_id', 'public'), ('lane', 'public'), ('state', 'public'),
  ('priority', 'public'), ('attempt', 'public'), ('max_attempts', 'public'), ('run_at', 'public'),
  ('lease_until', 'public'), ('leased_by', 'public'), ('attempted_at', 'public'), ('finished_at', 'public'),
  ('last_error', 'public'), ('errors', 'public'), ('created_at', 'public')
) as c (name, class)
union all
select 'jarvis', 'job_schedules', c.name, 'public', 'sans limite', false, 'sans objet (aucun membre)'
from (values ('name'), ('last_tick')) as c (name);
