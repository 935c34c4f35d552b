-- Core tables: roles, schemas, words of the request, gyms, people, kiosks, members, visits, consent.
-- Runs on a bare PostgreSQL (as superuser) and on a Supabase-like platform (non-superuser with CREATEROLE and
-- BYPASSRLS), where the platform's roles, its schema auth and its extensions are left as they are.

set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

-- ---------------------------------------------------------------------------------------------------------------
-- Roles. They belong to the cluster: another database may have made them, or be making them at this moment.
-- ---------------------------------------------------------------------------------------------------------------
do $roles$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('anon',           'nologin noinherit'),
      ('authenticated',  'nologin noinherit'),
      ('service_role',   'nologin noinherit bypassrls'),
      ('authenticator',  'login noinherit'),
      ('jarvis_server',  'nologin noinherit'),
      ('jarvis_system',  'nologin noinherit'),
      ('jarvis_policy',  'nologin noinherit bypassrls'),
      ('jarvis_writer',  'nologin noinherit bypassrls'),
      ('jarvis_login',   'login noinherit')) as r (name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      begin
        execute format('create role %I %s', wanted.name, wanted.attributes);
        if wanted.name = 'authenticator' then
          execute 'grant anon, authenticated, service_role to authenticator';
        elsif wanted.name = 'jarvis_login' then
          -- A clone of a database loses the database's own setting (below).
          execute 'alter role jarvis_login set search_path = public, extensions';
        end if;
      exception
        -- A migration of another database of this cluster was faster.
        when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;
  -- Without it they would see no row at all, and everybody would be refused everything.
  if exists (select from pg_catalog.pg_roles where rolname in ('jarvis_policy', 'jarvis_writer') and not rolbypassrls) then
    raise exception 'jarvis_policy and jarvis_writer must bypass row level security'
      using hint = 'Run as an administrator: alter role jarvis_policy bypassrls; alter role jarvis_writer bypassrls;';
  end if;
end
$roles$;

-- The login may become its roles but inherits nothing: an inheriting login would receive their policies too.
do $memberships$
declare
  modern constant boolean := current_setting('server_version_num')::integer >= 160000;
  member record;
begin
  for member in
    select 'jarvis_login' as login, r as role
      from unnest(array['jarvis_server', 'jarvis_system', 'anon', 'authenticated', 'service_role']) as r
    union all
    select current_user::text, r from unnest(array['jarvis_policy', 'jarvis_writer']) as r
  loop
    if pg_has_role(member.login, member.role, case when modern then 'SET' else 'MEMBER' end) then
      continue;
    end if;
    begin
      if modern then
        execute format('grant %I to %I with inherit false, set true', member.role, member.login);
      else
        execute format('grant %I to %I', member.role, member.login);
      end if;
    exception
      when unique_violation then null;
      when insufficient_privilege then
        if not pg_has_role(member.login, member.role, 'MEMBER') then
          raise warning '% cannot be granted to %: ask an administrator of the cluster', member.role, member.login;
        end if;
    end;
  end loop;
end
$memberships$;

-- ---------------------------------------------------------------------------------------------------------------
-- Schemas and extensions
-- ---------------------------------------------------------------------------------------------------------------
create schema if not exists extensions;
create extension if not exists vector schema extensions;
create extension if not exists unaccent schema extensions;

-- As on the platform: types and operators of the extensions are found without their schema.
do $path$
begin
  if (select reset_val from pg_catalog.pg_settings where name = 'search_path') !~ '\mextensions\M' then
    execute format('alter database %I set search_path = "$user", public, extensions', current_database());
  end if;
exception
  when insufficient_privilege then
    raise warning 'run as the owner of the database: alter database % set search_path = "$user", public, extensions',
      quote_ident(current_database());
end
$path$;

create schema if not exists jarvis;
comment on schema jarvis is 'JARVIS : ce que l''extérieur ne touche pas (consentements, historique, vecteurs, travaux).';
revoke all on schema jarvis from public;
grant usage on schema jarvis to authenticated, service_role, jarvis_server, jarvis_system, jarvis_policy, jarvis_writer;
grant usage on schema public to authenticated, service_role, jarvis_server, jarvis_system, jarvis_policy, jarvis_writer;
-- The owner of a function must be able to create in its schema at the moment it receives it; taken back below.
grant create on schema jarvis to jarvis_policy, jarvis_writer;

-- A platform may keep its schema of extensions to itself; then its administrator must say who may use it.
do $usage$
begin
  begin
    grant usage on schema extensions to anon, authenticated, service_role, jarvis_server, jarvis_system, jarvis_writer;
  exception
    when insufficient_privilege then null;
  end;
  if not has_schema_privilege('jarvis_server', (select extnamespace from pg_extension where extname = 'vector'), 'usage') then
    raise warning 'run as administrator: grant usage on schema extensions to jarvis_server, jarvis_system, jarvis_writer';
  end if;
end
$usage$;

-- ---------------------------------------------------------------------------------------------------------------
-- Who asks: read from the transaction's settings. An unset setting reads back as '' on a pooled connection.
-- ---------------------------------------------------------------------------------------------------------------
create function jarvis.claims() returns jsonb
  language sql stable set search_path = ''
  as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
comment on function jarvis.claims() is 'Revendications du jeton de la requête, ou null.';

create function jarvis.uid() returns uuid
  language sql stable set search_path = ''
  as $$
    select case when sub ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then sub::uuid end
      from (select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                            jarvis.claims() ->> 'sub') as sub) as request
  $$;
