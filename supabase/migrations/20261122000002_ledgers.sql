-- What models cost, what was used, and who read or changed what. Nothing in these is ever edited: a new price is a new
-- row, a mistake is corrected by another entry.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

-- ---------------------------------------------------------------------------------------------------------
-- jarvis.price_book
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.price_book (
  model       text not null check (length(model) between 1 and 200),
  unit        text not null
              check (unit in ('input_token', 'cached_input_token', 'output_token', 'audio_input_token',
                              'cached_audio_input_token', 'audio_output_token', 'audio_second')),
  valid_from  timestamptz not null,
  usd_per_million numeric(14,6) not null check (usd_per_million >= 0),
  source      text not null check (btrim(source) <> ''),
  created_at  timestamptz not null default now(),
  primary key (model, unit, valid_from)
);

-- ---------------------------------------------------------------------------------------------------------
-- jarvis.usage_ledger
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.usage_ledger (
  id                   uuid primary key default gen_random_uuid(),
  gym_id               uuid not null default jarvis.current_gym() references public.gyms (id) on delete cascade,
  session_id           text,
  job_id               bigint,
  provider             text not null check (length(provider) between 1 and 100),
  model                text not null check (length(model) between 1 and 200),
  input_tokens         bigint not null check (input_tokens >= 0),
  cached_input_tokens  bigint not null default 0 check (cached_input_tokens between 0 and input_tokens),
  output_tokens        bigint not null check (output_tokens >= 0),
  audio_seconds        numeric(12,3) not null default 0 check (audio_seconds >= 0),
  cost_usd             numeric(14,6) check (cost_usd >= 0),
  recorded_at          timestamptz not null default now(),
  unique (gym_id, id),
  foreign key (gym_id, session_id) references public.conversation_sessions (gym_id, session_id)
    on delete set null (session_id)
);
create index usage_ledger_month on jarvis.usage_ledger (gym_id, recorded_at);
create index usage_ledger_session on jarvis.usage_ledger (gym_id, session_id) where session_id is not null;

