-- Memory tables: sessions, events, facts with their history and guard, summaries with their vectors.

set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

grant create on schema jarvis to jarvis_policy, jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------------
-- conversation_sessions
-- ---------------------------------------------------------------------------------------------------------------
create table public.conversation_sessions (
  session_id            text primary key
                        check (length(session_id) between 1 and 128 and session_id !~ '[[:space:][:cntrl:]]'),
  gym_id                uuid not null default jarvis.current_gym(),
  kiosk_id              uuid,
  member_id             uuid not null,
  channel               text not null default 'text' check (channel in ('voice', 'text', 'external')),
  language              text not null default 'fr' check (language in ('fr', 'en', 'es', 'de', 'it')),
  state                 text not null default 'open'
                        check (state in ('open', 'closing', 'processed', 'empty', 'failed')),
  state_reason          text,
  end_reason            text check (end_reason in ('goodbye', 'idle', 'badge_change', 'disconnect', 'kiosk_restart',
                                                   'limit', 'orphaned', 'client', 'operator')),
  started_at            timestamptz not null default now(),
  last_event_at         timestamptz,
  ended_at              timestamptz,
  processed_at          timestamptz,
  attempts              integer not null default 0 check (attempts >= 0),
  last_error            text,
  notes                 text[] not null default '{}',
  withheld_health_spans integer not null default 0 check (withheld_health_spans >= 0),
  facts_rejected        integer not null default 0 check (facts_rejected >= 0),
  extractor             text,
  usage                 jsonb not null default '{}' check (jsonb_typeof(usage) = 'object'),
  cost_total            numeric(12,6) not null default 0 check (cost_total >= 0),
  disclosure_version    text,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  constraint conversation_sessions_ended check (state = 'open' or ended_at is not null),
  unique (gym_id, session_id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade,
  foreign key (gym_id, kiosk_id) references public.kiosks (gym_id, id) on delete set null (kiosk_id)
);
create index conversation_sessions_unfinished on public.conversation_sessions (state, started_at)
  where state in ('open', 'closing');
create index conversation_sessions_member on public.conversation_sessions (gym_id, member_id, started_at desc);
create index conversation_sessions_kiosk on public.conversation_sessions (gym_id, kiosk_id) where kiosk_id is not null;
-- With gym_id, or the refusal of a foreign kiosk would tell whether somebody speaks there.
create unique index conversation_sessions_one_open_per_kiosk on public.conversation_sessions (gym_id, kiosk_id)
  where state = 'open' and kiosk_id is not null;
alter table public.conversation_sessions enable row level security;
alter table public.conversation_sessions force row level security;
revoke all on public.conversation_sessions from public, anon, authenticated, service_role;
comment on table public.conversation_sessions is 'Conversations : une à la fois par borne, de l''ouverture à la mémoire.';
comment on column public.conversation_sessions.session_id is 'Identifiant remis au client.';
comment on column public.conversation_sessions.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.conversation_sessions.kiosk_id is 'Borne, ou vide pour une application.';
comment on column public.conversation_sessions.member_id is 'Membre qui parle.';
comment on column public.conversation_sessions.channel is 'voice, text ou external (ouverte par le premier événement d''une application).';
comment on column public.conversation_sessions.language is 'Langue de la conversation.';
comment on column public.conversation_sessions.state is 'open, closing, processed, empty ou failed.';
comment on column public.conversation_sessions.state_reason is 'Pourquoi cet état (par exemple no_consent, no_user_turn).';
comment on column public.conversation_sessions.end_reason is 'Comment elle a fini.';
comment on column public.conversation_sessions.started_at is 'Début.';
comment on column public.conversation_sessions.last_event_at is 'Dernier événement reçu.';
comment on column public.conversation_sessions.ended_at is 'Fin.';
comment on column public.conversation_sessions.processed_at is 'Moment où la mémoire a été écrite.';
comment on column public.conversation_sessions.attempts is 'Essais de traitement.';
comment on column public.conversation_sessions.last_error is 'Dernière erreur de traitement, sans aucun mot du membre.';
comment on column public.conversation_sessions.notes is 'Codes stables de ce qui s''est passé (par exemple health_withheld).';
comment on column public.conversation_sessions.withheld_health_spans is 'Passages de santé masqués faute de consentement.';
comment on column public.conversation_sessions.facts_rejected is 'Faits refusés faute de preuve.';
comment on column public.conversation_sessions.extractor is 'Moteur d''extraction employé.';
comment on column public.conversation_sessions.usage is 'Consommation des modèles.';
comment on column public.conversation_sessions.cost_total is 'Coût total, en dollars.';
comment on column public.conversation_sessions.disclosure_version is 'Version de l''annonce « je suis une IA » montrée.';
comment on column public.conversation_sessions.created_at is 'Création de la ligne.';
comment on column public.conversation_sessions.updated_at is 'Dernière modification de la ligne.';

-- A session stays with whom it was opened for: its events would otherwise become another member's.
create function jarvis.keep_session_member() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  if new.member_id <> old.member_id or new.gym_id <> old.gym_id then
    raise exception using errcode = 'JS002', message = 'session_of_another_member',
      hint = 'Une conversation ne change ni de membre ni de salle.';
  end if;
  return new;
end
$$;
comment on function jarvis.keep_session_member() is 'Déclencheur : une conversation garde son membre et sa salle.';
create trigger a10_gym before insert on public.conversation_sessions for each row execute function jarvis.fill_gym_id();
create trigger b20_member before update of member_id, gym_id on public.conversation_sessions
  for each row execute function jarvis.keep_session_member();
create trigger z90_touch before update on public.conversation_sessions for each row execute function jarvis.touch_updated_at();

-- ---------------------------------------------------------------------------------------------------------------
-- conversation_events. A plain table: partitions would break the key of a repeated event.
-- ---------------------------------------------------------------------------------------------------------------
create table public.conversation_events (
  id                uuid primary key default gen_random_uuid(),
  session_id        text not null,
  member_id         uuid,
  gym_id            uuid not null default jarvis.current_gym(),
  event_type        text not null
                    check (event_type in ('user_speech_start', 'user_speech_end', 'user_transcript', 'ai_speech_start',
                                          'ai_speech_end', 'ai_transcript', 'tool_call', 'tool_result', 'error')),
  transcript        text,
  tool_name         text,
  tool_args         jsonb,
  tool_result       jsonb,
  turn_number       integer check (turn_number >= 0),
  audio_duration_ms integer check (audio_duration_ms >= 0),
  confidence_score  numeric(4,3) check (confidence_score between 0 and 1),
  "timestamp"       timestamptz not null default now(),
  provider_event_id text check (length(provider_event_id) between 1 and 256),
  received_at       timestamptz not null default now(),
  created_at        timestamptz not null default now(),
  unique (gym_id, id),
  unique (session_id, provider_event_id),
  foreign key (gym_id, session_id) references public.conversation_sessions (gym_id, session_id) on delete cascade,
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index conversation_events_turns on public.conversation_events (gym_id, session_id, turn_number, "timestamp");
create index conversation_events_member on public.conversation_events (gym_id, member_id);
alter table public.conversation_events enable row level security;
alter table public.conversation_events force row level security;
revoke all on public.conversation_events from public, anon, authenticated, service_role;
comment on table public.conversation_events is 'Événements bruts d''une conversation, à mesure qu''ils arrivent.';
comment on column public.conversation_events.id is 'Identifiant (UUID).';
comment on column public.conversation_events.session_id is 'Conversation.';
comment on column public.conversation_events.member_id is 'Membre ; rempli d''après la conversation s''il manque.';
comment on column public.conversation_events.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.conversation_events.event_type is 'Nature de l''événement.';
comment on column public.conversation_events.transcript is 'Mots dits ; vide sans le consentement memory.';
comment on column public.conversation_events.tool_name is 'Outil appelé.';
comment on column public.conversation_events.tool_args is 'Arguments de l''outil.';
comment on column public.conversation_events.tool_result is 'Réponse de l''outil.';
comment on column public.conversation_events.turn_number is 'Numéro du tour de parole.';
comment on column public.conversation_events.audio_duration_ms is 'Durée de parole en millisecondes ; aucun son n''est gardé.';
comment on column public.conversation_events.confidence_score is 'Confiance de la reconnaissance vocale, de 0 à 1.';
comment on column public.conversation_events."timestamp" is 'Moment de l''événement, selon l''appareil.';
comment on column public.conversation_events.provider_event_id is 'Identifiant du fournisseur : un événement répété ne fait qu''une ligne.';
comment on column public.conversation_events.received_at is 'Moment de l''arrivée.';
comment on column public.conversation_events.created_at is 'Création de la ligne.';

-- Finds the session with the caller's rights; an application that moves here has none, so its first event opens one.
create function jarvis.event_session() returns trigger
  language plpgsql set search_path = ''
  as $$
declare
  conversation record;
begin
  select s.gym_id, s.member_id, s.ended_at into conversation
    from public.conversation_sessions s where s.session_id = new.session_id;
  if not found then
    if new.member_id is null then
      raise exception using errcode = 'JS001', message = 'session_not_found',
        hint = 'Ouvrez la conversation, ou donnez member_id pour en ouvrir une.';
    end if;
    if new.gym_id is null then
      select m.gym_id into new.gym_id from public.gym_members_v2 m where m.id = new.member_id;
    end if;
    -- Taken by another gym: nothing is inserted and the composite key refuses the event.
    insert into public.conversation_sessions (session_id, gym_id, member_id, channel, started_at)
    values (new.session_id, new.gym_id, new.member_id, 'external', least(new."timestamp", now()))
    on conflict (session_id) do nothing;
    return new;
  end if;
  new.gym_id := coalesce(new.gym_id, conversation.gym_id);
  new.member_id := coalesce(new.member_id, conversation.member_id);
  if new.member_id <> conversation.member_id then
    raise exception using errcode = 'JS002', message = 'session_of_another_member',
      hint = 'Cette conversation est celle d''un autre membre.';
  end if;
  -- Only our server has a clock worth trusting for the moment of arrival.
  if tg_op = 'INSERT' and jarvis.request_role() <> 'jarvis_server' then
    new.received_at := now();
  end if;
  if tg_op = 'INSERT' and new.received_at > conversation.ended_at + interval '10 minutes' then
    raise exception using errcode = 'JS003', message = 'session_closed',
      hint = 'La conversation est finie depuis plus de dix minutes : ouvrez-en une autre.';
  end if;
  return new;
end
$$;
comment on function jarvis.event_session() is 'Déclencheur : rattache un événement à sa conversation, ou en ouvre une pour une application extérieure.';

-- Without consent the row is kept and its words are not. Our server masks health itself; from anybody else we
-- cannot tell which words are about health, so without health_memory none is kept.
create function jarvis.event_consent() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if new.transcript is null and new.tool_args is null and new.tool_result is null then
    return new;
  end if;
  if not jarvis.consent_given(new.gym_id, new.member_id, 'memory')
     or (jarvis.request_role() <> 'jarvis_server'
         and not jarvis.consent_given(new.gym_id, new.member_id, 'health_memory')) then
    new.transcript := null;
    new.tool_args := null;
    new.tool_result := null;
  end if;
  return new;
end
$$;
comment on function jarvis.event_consent() is 'Déclencheur : sans consentement, l''événement est gardé sans ses mots.';

-- Our server notes the arrival itself, with its own clock; this is for everybody else. A conversation that had ended
-- is processed again with what came late. An event dated in the future would keep a conversation open for ever.
create function jarvis.events_arrived() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if jarvis.request_role() = 'jarvis_server' then
    return null;
  end if;
  update public.conversation_sessions s
     set last_event_at = greatest(s.last_event_at, least(fresh.at, now())),
         state = case when s.state = 'open' then s.state else 'closing' end,
         attempts = case when s.state = 'open' then s.attempts else 0 end
    from (select gym_id, session_id, max("timestamp") as at from arrived group by gym_id, session_id) as fresh
   where s.gym_id = fresh.gym_id and s.session_id = fresh.session_id;
  return null;
end
$$;
comment on function jarvis.events_arrived() is 'Déclencheur : date le dernier événement reçu d''une application extérieure et fait retraiter une conversation finie.';
grant select (gym_id, session_id, member_id, started_at, last_event_at, state, attempts), update (last_event_at, state, attempts)
   on public.conversation_sessions to jarvis_writer;
create trigger a10_session before insert or update of session_id, member_id, gym_id on public.conversation_events
  for each row execute function jarvis.event_session();
create trigger b20_consent before insert or update of transcript, tool_args, tool_result, member_id on public.conversation_events
  for each row execute function jarvis.event_consent();
create trigger c30_arrived after insert on public.conversation_events referencing new table as arrived
  for each statement execute function jarvis.events_arrived();

-- ---------------------------------------------------------------------------------------------------------------
-- member_facts
-- ---------------------------------------------------------------------------------------------------------------
create table public.member_facts (
  id                uuid primary key default gen_random_uuid(),
  member_id         uuid not null,
  gym_id            uuid not null default jarvis.current_gym(),
  category          text not null check (category in ('goal', 'injury', 'preference', 'progress', 'concern')),
  fact_key          text not null check (btrim(fact_key) <> '' and length(fact_key) <= 200),
  fact_value        jsonb not null,
  confidence        numeric(3,2) default 0.8 check (confidence >= 0 and confidence <= 1),
  source_session_id text,
  source_quote      text,
  source_event_id   uuid,
  is_active         boolean default true,
  expires_at        timestamptz,
  slot              text,
  verified          boolean not null default false,
  last_confirmed_at timestamptz,
  times_confirmed   integer not null default 0 check (times_confirmed >= 0),
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  unique (member_id, category, fact_key),
  unique (gym_id, member_id, category, fact_key),
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
alter table public.member_facts enable row level security;
alter table public.member_facts force row level security;
revoke all on public.member_facts from public, anon, authenticated, service_role;
comment on table public.member_facts is 'Ce qui est retenu d''un membre, avec sa preuve.';
comment on column public.member_facts.id is 'Identifiant (UUID).';
comment on column public.member_facts.member_id is 'Membre.';
comment on column public.member_facts.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.member_facts.category is 'goal, injury, preference, progress ou concern.';
comment on column public.member_facts.fact_key is 'Clé du fait, unique dans sa catégorie pour un membre.';
comment on column public.member_facts.fact_value is 'Valeur : un objet JSON dont les clés connues sont typées par catégorie.';
comment on column public.member_facts.confidence is 'Confiance, de 0 à 1.';
comment on column public.member_facts.source_session_id is 'Conversation d''où vient la preuve.';
comment on column public.member_facts.source_quote is 'Mots exacts du membre.';
comment on column public.member_facts.source_event_id is 'Événement cité.';
comment on column public.member_facts.is_active is 'Faux quand ce n''est plus vrai.';
comment on column public.member_facts.expires_at is 'Fin de validité.';
comment on column public.member_facts.slot is 'Case canonique du registre (par exemple injury.knee.right).';
comment on column public.member_facts.verified is 'La citation a été retrouvée dans les mots du membre.';
comment on column public.member_facts.last_confirmed_at is 'Dernière confirmation.';
comment on column public.member_facts.times_confirmed is 'Nombre de confirmations par d''autres conversations ou par une personne.';
comment on column public.member_facts.created_at is 'Création de la ligne.';
comment on column public.member_facts.updated_at is 'Dernière modification de la ligne.';

create table jarvis.member_fact_history (
  id            bigint generated always as identity primary key,
  fact_id       uuid not null,
  gym_id        uuid not null,
  member_id     uuid not null,
  category      text not null,
  fact_key      text not null,
  operation     text not null
                check (operation in ('insert', 'update', 'confirm', 'retire', 'revive', 'refuse', 'delete')),
  refusal_code  text check ((operation = 'refuse') = (refusal_code is not null)),
  old           jsonb,
  new           jsonb,
  session_id    text,
  actor         text not null default jarvis.actor(),
  valid_from    timestamptz,
  valid_to      timestamptz,
  superseded_by bigint,
  recorded_at   timestamptz not null default clock_timestamp(),
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index member_fact_history_fact on jarvis.member_fact_history (gym_id, fact_id, id);
create index member_fact_history_member on jarvis.member_fact_history (gym_id, member_id, id);
alter table jarvis.member_fact_history enable row level security;
alter table jarvis.member_fact_history force row level security;
revoke all on jarvis.member_fact_history from public, anon, authenticated, service_role;
comment on table jarvis.member_fact_history is 'Tout ce qui est arrivé à un fait, refus compris.';
comment on column jarvis.member_fact_history.id is 'Ordre des changements.';
comment on column jarvis.member_fact_history.fact_id is 'Fait.';
comment on column jarvis.member_fact_history.gym_id is 'Salle.';
comment on column jarvis.member_fact_history.member_id is 'Membre.';
comment on column jarvis.member_fact_history.category is 'Catégorie du fait.';
comment on column jarvis.member_fact_history.fact_key is 'Clé du fait.';
comment on column jarvis.member_fact_history.operation is 'insert, update, confirm, retire, revive, refuse ou delete.';
comment on column jarvis.member_fact_history.refusal_code is 'lower_confidence, confirmed_fact, retired_fact, older_session ou corrected_by_person.';
comment on column jarvis.member_fact_history.old is 'Ligne avant.';
comment on column jarvis.member_fact_history.new is 'Ligne après, ou proposée si elle est refusée.';
comment on column jarvis.member_fact_history.session_id is 'Conversation d''où vient le changement.';
comment on column jarvis.member_fact_history.actor is 'Auteur du changement.';
comment on column jarvis.member_fact_history.valid_from is 'Début de cette version.';
comment on column jarvis.member_fact_history.valid_to is 'Fin de cette version.';
comment on column jarvis.member_fact_history.superseded_by is 'Changement qui l''a remplacée.';
comment on column jarvis.member_fact_history.recorded_at is 'Moment de l''écriture.';

-- Errs on the side of health: a fact about the body is health data whatever its writer called it.
create function jarvis.is_health_fact(category text, fact_key text, fact_value jsonb, slot text) returns boolean
  language sql immutable set search_path = ''
  as $$
    select category = 'injury'
        or coalesce(slot ~ '^(injury|health|medical)', false)
        or coalesce(lower(fact_value ->> 'kind') in
             ('injury', 'pain', 'pregnancy', 'medication', 'allergy', 'chronic', 'chronic_condition', 'condition',
              'illness', 'surgery', 'disability', 'distress', 'mental_health', 'health'), false)
        or coalesce(fact_value ->> 'sensitivity' = 'health', false)
        or (category = 'concern' and fact_key ~* ('(^|_)(injur|pain|ache|hurt|pregnan|medic|allerg|asthm|diabet|surger|illness'
             || '|depress|distress|health|douleur|mal_|blessure|grossesse|enceinte|maladie|operation|sante)'))
  $$;
comment on function jarvis.is_health_fact(text, text, jsonb, text) is 'Vrai si un fait est une donnée de santé (blessure, grossesse, traitement, allergie, détresse).';

-- Light on purpose: known keys have known types, unknown keys are welcome.
create function jarvis.check_fact_value(category text, fact_value jsonb) returns void
  language plpgsql immutable set search_path = ''
  as $$
declare
  rule record;
begin
  if jsonb_typeof(fact_value) is distinct from 'object' then
    raise exception using errcode = 'JF001', message = 'fact_value_invalid', detail = 'fact_value',
      hint = 'Un fait est un objet JSON, par exemple {"location": "right_knee"}.';
  end if;
  for rule in
    select r.key, r.types from (values
      ('injury', 'location', 'string'), ('injury', 'side', 'string'), ('injury', 'severity', 'string'),
      ('injury', 'since', 'string'), ('injury', 'kind', 'string'), ('injury', 'exercises_to_avoid', 'array'),
      ('goal', 'kind', 'string'), ('goal', 'target', 'string number'), ('goal', 'unit', 'string'),
      ('goal', 'deadline', 'string'), ('goal', 'progress', 'string number object'),
      ('preference', 'subject', 'string'), ('preference', 'stance', 'string'), ('preference', 'detail', 'string'),
      ('progress', 'metric', 'string'), ('progress', 'value', 'string number'), ('progress', 'unit', 'string'),
      ('progress', 'date', 'string'),
      ('concern', 'subject', 'string'), ('concern', 'detail', 'string'), ('concern', 'urgency', 'string')
    ) as r (category, key, types)
    where r.category = check_fact_value.category
  loop
    if jsonb_typeof(fact_value -> rule.key) <> 'null'
       and not jsonb_typeof(fact_value -> rule.key) = any (string_to_array(rule.types, ' ')) then
      raise exception using errcode = 'JF001', message = 'fact_value_invalid', detail = rule.key,
        hint = format('%s attend : %s.', rule.key, replace(rule.types, ' ', ' ou '));
    end if;
  end loop;
end
$$;
comment on function jarvis.check_fact_value(text, jsonb) is 'Lève JF001 fact_value_invalid quand une clé connue n''a pas le type attendu.';

create function jarvis.quote_is_said(gym uuid, member uuid, session text, quote text) returns boolean
  language sql stable set search_path = ''
  as $$
    select exists (
      select from public.conversation_events e
       where e.gym_id = gym and e.session_id = session and e.member_id = member
         and e.event_type = 'user_transcript'
         and strpos(jarvis.fold(e.transcript), jarvis.fold(quote)) > 0)
       and jarvis.fold(quote) <> ''
  $$;
comment on function jarvis.quote_is_said(uuid, uuid, text, text) is 'Vrai si le membre a prononcé ces mots dans cette conversation.';
grant select (gym_id, session_id, member_id, event_type, transcript) on public.conversation_events to jarvis_writer;

-- The session a change comes from: named by the writer, or the evidence of the new version.
create function jarvis.change_session(source_session_id text) returns text
  language sql stable set search_path = ''
  as $$ select coalesce(nullif(current_setting('app.session_id', true), ''), source_session_id) $$;
comment on function jarvis.change_session(text) is 'Conversation d''où vient un changement (app.session_id, sinon la source du fait).';

create function jarvis.fact_refusal(was public.member_facts, becomes public.member_facts) returns text
  language plpgsql stable set search_path = ''
  as $$
declare
  session constant text := jarvis.change_session(becomes.source_session_id);
  -- A change that names no conversation of its own keeps the source of what it changes.
  named constant boolean := nullif(current_setting('app.session_id', true), '') is not null
                            or becomes.source_session_id is distinct from was.source_session_id;
  value_changes constant boolean := becomes.fact_value <> was.fact_value;
  began timestamptz;
begin
  if jarvis.request_role() = 'authenticated' then
    return null;
  end if;
  if not was.is_active then
    -- Replaying an old conversation, or the one that ended the fact, must not bring it back.
    if (becomes.is_active or becomes.fact_value <> was.fact_value)
       and (session is null or session is not distinct from was.source_session_id
            or exists (select from jarvis.member_fact_history h
                        where h.gym_id = was.gym_id and h.fact_id = was.id and h.session_id = session
                          and h.operation in ('insert', 'update', 'confirm', 'retire', 'revive'))) then
      return 'retired_fact';
    end if;
  end if;
  -- What was said first never undoes what was said, or corrected by a person, since: conversations may be processed
  -- late, twice, and in any order.
  if (named or value_changes) and (value_changes or becomes.is_active <> was.is_active) then
    select s.started_at into began from public.conversation_sessions s
     where s.gym_id = was.gym_id and s.session_id = session;
    if exists (select from jarvis.member_fact_history h
                where h.gym_id = was.gym_id and h.fact_id = was.id and h.operation <> 'refuse'
                  and (h.actor like 'user:%' or h.actor = 'authenticated') and h.recorded_at > began) then
      return 'corrected_by_person';
    end if;
    if named and exists (
      select from public.conversation_sessions s
       where s.gym_id = was.gym_id and s.session_id <> session and s.started_at > began
         and (s.session_id = was.source_session_id
              or s.session_id in (select h.session_id from jarvis.member_fact_history h
                                   where h.gym_id = was.gym_id and h.fact_id = was.id and h.operation <> 'refuse'))) then
      return 'older_session';
    end if;
  end if;
  if was.is_active and becomes.is_active and value_changes then
    if was.times_confirmed > 0 and (becomes.confidence < was.confidence or not becomes.verified) then
      return 'confirmed_fact';
    elsif becomes.confidence < was.confidence then
      return 'lower_confidence';
    end if;
  end if;
  return null;
end
$$;
comment on function jarvis.fact_refusal(public.member_facts, public.member_facts) is 'Code du refus d''un changement automatique, ou null s''il est accepté.';

create function jarvis.record_refusal(was public.member_facts, becomes public.member_facts, code text) returns void
  language sql set search_path = ''
  as $$
    insert into jarvis.member_fact_history
           (fact_id, gym_id, member_id, category, fact_key, operation, refusal_code, old, new, session_id)
    values (was.id, was.gym_id, was.member_id, was.category, was.fact_key, 'refuse', code,
            to_jsonb(was), to_jsonb(becomes), jarvis.change_session(becomes.source_session_id))
  $$;
comment on function jarvis.record_refusal(public.member_facts, public.member_facts, text) is 'Écrit dans l''historique un changement refusé.';

-- One road for every writer: supabase-js, the data API and our own job.
create function jarvis.guard_fact() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  by_person constant boolean := jarvis.request_role() = 'authenticated';
  refusal text;
begin
  -- Not the caller's gym: answer nothing here, row level security refuses the row next.
  if jarvis.is_elsewhere(new.gym_id) then
    return new;
  end if;
  new.confidence := coalesce(new.confidence, 0.8);
  new.is_active := coalesce(new.is_active, true);
  if tg_op = 'INSERT' then
    new.times_confirmed := 0;
    new.last_confirmed_at := null;
  else
    new.times_confirmed := old.times_confirmed;
    new.last_confirmed_at := old.last_confirmed_at;
    new.created_at := old.created_at;
    new.updated_at := now();
    -- Ending a fact keeps what it was, names the conversation that ended it, and needs no consent.
    if old.is_active and not new.is_active and not by_person then
      new.fact_value := old.fact_value;
      new.confidence := old.confidence;
      new.verified := old.verified;
      new.source_quote := old.source_quote;
      new.source_event_id := old.source_event_id;
      refusal := jarvis.fact_refusal(old, new);
      if refusal is not null then
        perform jarvis.record_refusal(old, new, refusal);
        return old;
      end if;
      return new;
    end if;
  end if;

  if tg_op = 'INSERT' or (new.is_active and not old.is_active) or new.source_quote is distinct from old.source_quote
     or (new.fact_value, new.category, new.fact_key) is distinct from (old.fact_value, old.category, old.fact_key) then
    perform jarvis.require_consent(new.gym_id, new.member_id, 'memory');
    if jarvis.is_health_fact(new.category, new.fact_key, new.fact_value, new.slot) then
      perform jarvis.require_consent(new.gym_id, new.member_id, 'health_memory');
    end if;
    perform jarvis.check_fact_value(new.category, new.fact_value);
  end if;

  -- A new value from a new conversation does not inherit the old value's evidence, unless it was said there again.
  if tg_op = 'UPDATE' and new.fact_value <> old.fact_value and new.source_quote = old.source_quote
     and new.source_session_id is distinct from old.source_session_id
     and not coalesce(jarvis.quote_is_said(new.gym_id, new.member_id, new.source_session_id, new.source_quote), false) then
    new.source_quote := null;
    new.source_event_id := null;
  end if;
  if tg_op = 'INSERT' or (new.source_quote, new.source_session_id, new.fact_value)
                         is distinct from (old.source_quote, old.source_session_id, old.fact_value) then
    new.verified := new.source_quote is not null and new.source_session_id is not null
      and jarvis.quote_is_said(new.gym_id, new.member_id, new.source_session_id, new.source_quote);
    if not new.verified and not by_person then
      new.confidence := least(new.confidence, 0.5);
    end if;
  else
    new.verified := old.verified;
  end if;
  if tg_op = 'INSERT' then
    return new;
  end if;

  refusal := jarvis.fact_refusal(old, new);
  if refusal is not null then
    perform jarvis.record_refusal(old, new, refusal);
    return old;
  end if;
  if by_person then
    if new.is_active then
      new.times_confirmed := old.times_confirmed + 1;
      new.last_confirmed_at := now();
    end if;
  elsif new.fact_value <> old.fact_value or not old.is_active then
    new.times_confirmed := 0;
    new.last_confirmed_at := null;
  else
    new := jarvis.same_value_again(old, new);
  end if;
  if to_jsonb(new) - 'updated_at' = to_jsonb(old) - 'updated_at' then
    new.updated_at := old.updated_at;
  end if;
  return new;
end
$$;
comment on function jarvis.guard_fact() is 'Déclencheur : consentement, preuve et règles de remplacement des faits (mise à jour gardée).';

-- The same value from another conversation confirms it; a conversation processed twice, or none at all, does not.
create function jarvis.same_value_again(was public.member_facts, becomes public.member_facts) returns public.member_facts
  language plpgsql stable set search_path = ''
  as $$
declare
  session constant text := jarvis.change_session(becomes.source_session_id);
  said_again constant boolean := session is not null
    and not exists (select from jarvis.member_fact_history h
                     where h.gym_id = was.gym_id and h.fact_id = was.id and h.session_id = session
                       and h.operation in ('insert', 'update', 'confirm', 'revive'));
begin
  if was.verified and not becomes.verified or not said_again then
    becomes.source_session_id := was.source_session_id;
    becomes.source_quote := was.source_quote;
    becomes.source_event_id := was.source_event_id;
    becomes.verified := was.verified;
  end if;
  becomes.confidence := greatest(was.confidence, becomes.confidence);
  if said_again then
    becomes.times_confirmed := was.times_confirmed + 1;
    becomes.last_confirmed_at := now();
  end if;
  return becomes;
end
$$;
comment on function jarvis.same_value_again(public.member_facts, public.member_facts) is 'La même valeur redite : confirme le fait et garde la meilleure preuve.';

-- Every change becomes a row; the version it ends is closed, so that "as of" can be read.
create function jarvis.record_fact() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  of_fact public.member_facts := case when tg_op = 'DELETE' then old else new end;
  kind text;
  version_starts boolean;
  change bigint;
begin
  -- Erased with its member: nothing is left to be remembered by.
  if tg_op = 'DELETE' and not exists (select from public.gym_members_v2 m
                                       where m.gym_id = old.gym_id and m.id = old.member_id) then
    return null;
  end if;
  -- Refused, or nothing new.
  if tg_op = 'UPDATE' and to_jsonb(new) - 'updated_at' = to_jsonb(old) - 'updated_at' then
    return null;
  end if;
  kind := case
    when tg_op <> 'UPDATE' then lower(tg_op)
    when old.is_active and not new.is_active then 'retire'
    when new.is_active and not old.is_active then 'revive'
    when new.fact_value = old.fact_value and new.times_confirmed > old.times_confirmed then 'confirm'
    else 'update' end;
  version_starts := kind in ('insert', 'update', 'revive');
  insert into jarvis.member_fact_history
         (fact_id, gym_id, member_id, category, fact_key, operation, old, new, session_id, valid_from)
  values (of_fact.id, of_fact.gym_id, of_fact.member_id, of_fact.category, of_fact.fact_key, kind,
          case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end,
          jarvis.change_session(of_fact.source_session_id), case when version_starts then now() end)
  returning id into change;
  if kind <> 'confirm' then
    update jarvis.member_fact_history h set valid_to = now(), superseded_by = change
     where h.gym_id = of_fact.gym_id and h.fact_id = of_fact.id and h.id <> change
       and h.valid_from is not null and h.valid_to is null;
  end if;
  return null;
end
$$;
comment on function jarvis.record_fact() is 'Déclencheur : écrit l''historique d''un fait.';
grant select on public.member_facts to jarvis_writer;
grant select, insert, update (valid_to, superseded_by), delete on jarvis.member_fact_history to jarvis_writer;
create trigger a10_gym before insert on public.member_facts for each row execute function jarvis.fill_gym_id();
create trigger b20_guard before insert or update on public.member_facts for each row execute function jarvis.guard_fact();
create trigger c30_record after insert or update or delete on public.member_facts
  for each row execute function jarvis.record_fact();

-- Forgetting takes the history too; what remains says that something was forgotten, not what.
create function jarvis.forget_fact(gym uuid, fact uuid) returns boolean
  language plpgsql security definer set search_path = ''
  as $$
declare
  forgotten public.member_facts;
begin
  if not jarvis.may_touch(gym) then
    return false;
  end if;
  delete from public.member_facts f where f.gym_id = gym and f.id = fact returning f.* into forgotten;
  if forgotten.id is null then
    return false;
  end if;
  delete from jarvis.member_fact_history h where h.gym_id = gym and h.fact_id = fact;
  insert into jarvis.member_fact_history (fact_id, gym_id, member_id, category, fact_key, operation)
  values (fact, gym, forgotten.member_id, forgotten.category, 'forgotten', 'delete');
  return true;
end
$$;
comment on function jarvis.forget_fact(uuid, uuid) is 'Efface un fait, sa citation et son historique ; faux s''il n''existe pas dans cette salle.';
grant delete on public.member_facts to jarvis_writer;

-- What reception may know, and only when the member agreed to share it: where, never what was said.
create function jarvis.cautions_of(member uuid)
  returns table (member_id uuid, category text, location text)
  language sql stable security definer set search_path = ''
  as $$
    select f.member_id, f.category,
           case when f.category = 'injury'
                then coalesce(nullif(concat_ws('_', f.fact_value ->> 'side', f.fact_value ->> 'location'), ''),
                              f.fact_value ->> 'kind')
                else f.fact_value ->> 'kind' end
      from public.member_facts f
     where f.member_id = cautions_of.member
       and f.is_active and (f.expires_at is null or f.expires_at > now())
       and jarvis.is_health_fact(f.category, f.fact_key, f.fact_value, f.slot)
       and jarvis.may_touch(f.gym_id)
       and jarvis.consent_given(f.gym_id, f.member_id, 'share_with_staff')
     order by f.category, f.created_at, f.id
  $$;
comment on function jarvis.cautions_of(uuid) is 'Précautions d''un membre pour l''accueil : l''endroit du corps, ni citation ni détail.';

create function public.member_cautions(member uuid) returns table (member_id uuid, category text, location text)
  language sql stable set search_path = ''
  as $$ select c.member_id, c.category, c.location from jarvis.cautions_of(member) as c $$;
comment on function public.member_cautions(uuid) is 'Précautions d''un membre pour l''accueil, s''il a accepté de les partager (share_with_staff).';

-- ---------------------------------------------------------------------------------------------------------------
-- conversation_summaries
-- ---------------------------------------------------------------------------------------------------------------
create table public.conversation_summaries (
  id                       uuid primary key default gen_random_uuid(),
  session_id               text not null check (length(session_id) between 1 and 128),
  member_id                uuid not null,
  gym_id                   uuid not null default jarvis.current_gym() references public.gyms (id) on delete cascade,
  summary_text             text not null,
  key_topics               text[],
  sentiment                text check (sentiment in ('positive', 'neutral', 'negative', 'mixed')),
  sentiment_score          numeric(4,3) check (sentiment_score between -1 and 1),
  embedding                vector(1536),
  embedding_model          text not null default 'unknown',
  language                 text not null default 'fr' check (language in ('fr', 'en', 'es', 'de', 'it')),
  written_by               text not null default 'client' check (written_by in ('jarvis', 'client')),
  tells_health             boolean not null default true,
  session_duration_seconds integer check (session_duration_seconds >= 0),
  turn_count               integer check (turn_count >= 0),
  created_at               timestamptz default now(),
  search                   tsvector generated always as (case language
                             when 'fr' then to_tsvector('public.fr'::regconfig, summary_text)
                             when 'en' then to_tsvector('public.en'::regconfig, summary_text)
                             else to_tsvector('pg_catalog.simple'::regconfig, summary_text) end) stored,
  unique (session_id),
  unique (gym_id, id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade
);
create index conversation_summaries_member on public.conversation_summaries (gym_id, member_id, created_at desc);
alter table public.conversation_summaries enable row level security;
alter table public.conversation_summaries force row level security;
revoke all on public.conversation_summaries from public, anon, authenticated, service_role;
comment on table public.conversation_summaries is 'Résumé d''une conversation, un seul par conversation, avec son empreinte.';
comment on column public.conversation_summaries.id is 'Identifiant (UUID).';
comment on column public.conversation_summaries.session_id is 'Conversation résumée.';
comment on column public.conversation_summaries.member_id is 'Membre.';
comment on column public.conversation_summaries.gym_id is 'Salle de la ligne ; remplie d''après le membre si elle manque.';
comment on column public.conversation_summaries.summary_text is 'Résumé, dans les mots du membre.';
comment on column public.conversation_summaries.key_topics is 'Sujets.';
comment on column public.conversation_summaries.sentiment is 'positive, neutral, negative ou mixed.';
comment on column public.conversation_summaries.sentiment_score is 'De -1 à 1, d''après le texte seul.';
comment on column public.conversation_summaries.embedding is 'Empreinte du résumé (1536 dimensions) ; lisible par nom et par rôle, car on peut en deviner le texte.';
comment on column public.conversation_summaries.embedding_model is 'Modèle de l''empreinte ; unknown n''est jamais comparé.';
comment on column public.conversation_summaries.language is 'Langue du résumé.';
comment on column public.conversation_summaries.written_by is 'jarvis, ou client : un résumé écrit par une application n''est jamais remplacé.';
comment on column public.conversation_summaries.tells_health is 'Parle de santé : alors l''accueil ne le lit pas. Vrai sauf si jarvis, qui l''a écrit, sait que non.';
comment on column public.conversation_summaries.session_duration_seconds is 'Durée de la conversation en secondes.';
comment on column public.conversation_summaries.turn_count is 'Nombre de tours du membre.';
comment on column public.conversation_summaries.created_at is 'Création de la ligne.';
comment on column public.conversation_summaries.search is 'Mots du résumé pour la recherche (calculé).';

create function jarvis.guard_summary() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if jarvis.is_elsewhere(new.gym_id) then
    return new;
  end if;
  -- Ours may replace ours; what a client wrote, or rewrote, is never replaced. Nor can we tell whether it is about
  -- health, so it is taken to be.
  if jarvis.request_role() <> 'jarvis_server' then
    new.written_by := 'client';
    new.tells_health := true;
  end if;
  if tg_op = 'INSERT' or (new.summary_text, new.key_topics, new.member_id)
                         is distinct from (old.summary_text, old.key_topics, old.member_id) then
    perform jarvis.require_consent(new.gym_id, new.member_id, 'memory');
  end if;
  -- session_id is unique over all gyms: nobody may take the place of another member's summary.
  if exists (select from public.conversation_sessions s
              where s.session_id = new.session_id and (s.gym_id, s.member_id) <> (new.gym_id, new.member_id)) then
    raise exception using errcode = 'JS002', message = 'session_of_another_member',
      hint = 'Cette conversation est celle d''un autre membre.';
  end if;
  return new;
end
$$;
comment on function jarvis.guard_summary() is 'Déclencheur : un résumé demande le consentement memory et la conversation de son membre.';
create trigger a10_gym before insert on public.conversation_summaries for each row execute function jarvis.fill_gym_id();
create trigger b20_guard before insert or update of summary_text, key_topics, session_id, member_id, gym_id, tells_health
  on public.conversation_summaries for each row execute function jarvis.guard_summary();

-- ---------------------------------------------------------------------------------------------------------------
-- Exact search: half precision, inline, one member's rows at a time
-- ---------------------------------------------------------------------------------------------------------------
create table jarvis.embedding_models (
  model      text primary key,
  a          double precision not null check (a > 0),
  c          double precision not null check (c between -1 and 1),
  dimensions integer not null check (dimensions between 1 and 1536),
  note       text
);
alter table jarvis.embedding_models enable row level security;
alter table jarvis.embedding_models force row level security;
revoke all on jarvis.embedding_models from public, anon, authenticated, service_role;
comment on table jarvis.embedding_models is 'Modèles d''empreintes et leur calibration.';
comment on column jarvis.embedding_models.model is 'Nom du modèle.';
comment on column jarvis.embedding_models.a is 'Pente de la calibration.';
comment on column jarvis.embedding_models.c is 'Cosinus pour lequel la similarité vaut 0,5.';
comment on column jarvis.embedding_models.dimensions is 'Dimensions utiles, avant les zéros.';
comment on column jarvis.embedding_models.note is 'Origine des valeurs.';
insert into jarvis.embedding_models (model, a, c, dimensions, note) values
  ('e5-small-multilingual', 28.33, 0.2008, 384, 'multilingual-e5-small centré, complété par des zéros ; calibré sur le jeu de rappel FR-EN'),
  ('text-embedding-3-small', 20.0, 0.30, 1536, 'valeurs de départ, à recalibrer avec une clé');

create table jarvis.summary_vectors (
  summary_id uuid primary key,
  gym_id     uuid not null,
  member_id  uuid not null,
  model      text not null,
  created_at timestamptz not null,
  emb        halfvec(1536) not null,
  unique (gym_id, summary_id),
  foreign key (gym_id, summary_id) references public.conversation_summaries (gym_id, id) on delete cascade
) with (toast_tuple_target = 8160);
alter table jarvis.summary_vectors alter column emb set storage plain;
create index summary_vectors_member on jarvis.summary_vectors (member_id);
alter table jarvis.summary_vectors enable row level security;
alter table jarvis.summary_vectors force row level security;
revoke all on jarvis.summary_vectors from public, anon, authenticated, service_role;
comment on table jarvis.summary_vectors is 'Empreintes en demi-précision, pour la recherche exacte chez un membre.';
comment on column jarvis.summary_vectors.summary_id is 'Résumé.';
comment on column jarvis.summary_vectors.gym_id is 'Salle.';
comment on column jarvis.summary_vectors.member_id is 'Membre.';
comment on column jarvis.summary_vectors.model is 'Modèle de l''empreinte.';
comment on column jarvis.summary_vectors.created_at is 'Date du résumé, pour départager les égalités.';
comment on column jarvis.summary_vectors.emb is 'Empreinte en demi-précision.';

create function jarvis.keep_summary_vector() returns trigger
  language plpgsql security definer set search_path = pg_catalog, public, extensions, pg_temp
  as $$
begin
  if new.embedding is null or new.embedding_model = 'unknown' then
    delete from jarvis.summary_vectors v where v.gym_id = new.gym_id and v.summary_id = new.id;
  else
    insert into jarvis.summary_vectors (summary_id, gym_id, member_id, model, created_at, emb)
    values (new.id, new.gym_id, new.member_id, new.embedding_model, coalesce(new.created_at, now()), new.embedding::halfvec)
    on conflict (summary_id) do update
       set gym_id = excluded.gym_id, member_id = excluded.member_id, model = excluded.model,
           created_at = excluded.created_at, emb = excluded.emb;
  end if;
  return null;
end
$$;
comment on function jarvis.keep_summary_vector() is 'Déclencheur : tient jarvis.summary_vectors au pas des résumés.';
grant select, insert, update, delete on jarvis.summary_vectors to jarvis_writer;
create trigger c30_vector after insert or update of embedding, embedding_model, member_id, gym_id, created_at
  on public.conversation_summaries for each row execute function jarvis.keep_summary_vector();

create function jarvis.calibration(gym uuid, out model text, out a double precision, out c double precision)
  language sql stable security definer set search_path = ''
  as $$
    select m.model, m.a, m.c from public.gyms g join jarvis.embedding_models m on m.model = g.embedding_model
     where g.id = gym
  $$;
comment on function jarvis.calibration(uuid) is 'Modèle actif d''une salle et sa calibration : similarité = 1 / (1 + exp(-a (cos - c))).';
grant select (id, embedding_model) on public.gyms to jarvis_writer;
grant select on jarvis.embedding_models to jarvis_writer;

-- Exact, with the caller's rights. The distance is written once, and the parameter is cast once: a cast in the row
-- expression would run for every row under a generic plan.
create function public.match_conversation_summaries(
  query_embedding vector(1536),
  filter_member_id uuid,
  match_threshold double precision default 0.7,
  match_count integer default 5)
  returns table (id uuid, session_id text, summary_text text, key_topics text[], sentiment text,
                 similarity double precision, created_at timestamptz)
  language plpgsql stable set search_path = pg_catalog, public, extensions, pg_temp
  as $$
declare
  q constant halfvec(1536) := query_embedding::halfvec;
  least_similar constant double precision := coalesce(match_threshold, 0.7);
  most constant integer := least(greatest(coalesce(match_count, 5), 0), 200);
  of_gym uuid;
  scale record;
begin
  select m.gym_id into of_gym from public.gym_members_v2 m where m.id = filter_member_id;
  if of_gym is null or q is null then
    return;
  end if;
  select * into scale from jarvis.calibration(of_gym);
  return query
    select s.id, s.session_id, s.summary_text, s.key_topics, s.sentiment, near.similarity, s.created_at
      from (select ranked.*, 1 / (1 + exp(least(-scale.a * (1 - ranked.distance - scale.c), 700))) as similarity
              from (select v.summary_id, v.created_at, v.emb <=> q as distance
                      from jarvis.summary_vectors v
                     where v.member_id = filter_member_id and v.gym_id = of_gym and v.model = scale.model
                     order by distance, v.created_at desc, v.summary_id
                     limit most) as ranked
             -- The cosine of a zero vector is NaN, which sorts and compares above everything.
             where ranked.distance < 'NaN') as near
      join public.conversation_summaries s on s.gym_id = of_gym and s.id = near.summary_id
     where near.similarity >= least_similar
     order by near.distance, near.created_at desc, near.summary_id;
end
$$;
comment on function public.match_conversation_summaries(vector, uuid, double precision, integer) is
  'Résumés d''un membre les plus proches d''une question : recherche exacte, similarité calibrée par modèle (0,7 = sans doute pertinent).';

-- Row level security keeps the planner away from a text index, so this one function checks the gym itself.
create function jarvis.recall_text(gym uuid, member uuid, query text, lang text default 'fr', k integer default 5)
  returns table (id uuid, session_id text, summary_text text, key_topics text[], sentiment text,
                 similarity double precision, created_at timestamptz)
  language sql stable security definer set search_path = ''
  as $$
    select found.id, found.session_id, found.summary_text, found.key_topics, found.sentiment,
           found.rank / nullif(max(found.rank) over (), 0) as similarity, found.created_at
      from (select s.id, s.session_id, s.summary_text, s.key_topics, s.sentiment, s.created_at,
                   ts_rank_cd(s.search, words.q, 1)::double precision as rank
              from (select string_agg(quote_literal(w.lexeme), ' | ')::tsquery as q
                      from unnest(to_tsvector(case lang when 'fr' then 'public.fr'::regconfig
                                                        when 'en' then 'public.en'::regconfig
                                                        else 'pg_catalog.simple'::regconfig end, query)) as w) as words
              join public.conversation_summaries s on s.search @@ words.q
             where s.gym_id = gym and s.member_id = member and jarvis.may_touch(gym)
               and (not s.tells_health or jarvis.request_role() <> 'authenticated'
                    or gym = any ((select jarvis.my_gyms(array['super_admin', 'gym_manager']))::uuid[]))) as found
     order by found.rank desc, found.created_at desc, found.id
     limit least(greatest(coalesce(k, 5), 0), 200)
  $$;
comment on function jarvis.recall_text(uuid, uuid, text, text, integer) is 'Résumés d''un membre qui contiennent les mots d''une question ; similarity est la part du rang du meilleur.';
grant select (id, session_id, gym_id, member_id, summary_text, key_topics, sentiment, search, created_at, tells_health)
   on public.conversation_summaries to jarvis_writer;

-- ---------------------------------------------------------------------------------------------------------------
-- Owners, last
-- ---------------------------------------------------------------------------------------------------------------
revoke all on function jarvis.keep_session_member(), jarvis.event_session(), jarvis.event_consent(), jarvis.events_arrived(),
  jarvis.is_health_fact(text, text, jsonb, text), jarvis.check_fact_value(text, jsonb),
  jarvis.quote_is_said(uuid, uuid, text, text), jarvis.change_session(text),
  jarvis.fact_refusal(public.member_facts, public.member_facts),
  jarvis.record_refusal(public.member_facts, public.member_facts, text),
  jarvis.same_value_again(public.member_facts, public.member_facts), jarvis.guard_fact(), jarvis.record_fact(),
  jarvis.forget_fact(uuid, uuid), jarvis.cautions_of(uuid), public.member_cautions(uuid), jarvis.guard_summary(),
  jarvis.keep_summary_vector(), jarvis.calibration(uuid),
  public.match_conversation_summaries(vector, uuid, double precision, integer),
  jarvis.recall_text(uuid, uuid, text, text, integer)
  from public, anon, authenticated;
grant execute on function jarvis.is_health_fact(text, text, jsonb, text)
   to jarvis_writer, jarvis_server, authenticated, service_role;
grant execute on function jarvis.check_fact_value(text, jsonb), jarvis.quote_is_said(uuid, uuid, text, text),
  jarvis.change_session(text), jarvis.fact_refusal(public.member_facts, public.member_facts),
  jarvis.record_refusal(public.member_facts, public.member_facts, text),
  jarvis.same_value_again(public.member_facts, public.member_facts) to jarvis_writer;
grant execute on function jarvis.forget_fact(uuid, uuid) to jarvis_server, service_role;
grant execute on function jarvis.cautions_of(uuid), public.member_cautions(uuid), jarvis.calibration(uuid),
  public.match_conversation_summaries(vector, uuid, double precision, integer),
  jarvis.recall_text(uuid, uuid, text, text, integer) to jarvis_server, authenticated, service_role;
alter function jarvis.event_consent() owner to jarvis_writer;
alter function jarvis.events_arrived() owner to jarvis_writer;
alter function jarvis.guard_fact() owner to jarvis_writer;
alter function jarvis.record_fact() owner to jarvis_writer;
alter function jarvis.forget_fact(uuid, uuid) owner to jarvis_writer;
alter function jarvis.cautions_of(uuid) owner to jarvis_writer;
alter function jarvis.guard_summary() owner to jarvis_writer;
alter function jarvis.keep_summary_vector() owner to jarvis_writer;
alter function jarvis.calibration(uuid) owner to jarvis_writer;
alter function jarvis.recall_text(uuid, uuid, text, text, integer) owner to jarvis_writer;
revoke create on schema jarvis from jarvis_policy, jarvis_writer;