comment on function jarvis.uid() is 'Identité de la personne qui demande, ou null (jamais une erreur).';

-- Inside a SECURITY DEFINER function current_user is its owner; the setting still names who asked.
create function jarvis.request_role() returns text
  language sql stable set search_path = ''
  as $$
    select case when coalesce(nullif(current_setting('role', true), ''), 'none') = 'none'
                then session_user::text else current_setting('role', true) end
  $$;
comment on function jarvis.request_role() is 'Rôle de la requête, même à l''intérieur d''une fonction SECURITY DEFINER.';

create function jarvis.current_gym() returns uuid
  language sql stable set search_path = ''
  as $$ select nullif(current_setting('app.gym_id', true), '')::uuid $$;
comment on function jarvis.current_gym() is 'Salle de la transaction (app.gym_id), ou null : sans salle, aucune ligne.';

-- A person cannot choose the name under which the history keeps them.
create function jarvis.actor() returns text
  language sql stable set search_path = ''
  as $$
    select case when jarvis.request_role() = 'authenticated' then coalesce('user:' || jarvis.uid()::text, 'authenticated')
                else coalesce(nullif(current_setting('app.actor', true), ''),
                              'user:' || jarvis.uid()::text, jarvis.request_role()) end
  $$;
comment on function jarvis.actor() is 'Auteur inscrit dans les historiques.';

-- ---------------------------------------------------------------------------------------------------------------
-- Identities, only where the platform has none
-- ---------------------------------------------------------------------------------------------------------------
do $auth$
begin
  if to_regnamespace('auth') is not null then
    return;
  end if;
  create schema auth;
  comment on schema auth is 'JARVIS : identités (schéma créé par JARVIS, la plateforme n''en a pas).';
  create table auth.users (
    id                 uuid primary key default gen_random_uuid(),
    email              text not null unique,
    encrypted_password text,
    email_confirmed_at timestamptz,
    last_sign_in_at    timestamptz,
    banned_until       timestamptz,
    raw_app_meta_data  jsonb not null default '{}',
    raw_user_meta_data jsonb not null default '{}',
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now()
  );
  alter table auth.users enable row level security;
  alter table auth.users force row level security;
  comment on table auth.users is 'Identités qui se connectent (personnel de salle, opérateurs).';
  comment on column auth.users.id is 'Identifiant (UUID).';
  comment on column auth.users.email is 'Adresse de connexion.';
  comment on column auth.users.encrypted_password is 'Empreinte argon2id du mot de passe.';
  comment on column auth.users.email_confirmed_at is 'Confirmation de l''adresse.';
  comment on column auth.users.last_sign_in_at is 'Dernière connexion.';
  comment on column auth.users.banned_until is 'Connexion refusée jusqu''à cette date.';
  comment on column auth.users.raw_app_meta_data is 'Métadonnées de l''application.';
  comment on column auth.users.raw_user_meta_data is 'Métadonnées de la personne.';
  comment on column auth.users.created_at is 'Création de la ligne.';
  comment on column auth.users.updated_at is 'Dernière modification de la ligne.';

  create function auth.uid() returns uuid language sql stable set search_path = '' as $uid$
    select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
  $uid$;
  create function auth.role() returns text language sql stable set search_path = '' as $role$
    select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
                    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
  $role$;
  create function auth.jwt() returns jsonb language sql stable set search_path = '' as $jwt$
    select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                    nullif(current_setting('request.jwt.claims', true), ''))::jsonb
  $jwt$;
  revoke all on function auth.uid(), auth.role(), auth.jwt() from public;
  grant usage on schema auth to anon, authenticated, service_role, jarvis_server, jarvis_system;
  grant execute on function auth.uid(), auth.role(), auth.jwt()
     to anon, authenticated, service_role, jarvis_server, jarvis_system;
end
$auth$;

-- ---------------------------------------------------------------------------------------------------------------
-- Text: accents never decide. The extension may sit in either schema, so its name is looked up once, here.
-- ---------------------------------------------------------------------------------------------------------------
do $text$
declare
  home constant text := (select quote_ident(n.nspname) from pg_catalog.pg_extension e
                           join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'unaccent');