-- ---------------------------------------------------------------------------------------------------------
-- jarvis.audit_log
-- ---------------------------------------------------------------------------------------------------------
create table jarvis.audit_log (
  id          bigint generated always as identity primary key,
  gym_id      uuid not null default jarvis.current_gym() references public.gyms (id) on delete cascade,
  actor       text not null default jarvis.actor(),
  action      text not null check (action ~ '^[a-z][a-z0-9_.]{0,79}$'),
  entity      text not null check (entity ~ '^[a-z][a-z0-9_.]{0,79}$'),
  entity_id   text check (length(entity_id) <= 200),
  member_id   uuid,
  reason      text check (length(reason) <= 500),
  recorded_at timestamptz not null default clock_timestamp(),
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index audit_log_member on jarvis.audit_log (gym_id, member_id, recorded_at) where member_id is not null;

-- ---------------------------------------------------------------------------------------------------------
-- Only adding
-- ---------------------------------------------------------------------------------------------------------
create function jarvis.never_edited() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  raise exception using errcode = 'JA001', message = 'append_only',
    detail = tg_table_schema || '.' || tg_table_name,
    hint = 'Cette table garde tout : ajoutez une nouvelle ligne au lieu de changer l''ancienne.';
end
$$;
comment on function jarvis.never_edited() is 'Déclencheur : refuse de modifier une ligne.';
revoke all on function jarvis.never_edited() from public, anon, authenticated;
create trigger b20_never_edited before update or delete on jarvis.price_book
  for each row execute function jarvis.never_edited();
-- Rows go with their gym or member, and the reference to a session with the session; nobody holds the right to delete.
create trigger b20_never_edited before update on jarvis.audit_log
  for each row execute function jarvis.never_edited();
create trigger b20_never_edited
  before update of id, gym_id, job_id, provider, model, input_tokens, cached_input_tokens, output_tokens,
    audio_seconds, cost_usd, recorded_at on jarvis.usage_ledger
  for each row execute function jarvis.never_edited();

-- ---------------------------------------------------------------------------------------------------------
-- Who may do what
-- ---------------------------------------------------------------------------------------------------------
alter table jarvis.price_book enable row level security;
alter table jarvis.price_book force row level security;
alter table jarvis.usage_ledger enable row level security;
alter table jarvis.usage_ledger force row level security;
alter table jarvis.audit_log enable row level security;
alter table jarvis.audit_log force row level security;
revoke all on jarvis.price_book, jarvis.usage_ledger, jarvis.audit_log from public, anon, authenticated, service_role;
grant select on jarvis.price_book to jarvis_server, jarvis_system;
grant select, insert on jarvis.usage_ledger, jarvis.audit_log to jarvis_server;
grant select on jarvis.usage_ledger to jarvis_system;

create policy price_book_server_select on jarvis.price_book for select to jarvis_server using (true);
create policy price_book_system_select on jarvis.price_book for select to jarvis_system using (true);
create policy usage_ledger_server_select on jarvis.usage_ledger
  for select to jarvis_server using (gym_id = (select jarvis.current_gym()));
create policy usage_ledger_server_insert on jarvis.usage_ledger
  for insert to jarvis_server with check (gym_id = (select jarvis.current_gym()));
create policy usage_ledger_system_select on jarvis.usage_ledger for select to jarvis_system using (true);
create policy audit_log_server_select on jarvis.audit_log
  for select to jarvis_server using (gym_id = (select jarvis.current_gym()));
create policy audit_log_server_insert on jarvis.audit_log
  for insert to jarvis_server with check (gym_id = (select jarvis.current_gym()));

-- ---------------------------------------------------------------------------------------------------------
-- Comments and data map
-- ---------------------------------------------------------------------------------------------------------
comment on table jarvis.price_book is 'Prix des modèles ; un nouveau prix est une nouvelle ligne.';
comment on column jarvis.price_book.model is 'Modèle, tel que demandé au fournisseur.';
comment on column jarvis.price_book.unit is 'Ce qui est compté.';
comment on column jarvis.price_book.valid_from is 'Début de validité.';
comment on column jarvis.price_book.usd_per_million is 'Prix d''un million d''unités, en dollars.';
comment on column jarvis.price_book.source is 'D''où vient ce prix.';
comment on column jarvis.price_book.created_at is 'Création de la ligne.';
comment on table jarvis.usage_ledger is 'Consommation des modèles, en ajout seul.';
comment on column jarvis.usage_ledger.id is 'Identifiant (UUID).';
comment on column jarvis.usage_ledger.gym_id is 'Salle qui a consommé.';
comment on column jarvis.usage_ledger.session_id is 'Conversation concernée.';
comment on column jarvis.usage_ledger.job_id is 'Travail concerné.';
comment on column jarvis.usage_ledger.provider is 'Fournisseur.';
comment on column jarvis.usage_ledger.model is 'Modèle, clé du livre des prix.';
comment on column jarvis.usage_ledger.input_tokens is 'Jetons lus, mis en cache compris.';
comment on column jarvis.usage_ledger.cached_input_tokens is 'Jetons lus dans le cache, partie des précédents.';
comment on column jarvis.usage_ledger.output_tokens is 'Jetons produits.';
comment on column jarvis.usage_ledger.audio_seconds is 'Durée de parole, en secondes.';
comment on column jarvis.usage_ledger.cost_usd is 'Coût, en dollars ; vide si le prix est inconnu.';
comment on column jarvis.usage_ledger.recorded_at is 'Moment de la consommation.';
comment on table jarvis.audit_log is 'Qui a lu ou changé quoi, en ajout seul ; jamais de parole de membre.';
comment on column jarvis.audit_log.id is 'Numéro de la ligne.';
comment on column jarvis.audit_log.gym_id is 'Salle concernée.';
comment on column jarvis.audit_log.actor is 'Qui : borne, personne, serveur ou opérateur.';
comment on column jarvis.audit_log.action is 'Ce qui a été fait, par exemple fact.read.';
comment on column jarvis.audit_log.entity is 'Sur quoi, par exemple member_fact.';
comment on column jarvis.audit_log.entity_id is 'Identifiant de ce qui a été lu ou changé.';
comment on column jarvis.audit_log.member_id is 'Membre concerné ; la ligne disparaît avec lui.';
comment on column jarvis.audit_log.reason is 'Motif donné par qui l''a fait.';
comment on column jarvis.audit_log.recorded_at is 'Moment.';

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', 'price_book', c.name, 'public', 'sans limite', false, 'sans objet (aucun membre)'
from (values ('model'), ('unit'), ('valid_from'), ('usd_per_million'), ('source'), ('created_at')) as c (name)
union all
select 'jarvis', 'usage_ledger', c.name, 'public', '10 ans (comptabilité)', false,
       case c.name when 'session_id' then 'vidé avec la conversation' else 'avec la salle' end
from (values ('id'), ('gym_id'), ('session_id'), ('job_id'), ('provider'), ('model'), ('input_tokens'),
             ('cached_input_tokens'), ('output_tokens'), ('audio_seconds'), ('cost_usd'), ('recorded_at')) as c (name)
union all
select 'jarvis', 'audit_log', c.name, 'personal', '3 ans', true, 'avec le membre (cascade)'
from (values ('id'), ('gym_id'), ('actor'), ('action'), ('entity'), ('entity_id'), ('member_id'), ('reason'),
             ('recorded_at')) as c (name);
