-- Opaque keys of the data API. A key itself is kept nowhere: only its hash, and enough of it to recognise it in a list.
set local lock_timeout = '10s';
set local statement_timeout = '120s';

create table jarvis.api_keys (
  id         uuid primary key default gen_random_uuid(),
  kind       text not null check (kind in ('publishable', 'secret')),
  name       text not null check (btrim(name) <> '' and char_length(name) <= 100),
  shown      text not null,
  key_hash   bytea not null unique check (octet_length(key_hash) = 32),
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);
alter table jarvis.api_keys enable row level security;
alter table jarvis.api_keys force row level security;
revoke all on jarvis.api_keys from public, anon, authenticated, service_role;
comment on table jarvis.api_keys is 'Clés opaques de l''API de données ; la clé elle-même n''est gardée nulle part. Elles valent pour toutes les salles. @lint-allow(tenant_column_missing)';
comment on column jarvis.api_keys.id is 'Identifiant (UUID).';
comment on column jarvis.api_keys.kind is 'publishable (rôle anon) ou secret (rôle service_role).';
comment on column jarvis.api_keys.name is 'Nom donné par l''exploitant.';
comment on column jarvis.api_keys.shown is 'Début de la clé, pour la reconnaître dans une liste.';
comment on column jarvis.api_keys.key_hash is 'Empreinte SHA-256 de la clé.';
comment on column jarvis.api_keys.created_at is 'Création de la ligne.';
comment on column jarvis.api_keys.revoked_at is 'Moment de la révocation ; la clé ne vaut plus rien ensuite.';
create policy system_all on jarvis.api_keys for all to jarvis_system using (true) with check (true);
grant select, insert, update (revoked_at) on jarvis.api_keys to jarvis_system;

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', 'api_keys', c.name, 'secret', 'sans limite ; révoquées, gardées pour mémoire', false, 'sans objet (aucun membre)'
  from (values ('id'), ('kind'), ('name'), ('shown'), ('key_hash'), ('created_at'), ('revoked_at')) as c (name);