begin
  execute format($body$
    create function jarvis.fold(phrase text) returns text
      language sql stable strict
      return btrim(regexp_replace(
               lower(%1$s.unaccent('%1$s.unaccent'::regdictionary, normalize(phrase, NFC))), '\s+', ' ', 'g'))
  $body$, home);
  execute format('create text search configuration public.fr (copy = pg_catalog.french)');
  execute format('alter text search configuration public.fr alter mapping for hword, hword_part, word
                    with %s.unaccent, pg_catalog.french_stem', home);
  execute format('create text search configuration public.en (copy = pg_catalog.english)');
  execute format('alter text search configuration public.en alter mapping for hword, hword_part, word
                    with %s.unaccent, pg_catalog.english_stem', home);
end
$text$;
comment on function jarvis.fold(text) is 'Minuscules, sans accent, espaces réduits : la forme sous laquelle on compare une citation.';
comment on text search configuration public.fr is 'Français, sans accents.';
comment on text search configuration public.en is 'Anglais, sans accents.';

create function jarvis.touch_updated_at() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  new.updated_at := now();
  return new;
end
$$;
comment on function jarvis.touch_updated_at() is 'Déclencheur : date la dernière modification.';

-- Runs with the caller's rights on purpose: a member the caller may not see does not lend its gym.
create function jarvis.fill_gym_id() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  if new.gym_id is null and new.member_id is not null then
    select m.gym_id into new.gym_id from public.gym_members_v2 m where m.id = new.member_id;
  end if;
  return new;
end
$$;
comment on function jarvis.fill_gym_id() is 'Déclencheur : la salle d''une ligne est celle de son membre.';

-- ---------------------------------------------------------------------------------------------------------------
-- gyms
-- ---------------------------------------------------------------------------------------------------------------
create table public.gyms (
  id              uuid primary key default gen_random_uuid(),
  name            text not null check (btrim(name) <> ''),
  slug            text unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  timezone        text not null default 'Europe/Paris'
                  check (timezone ~ '^(UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+)$'
                         and (timestamptz '2000-01-01 00:00+00' at time zone timezone) is not null),
  locale          text not null default 'fr' check (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
  opening_hours   jsonb,
  status          text not null default 'active' check (status in ('active', 'suspended')),
  embedding_model text not null default 'e5-small-multilingual',
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now()
);
alter table public.gyms enable row level security;
alter table public.gyms force row level security;
revoke all on public.gyms from public, anon, authenticated, service_role;
comment on table public.gyms is 'Salles de sport : la frontière de toutes les données.';
comment on column public.gyms.id is 'Identifiant (UUID).';
comment on column public.gyms.name is 'Nom de la salle.';
comment on column public.gyms.slug is 'Nom court, unique, pour les adresses.';
comment on column public.gyms.timezone is 'Fuseau horaire (nom IANA) : les jours et les rapports s''y comptent.';
comment on column public.gyms.locale is 'Langue et région des pages et des messages.';
comment on column public.gyms.opening_hours is 'Heures d''ouverture, en JSON.';
comment on column public.gyms.status is 'active ou suspended.';
comment on column public.gyms.embedding_model is 'Modèle d''empreintes actif : seules ses empreintes sont comparées.';
comment on column public.gyms.created_at is 'Création de la ligne.';
comment on column public.gyms.updated_at is 'Dernière modification de la ligne.';
create trigger z90_touch before update on public.gyms for each row execute function jarvis.touch_updated_at();

-- ---------------------------------------------------------------------------------------------------------------
-- users: the people who work with a gym (not its members)
-- ---------------------------------------------------------------------------------------------------------------
create table public.users (
  id         uuid primary key,
  email      text not null unique check (email ~* '^[^@\s]+@[^@\s]+$'),
  full_name  text,
  role       text not null default 'gym_staff' check (role in ('super_admin', 'gym_manager', 'gym_staff')),
  gym_access uuid[] not null default '{}',
  is_active  boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index users_email_folded_key on public.users (lower(email));
alter table public.users enable row level security;
alter table public.users force row level security;
revoke all on public.users from public, anon, authenticated, service_role;
comment on table public.users is 'Personnes qui travaillent avec une ou plusieurs salles.';
comment on column public.users.id is 'Identité de connexion (auth.uid()).';
comment on column public.users.email is 'Adresse de la personne.';
comment on column public.users.full_name is 'Nom affiché.';
comment on column public.users.role is 'super_admin, gym_manager ou gym_staff.';
comment on column public.users.gym_access is 'Salles où la personne travaille (un super_admin les a toutes).';
comment on column public.users.is_active is 'Une personne inactive n''a aucune salle.';
comment on column public.users.created_at is 'Création de la ligne.';
comment on column public.users.updated_at is 'Dernière modification de la ligne.';
create trigger z90_touch before update on public.users for each row execute function jarvis.touch_updated_at();

-- Policies ask these functions, never a table: a policy on users that reads users would recurse.
create function jarvis.my_gyms(roles text[] default array['super_admin', 'gym_manager', 'gym_staff']) returns uuid[]
  language sql stable security definer set search_path = ''
  as $$
    select coalesce((
      select case when u.role = 'super_admin' then (select array_agg(g.id) from public.gyms g) else u.gym_access end
        from public.users u
       where u.id = jarvis.uid() and u.is_active and u.role = any (roles)), '{}'::uuid[])
  $$;
comment on function jarvis.my_gyms(text[]) is 'Salles où la personne qui demande tient un de ces rôles ; aucune si elle est inactive.';

create function jarvis.is_super_admin() returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select exists (select from public.users u where u.id = jarvis.uid() and u.is_active and u.role = 'super_admin')
  $$;
comment on function jarvis.is_super_admin() is 'Vrai pour un super administrateur actif.';

create function jarvis.active_uid() returns uuid
  language sql stable security definer set search_path = ''
  as $$ select u.id from public.users u where u.id = jarvis.uid() and u.is_active $$;
comment on function jarvis.active_uid() is 'Identité de la personne qui demande si elle est active, ou null.';

grant select on public.users to jarvis_policy;
grant select (id) on public.gyms to jarvis_policy;

-- Whether the caller may work in a gym; for functions that read with more rights than their caller.
create function jarvis.may_touch(gym uuid) returns boolean
  language sql stable set search_path = ''
  as $$
    select coalesce(case jarvis.request_role()
      when 'authenticated' then gym = any (jarvis.my_gyms())
      when 'jarvis_server' then gym = jarvis.current_gym()
      else (select r.rolsuper or r.rolbypassrls from pg_catalog.pg_roles r where r.rolname = jarvis.request_role())
    end, false)
  $$;
comment on function jarvis.may_touch(uuid) is 'Vrai si la requête a le droit de travailler dans cette salle.';

-- Not the negation of the above: a trigger that asks for consent must ask everybody but those whom row level security
-- is about to refuse, who would otherwise learn from the answer whether a stranger consented.
create function jarvis.is_elsewhere(gym uuid) returns boolean
  language sql stable set search_path = ''
  as $$
    select coalesce(case jarvis.request_role()
      when 'authenticated' then not gym = any (jarvis.my_gyms())
      when 'jarvis_server' then gym <> jarvis.current_gym()
      else false
    end, true)
  $$;
comment on function jarvis.is_elsewhere(uuid) is 'Vrai si la sécurité des lignes va refuser cette salle à la requête.';

-- ---------------------------------------------------------------------------------------------------------------
-- kiosks
-- ---------------------------------------------------------------------------------------------------------------
create table public.kiosks (
  id           uuid primary key default gen_random_uuid(),
  gym_id       uuid not null default jarvis.current_gym() references public.gyms (id) on delete cascade,
  name         text not null check (btrim(name) <> ''),
  slug         text not null check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  language     text not null default 'fr' check (language in ('fr', 'en', 'es', 'de', 'it')),
  public_key   jsonb check (public_key is null or (jsonb_typeof(public_key) = 'object' and not public_key ? 'd')),
  status       text not null default 'unpaired' check (status in ('unpaired', 'active', 'revoked')),
  last_seen_at timestamptz,
  paired_at    timestamptz,
  revoked_at   timestamptz,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  unique (gym_id, slug),
  unique (gym_id, id)
);
alter table public.kiosks enable row level security;
alter table public.kiosks force row level security;
revoke all on public.kiosks from public, anon, authenticated, service_role;
comment on table public.kiosks is 'Bornes où les membres parlent.';
comment on column public.kiosks.id is 'Identifiant (UUID).';
comment on column public.kiosks.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.kiosks.name is 'Nom de la borne.';
comment on column public.kiosks.slug is 'Nom court, unique dans la salle.';
comment on column public.kiosks.language is 'Langue par défaut de la borne.';
comment on column public.kiosks.public_key is 'Clé publique (JWK) fabriquée par l''appareil ; jamais la clé privée.';
comment on column public.kiosks.status is 'unpaired, active ou revoked.';
comment on column public.kiosks.last_seen_at is 'Dernier signe de vie.';
comment on column public.kiosks.paired_at is 'Appairage.';
comment on column public.kiosks.revoked_at is 'Révocation.';
comment on column public.kiosks.created_at is 'Création de la ligne.';
comment on column public.kiosks.updated_at is 'Dernière modification de la ligne.';
create trigger z90_touch before update on public.kiosks for each row execute function jarvis.touch_updated_at();

create table jarvis.kiosk_pairing_codes (
  code_hash  bytea primary key,
  gym_id     uuid not null,
  kiosk_id   uuid not null,
  expires_at timestamptz not null,
  attempts   integer not null default 0 check (attempts >= 0),
  used_at    timestamptz,
  created_at timestamptz not null default now(),
  foreign key (gym_id, kiosk_id) references public.kiosks (gym_id, id) on delete cascade
);
create index kiosk_pairing_codes_kiosk on jarvis.kiosk_pairing_codes (gym_id, kiosk_id);
alter table jarvis.kiosk_pairing_codes enable row level security;
alter table jarvis.kiosk_pairing_codes force row level security;
revoke all on jarvis.kiosk_pairing_codes from public, anon, authenticated, service_role;
comment on table jarvis.kiosk_pairing_codes is 'Codes d''appairage à usage unique.';
comment on column jarvis.kiosk_pairing_codes.code_hash is 'Empreinte du code ; le code n''est gardé nulle part.';
comment on column jarvis.kiosk_pairing_codes.gym_id is 'Salle de la borne.';
comment on column jarvis.kiosk_pairing_codes.kiosk_id is 'Borne à appairer.';
comment on column jarvis.kiosk_pairing_codes.expires_at is 'Fin de validité.';
comment on column jarvis.kiosk_pairing_codes.attempts is 'Essais manqués (5 au plus).';
comment on column jarvis.kiosk_pairing_codes.used_at is 'Moment de l''usage.';
comment on column jarvis.kiosk_pairing_codes.created_at is 'Création de la ligne.';

-- ---------------------------------------------------------------------------------------------------------------
-- gym_members_v2
-- ---------------------------------------------------------------------------------------------------------------
create table public.gym_members_v2 (
  id                 uuid primary key default gen_random_uuid(),
  gym_id             uuid not null default jarvis.current_gym() references public.gyms (id) on delete cascade,
  badge_id           text not null check (btrim(badge_id) <> '' and length(badge_id) <= 128),
  first_name         text not null,
  last_name          text not null,
  email              text check (email ~* '^[^@\s]+@[^@\s]+\.[^@\s]+$'),
  phone              text check (phone ~ '^[+(]?[0-9][0-9 .()/-]{4,28}$'),
  date_of_birth      date check (date_of_birth >= date '1900-01-01'),
  gender             text check (gender in ('male', 'female', 'other', 'prefer_not_to_say')),
  profile_photo_url  text,
  membership_type    text default 'standard',
  member_since       date not null default current_date,
  membership_expires date,
  is_active          boolean default true,
  last_visit         timestamptz,
  total_visits       integer not null default 0 check (total_visits >= 0),
  can_use_jarvis     boolean not null default true,
  member_notes       text,
  created_at         timestamptz default now(),
  updated_at         timestamptz default now(),
  constraint gym_members_v2_expires_after_start check (membership_expires >= member_since),
  unique (gym_id, id),
  unique (gym_id, badge_id)
);
-- A reader may add spaces or change the case of what it reads.
create unique index gym_members_v2_badge_folded_key on public.gym_members_v2 (gym_id, lower(btrim(badge_id)));
create index gym_members_v2_name on public.gym_members_v2 (gym_id, last_name, first_name);
alter table public.gym_members_v2 enable row level security;
alter table public.gym_members_v2 force row level security;
revoke all on public.gym_members_v2 from public, anon, authenticated, service_role;
comment on table public.gym_members_v2 is 'Membres d''une salle : identité et abonnement.';
comment on column public.gym_members_v2.id is 'Identifiant (UUID).';
comment on column public.gym_members_v2.gym_id is 'Salle du membre.';
comment on column public.gym_members_v2.badge_id is 'Badge, unique dans la salle ; comparé sans espaces autour ni casse.';
comment on column public.gym_members_v2.first_name is 'Prénom.';
comment on column public.gym_members_v2.last_name is 'Nom.';
comment on column public.gym_members_v2.email is 'Adresse électronique.';
comment on column public.gym_members_v2.phone is 'Téléphone, tel que saisi.';
comment on column public.gym_members_v2.date_of_birth is 'Date de naissance ; avant 15 ans, un représentant consent.';
comment on column public.gym_members_v2.gender is 'Genre déclaré.';
comment on column public.gym_members_v2.profile_photo_url is 'Adresse de la photo.';
comment on column public.gym_members_v2.membership_type is 'Formule d''abonnement.';
comment on column public.gym_members_v2.member_since is 'Début de l''abonnement.';
comment on column public.gym_members_v2.membership_expires is 'Fin de l''abonnement.';
comment on column public.gym_members_v2.is_active is 'Un membre inactif n''ouvre pas de conversation.';
comment on column public.gym_members_v2.last_visit is 'Dernière visite, avancée par member_visits.';
comment on column public.gym_members_v2.total_visits is 'Nombre de visites, avancé par member_visits.';
comment on column public.gym_members_v2.can_use_jarvis is 'Le membre peut parler à l''assistant.';
comment on column public.gym_members_v2.member_notes is 'Notes de la salle.';
comment on column public.gym_members_v2.created_at is 'Création de la ligne.';
comment on column public.gym_members_v2.updated_at is 'Dernière modification de la ligne.';
create trigger z90_touch before update on public.gym_members_v2 for each row execute function jarvis.touch_updated_at();

-- ---------------------------------------------------------------------------------------------------------------
-- member_fitness_profile
-- ---------------------------------------------------------------------------------------------------------------
create table public.member_fitness_profile (
  member_id                  uuid primary key,
  gym_id                     uuid not null default jarvis.current_gym(),
  height_cm                  numeric(5,2) check (height_cm > 0),
  current_weight_kg          numeric(5,2) check (current_weight_kg > 0),
  target_weight_kg           numeric(5,2) check (target_weight_kg > 0),
  body_fat_percentage        numeric(5,2) check (body_fat_percentage between 0 and 100),
  fitness_level              text check (fitness_level in ('beginner', 'intermediate', 'advanced', 'expert')),
  primary_goals              text[] not null default '{}',
  target_date                date,
  preferred_workout_times    jsonb not null default '{"morning": false, "afternoon": false, "evening": false}'
                             check (jsonb_typeof(preferred_workout_times) = 'object'),
  workout_frequency_per_week integer check (workout_frequency_per_week between 0 and 7),
  preferred_workout_duration integer check (preferred_workout_duration between 1 and 300),
  preferred_workout_style    text check (preferred_workout_style in ('strength', 'cardio', 'mixed', 'flexibility', 'sport')),
  created_at                 timestamptz not null default now(),
  updated_at                 timestamptz not null default now(),
  unique (gym_id, member_id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
alter table public.member_fitness_profile enable row level security;
alter table public.member_fitness_profile force row level security;
revoke all on public.member_fitness_profile from public, anon, authenticated, service_role;
comment on table public.member_fitness_profile is 'Profil sportif, un par membre.';
comment on column public.member_fitness_profile.member_id is 'Membre.';
comment on column public.member_fitness_profile.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.member_fitness_profile.height_cm is 'Taille en centimètres.';
comment on column public.member_fitness_profile.current_weight_kg is 'Poids actuel en kilogrammes.';
comment on column public.member_fitness_profile.target_weight_kg is 'Poids visé en kilogrammes.';
comment on column public.member_fitness_profile.body_fat_percentage is 'Masse grasse, de 0 à 100 %.';
comment on column public.member_fitness_profile.fitness_level is 'Niveau : beginner, intermediate, advanced ou expert.';
comment on column public.member_fitness_profile.primary_goals is 'Objectifs principaux.';
comment on column public.member_fitness_profile.target_date is 'Date visée.';
comment on column public.member_fitness_profile.preferred_workout_times is 'Moments préférés : {morning, afternoon, evening}, vrai ou faux.';
comment on column public.member_fitness_profile.workout_frequency_per_week is 'Séances par semaine, de 0 à 7.';
comment on column public.member_fitness_profile.preferred_workout_duration is 'Durée de séance préférée, en minutes.';
comment on column public.member_fitness_profile.preferred_workout_style is 'Style : strength, cardio, mixed, flexibility ou sport.';
comment on column public.member_fitness_profile.created_at is 'Création de la ligne.';
comment on column public.member_fitness_profile.updated_at is 'Dernière modification de la ligne.';
create trigger a10_gym before insert on public.member_fitness_profile for each row execute function jarvis.fill_gym_id();
create trigger z90_touch before update on public.member_fitness_profile for each row execute function jarvis.touch_updated_at();

-- ---------------------------------------------------------------------------------------------------------------
-- member_preferences
-- ---------------------------------------------------------------------------------------------------------------
create table public.member_preferences (
  member_id           uuid primary key,
  gym_id              uuid not null default jarvis.current_gym(),
  communication_style text not null default 'friendly'
                      check (communication_style in ('encouraging', 'direct', 'friendly', 'patient', 'energetic', 'calm')),
  feedback_style      text not null default 'motivating'
                      check (feedback_style in ('motivating', 'technical', 'gentle', 'challenging')),
  language            text not null default 'fr' check (language in ('fr', 'en', 'es', 'de', 'it')),
  voice_preference    text,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  unique (gym_id, member_id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
alter table public.member_preferences enable row level security;
alter table public.member_preferences force row level security;
revoke all on public.member_preferences from public, anon, authenticated, service_role;
comment on table public.member_preferences is 'Manière de parler au membre, une ligne par membre.';
comment on column public.member_preferences.member_id is 'Membre.';
comment on column public.member_preferences.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.member_preferences.communication_style is 'Ton de l''assistant.';
comment on column public.member_preferences.feedback_style is 'Manière de commenter l''effort.';
comment on column public.member_preferences.language is 'Langue du membre.';
comment on column public.member_preferences.voice_preference is 'Voix préférée.';
comment on column public.member_preferences.created_at is 'Création de la ligne.';
comment on column public.member_preferences.updated_at is 'Dernière modification de la ligne.';
create trigger a10_gym before insert on public.member_preferences for each row execute function jarvis.fill_gym_id();
create trigger z90_touch before update on public.member_preferences for each row execute function jarvis.touch_updated_at();

-- ---------------------------------------------------------------------------------------------------------------
-- Append-only tables: a row goes only when its member is erased (the cascade runs after the member is gone).
-- ---------------------------------------------------------------------------------------------------------------
create function jarvis.append_only() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if tg_op = 'DELETE'
     and not exists (select from public.gym_members_v2 m where m.gym_id = old.gym_id and m.id = old.member_id) then
    return old;
  end if;
  raise exception using errcode = 'JA001', message = 'append_only',
    detail = tg_table_schema || '.' || tg_table_name,
    hint = 'Cette table garde tout : ajoutez une nouvelle ligne au lieu de changer l''ancienne.';
end
$$;
comment on function jarvis.append_only() is 'Déclencheur : refuse de modifier ou d''effacer, sauf quand le membre est effacé.';
grant select (gym_id, id, date_of_birth) on public.gym_members_v2 to jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------------
-- member_visits
-- ---------------------------------------------------------------------------------------------------------------
create table public.member_visits (
  id         uuid primary key default gen_random_uuid(),
  gym_id     uuid not null default jarvis.current_gym(),
  member_id  uuid not null,
  visited_at timestamptz not null default now(),
  source     text not null default 'badge' check (source in ('badge', 'kiosk', 'import', 'manual', 'opening_balance')),
  quantity   integer not null default 1 check (quantity >= 0 and (quantity = 1 or source = 'opening_balance')),
  created_at timestamptz not null default now(),
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index member_visits_member on public.member_visits (gym_id, member_id, visited_at desc);
alter table public.member_visits enable row level security;
alter table public.member_visits force row level security;
revoke all on public.member_visits from public, anon, authenticated, service_role;
comment on table public.member_visits is 'Passages à la salle, en ajout seul : chacun avance last_visit et total_visits.';
comment on column public.member_visits.id is 'Identifiant (UUID).';
comment on column public.member_visits.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.member_visits.member_id is 'Membre venu.';
comment on column public.member_visits.visited_at is 'Moment de la visite.';
comment on column public.member_visits.source is 'badge, kiosk, import, manual ou opening_balance (solde d''ouverture).';
comment on column public.member_visits.quantity is 'Nombre de visites : 1, ou le solde d''ouverture.';
comment on column public.member_visits.created_at is 'Création de la ligne.';
create trigger a10_gym before insert on public.member_visits for each row execute function jarvis.fill_gym_id();
create trigger b20_append_only before update or delete on public.member_visits
  for each row execute function jarvis.append_only();
create trigger b20_append_only_truncate before truncate on public.member_visits
  for each statement execute function jarvis.append_only();

create function jarvis.count_visit() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  update public.gym_members_v2 m
     set last_visit = greatest(m.last_visit, new.visited_at), total_visits = m.total_visits + new.quantity
   where m.gym_id = new.gym_id and m.id = new.member_id;
  return null;
end
$$;
comment on function jarvis.count_visit() is 'Déclencheur : une visite avance last_visit et total_visits du membre.';
grant select (last_visit, total_visits), update (last_visit, total_visits) on public.gym_members_v2 to jarvis_writer;
create trigger c30_count after insert on public.member_visits for each row execute function jarvis.count_visit();

-- An unknown badge, an inactive member and another gym's badge give the same answer.
create function public.log_member_visit(badge_id text, gym_id uuid default null) returns uuid
  language plpgsql set search_path = ''
  as $$
declare
  of_gym constant uuid := coalesce(log_member_visit.gym_id, jarvis.current_gym());
  of_member uuid;
  visit uuid;
begin
  select m.id into of_member from public.gym_members_v2 m
   where m.gym_id = of_gym and lower(btrim(m.badge_id)) = lower(btrim(log_member_visit.badge_id)) and m.is_active;
  if of_member is null then
    raise exception using errcode = 'JB001', message = 'badge_unknown',
      hint = 'Ce badge n''ouvre rien dans cette salle.';
  end if;
  insert into public.member_visits (gym_id, member_id, source) values (of_gym, of_member, 'badge') returning id into visit;
  return visit;
end
$$;
comment on function public.log_member_visit(text, uuid) is 'Enregistre une visite à partir d''un badge ; rend l''identifiant de la visite.';

-- ---------------------------------------------------------------------------------------------------------------
-- consent_ledger
-- ---------------------------------------------------------------------------------------------------------------
create table jarvis.consent_ledger (
  id                uuid primary key default gen_random_uuid(),
  seq               bigint generated always as identity,
  gym_id            uuid not null default jarvis.current_gym(),
  member_id         uuid not null,
  purpose           text not null
                    check (purpose in ('voice', 'memory', 'health_memory', 'profiling', 'share_with_staff')),
  granted           boolean not null,
  by_guardian       boolean not null default false,
  statement_version text not null default 'v1',
  source            text not null check (source in ('kiosk', 'reception', 'import', 'cli', 'api')),
  actor             text not null default jarvis.actor(),
  recorded_at       timestamptz not null default clock_timestamp(),
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index consent_ledger_latest on jarvis.consent_ledger (gym_id, member_id, purpose, recorded_at desc, seq desc);
alter table jarvis.consent_ledger enable row level security;
alter table jarvis.consent_ledger force row level security;
revoke all on jarvis.consent_ledger from public, anon, authenticated, service_role;
comment on table jarvis.consent_ledger is 'Consentements, en ajout seul : la dernière ligne d''une finalité fait foi.';
comment on column jarvis.consent_ledger.id is 'Identifiant (UUID).';
comment on column jarvis.consent_ledger.seq is 'Ordre d''arrivée, pour départager deux réponses du même instant.';
comment on column jarvis.consent_ledger.gym_id is 'Salle du membre.';
comment on column jarvis.consent_ledger.member_id is 'Membre concerné.';
comment on column jarvis.consent_ledger.purpose is 'Finalité : voice, memory, health_memory, profiling ou share_with_staff.';
comment on column jarvis.consent_ledger.granted is 'Vrai pour un accord, faux pour un refus ou un retrait.';
comment on column jarvis.consent_ledger.by_guardian is 'Donné par le représentant légal (exigé avant 15 ans).';
comment on column jarvis.consent_ledger.statement_version is 'Version du texte montré.';
comment on column jarvis.consent_ledger.source is 'kiosk, reception, import, cli ou api.';
comment on column jarvis.consent_ledger.actor is 'Qui l''a enregistré.';
comment on column jarvis.consent_ledger.recorded_at is 'Moment de la réponse, toujours après celui de la précédente pour la même finalité.';
-- A later answer counts whatever the clock that dated it says: a withdrawal must win. The member's row is locked so that
-- of two answers at once the second sees the first.
create function jarvis.order_consent() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  newest timestamptz;
begin
  if jarvis.is_elsewhere(new.gym_id) then
    return new;
  end if;
  perform from public.gym_members_v2 m where m.gym_id = new.gym_id and m.id = new.member_id for no key update;
  select max(l.recorded_at) into newest from jarvis.consent_ledger l
   where l.gym_id = new.gym_id and l.member_id = new.member_id and l.purpose = new.purpose;
  new.recorded_at := greatest(new.recorded_at, newest + interval '1 microsecond');
  return new;
end
$$;
comment on function jarvis.order_consent() is 'Déclencheur : une réponse est toujours datée après celles qui la précèdent.';
create trigger a20_order before insert on jarvis.consent_ledger for each row execute function jarvis.order_consent();
create trigger b20_append_only before update or delete on jarvis.consent_ledger
  for each row execute function jarvis.append_only();
create trigger b20_append_only_truncate before truncate on jarvis.consent_ledger
  for each statement execute function jarvis.append_only();
grant select on jarvis.consent_ledger to jarvis_writer;

-- Digital age of consent in France: 15 (loi n° 78-17, article 45). Below it a guardian consents.
create function jarvis.consent_given(gym uuid, member uuid, of_purpose text) returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select coalesce((
      select l.granted
             and (l.by_guardian or of_purpose not in ('voice', 'memory', 'health_memory')
                  or not exists (select from public.gym_members_v2 m
                                  where m.gym_id = gym and m.id = member
                                    and m.date_of_birth > current_date - interval '15 years'))
        from jarvis.consent_ledger l
       where l.gym_id = gym and l.member_id = member and l.purpose = of_purpose
       order by l.recorded_at desc, l.seq desc
       limit 1), false)
  $$;
comment on function jarvis.consent_given(uuid, uuid, text) is 'Dernière réponse du membre pour cette finalité, sans contrôle de l''appelant (fonctions internes).';

create function jarvis.has_consent(gym uuid, member uuid, purpose text) returns boolean
  language sql stable security definer set search_path = ''
  as $$
    select (jarvis.may_touch(gym) or jarvis.request_role() = 'jarvis_system')
           and jarvis.consent_given(gym, member, purpose)
  $$;
comment on function jarvis.has_consent(uuid, uuid, text) is 'Vrai si le membre (ou son représentant avant 15 ans) a accepté cette finalité ; faux pour une salle étrangère.';

create function jarvis.require_consent(gym uuid, member uuid, purpose text) returns void
  language plpgsql stable security definer set search_path = ''
  as $$
begin
  if not jarvis.consent_given(gym, member, purpose) then
    raise exception using errcode = 'JC001', message = 'consent_required', detail = purpose,
      hint = case purpose
        when 'health_memory' then 'Recueillez l''accord du membre pour garder des informations de santé (jarvis consent record, finalité health_memory).'
        when 'memory' then 'Recueillez l''accord du membre pour la mémoire (jarvis consent record, finalité memory).'
        else 'Recueillez l''accord du membre pour cette finalité (jarvis consent record).' end;
  end if;
end
$$;
comment on function jarvis.require_consent(uuid, uuid, text) is 'Lève JC001 consent_required si la finalité n''est pas acceptée (fonctions internes).';

-- ---------------------------------------------------------------------------------------------------------------
-- Owners, last: a trigger can only be made by who may run its function
-- ---------------------------------------------------------------------------------------------------------------
revoke all on all functions in schema jarvis from public, anon, authenticated;
revoke all on function public.log_member_visit(text, uuid) from public, anon, authenticated;
grant execute on function jarvis.claims(), jarvis.uid(), jarvis.request_role()
   to jarvis_policy, jarvis_writer, jarvis_server, jarvis_system, authenticated, service_role;
grant execute on function jarvis.current_gym(), jarvis.actor()
   to jarvis_writer, jarvis_server, jarvis_system, authenticated, service_role;
grant execute on function jarvis.my_gyms(text[]), jarvis.is_super_admin(), jarvis.active_uid(), jarvis.may_touch(uuid),
  jarvis.is_elsewhere(uuid)
   to jarvis_writer, jarvis_server, jarvis_system, authenticated, service_role;
grant execute on function jarvis.fold(text) to jarvis_writer, jarvis_server, service_role;
grant execute on function jarvis.consent_given(uuid, uuid, text), jarvis.require_consent(uuid, uuid, text) to jarvis_writer;
grant execute on function jarvis.has_consent(uuid, uuid, text) to jarvis_server, jarvis_system, authenticated, service_role;
grant execute on function public.log_member_visit(text, uuid) to jarvis_server, authenticated, service_role;
alter function jarvis.my_gyms(text[]) owner to jarvis_policy;
alter function jarvis.is_super_admin() owner to jarvis_policy;
alter function jarvis.active_uid() owner to jarvis_policy;
alter function jarvis.append_only() owner to jarvis_writer;
alter function jarvis.count_visit() owner to jarvis_writer;
alter function jarvis.order_consent() owner to jarvis_writer;
alter function jarvis.consent_given(uuid, uuid, text) owner to jarvis_writer;
alter function jarvis.has_consent(uuid, uuid, text) owner to jarvis_writer;
alter function jarvis.require_consent(uuid, uuid, text) owner to jarvis_writer;
revoke create on schema jarvis from jarvis_policy, jarvis_writer;
