-- Sessions of people who sign in: an access token lives an hour, and a refresh token, good once, gets the next one. A
-- refresh token itself is kept nowhere: only its hash. One that comes a second time ends its session.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

create table jarvis.auth_sessions (
  id           uuid primary key,
  user_id      uuid not null references public.users (id) on delete cascade,
  created_at   timestamptz not null default now(),
  refreshed_at timestamptz not null default now(),
  ended_at     timestamptz
);
create index auth_sessions_user on jarvis.auth_sessions (user_id);
create table jarvis.refresh_tokens (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  session_id uuid not null references jarvis.auth_sessions (id) on delete cascade,
  created_at timestamptz not null default now(),
  used_at    timestamptz
);
create index refresh_tokens_session on jarvis.refresh_tokens (session_id);

alter table jarvis.auth_sessions enable row level security;
alter table jarvis.auth_sessions force row level security;
alter table jarvis.refresh_tokens enable row level security;
alter table jarvis.refresh_tokens force row level security;
revoke all on jarvis.auth_sessions, jarvis.refresh_tokens from public, anon, authenticated, service_role;
comment on table jarvis.auth_sessions is 'Connexions des personnes ; une personne peut travailler pour plusieurs salles. @lint-allow(tenant_column_missing)';
comment on column jarvis.auth_sessions.id is 'Identifiant (UUID), revendication session_id des jetons.';
comment on column jarvis.auth_sessions.user_id is 'Personne connectée.';
comment on column jarvis.auth_sessions.created_at is 'Création de la ligne.';
comment on column jarvis.auth_sessions.refreshed_at is 'Dernier renouvellement ; sans renouvellement pendant 30 jours, la connexion est finie.';
comment on column jarvis.auth_sessions.ended_at is 'Fin : déconnexion, mot de passe changé, ou jeton présenté deux fois.';
comment on table jarvis.refresh_tokens is 'Jetons de renouvellement, bons une fois ; le jeton lui-même n''est gardé nulle part. @lint-allow(tenant_column_missing)';
comment on column jarvis.refresh_tokens.token_hash is 'Empreinte SHA-256 du jeton.';
comment on column jarvis.refresh_tokens.session_id is 'Connexion.';
comment on column jarvis.refresh_tokens.created_at is 'Création de la ligne.';
comment on column jarvis.refresh_tokens.used_at is 'Premier usage ; présenté de nouveau dix secondes plus tard, il met fin à la connexion.';
create policy system_all on jarvis.auth_sessions for all to jarvis_system using (true) with check (true);
create policy system_all on jarvis.refresh_tokens for all to jarvis_system using (true) with check (true);
grant select, insert, delete, update (refreshed_at, ended_at) on jarvis.auth_sessions to jarvis_system;
grant select, insert, update (used_at) on jarvis.refresh_tokens to jarvis_system;

-- People change their own password and what they say of themselves; where the platform keeps identities, they do it there.
do $auth$
begin
  if obj_description('auth'::regnamespace) like 'JARVIS%' then
    grant update (encrypted_password, raw_user_meta_data, updated_at) on auth.users to jarvis_system;
  end if;
end
$auth$;

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', 'auth_sessions', c.name, 'personal', '30 jours après la fin', false, 'avec le compte (cascade)'
  from (values ('id'), ('user_id'), ('created_at'), ('refreshed_at'), ('ended_at')) as c (name)
union all
select 'jarvis', 'refresh_tokens', c.name, 'secret', '30 jours après la fin', false, 'avec la connexion (cascade)'
  from (values ('token_hash'), ('session_id'), ('created_at'), ('used_at')) as c (name);
