-- What was said, turn by turn, for recall: each turn with the words around it and the direction of their meaning. A turn
-- stays here when its event is gone. One function reads it, fused with the summaries.
set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

create table jarvis.memory_windows (
  event_id        uuid primary key,
  gym_id          uuid not null default jarvis.current_gym(),
  member_id       uuid not null,
  session_id      text not null,
  speaker         text not null check (speaker in ('member', 'assistant')),
  said            text not null check (said <> ''),
  said_at         timestamptz not null,
  language        text not null default 'fr' check (language in ('fr', 'en', 'es', 'de', 'it')),
  tells_health    boolean not null default true,
  search          tsvector not null,
  embedding       halfvec(1536),
  embedding_model text not null default 'unknown',
  unique (gym_id, event_id),
  foreign key (gym_id, member_id) references public.gym_members_v2 (gym_id, id) on delete cascade,
  foreign key (gym_id, session_id) references public.conversation_sessions (gym_id, session_id) on delete cascade
) with (toast_tuple_target = 8160);
alter table jarvis.memory_windows alter column embedding set storage plain;
create index memory_windows_member on jarvis.memory_windows (gym_id, member_id, said_at desc);
create index memory_windows_session on jarvis.memory_windows (gym_id, session_id);
alter table jarvis.memory_windows enable row level security;
alter table jarvis.memory_windows force row level security;
revoke all on jarvis.memory_windows from public, anon, authenticated, service_role;
comment on table jarvis.memory_windows is 'Tours de parole d''un membre, chacun avec ce qui l''entoure, pour s''en souvenir ; écrit par le traitement d''une conversation.';
comment on column jarvis.memory_windows.event_id is 'Événement du tour ; sans clé étrangère, car le tour reste quand l''événement est parti.';
comment on column jarvis.memory_windows.gym_id is 'Salle du membre.';
comment on column jarvis.memory_windows.member_id is 'Membre.';
comment on column jarvis.memory_windows.session_id is 'Conversation.';
comment on column jarvis.memory_windows.speaker is 'Qui parle : member ou assistant.';
comment on column jarvis.memory_windows.said is 'Mots du tour ; la santé y est masquée sans le consentement health_memory.';
comment on column jarvis.memory_windows.said_at is 'Moment du tour.';
comment on column jarvis.memory_windows.language is 'Langue de la conversation : celle des mots de search.';
comment on column jarvis.memory_windows.tells_health is 'Parle de santé : ne se rappelle qu''avec le consentement health_memory.';
comment on column jarvis.memory_windows.search is 'Mots du tour (A), des deux tours d''avant, de celui d''après et de la date (C).';
comment on column jarvis.memory_windows.embedding is 'Empreinte du tour et de ses voisins, en demi-précision ; on peut en deviner le texte.';
comment on column jarvis.memory_windows.embedding_model is 'Modèle de l''empreinte ; unknown n''est jamais comparé.';

-- People read turns through the function below, which asks what they may see; they write none.
create policy server_all on jarvis.memory_windows for all to jarvis_server
  using (gym_id = (select jarvis.current_gym())) with check (gym_id = (select jarvis.current_gym()));
grant select, insert, update, delete on jarvis.memory_windows to jarvis_server;
grant select on jarvis.memory_windows to jarvis_writer;
grant select (language) on public.conversation_summaries to jarvis_writer;

grant create on schema jarvis to jarvis_writer;
-- No turn is kept without the consent, whoever writes it.
create function jarvis.guard_window() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
begin
  if not jarvis.is_elsewhere(new.gym_id) then
    perform jarvis.require_consent(new.gym_id, new.member_id, 'memory');
  end if;
  return new;
end
$$;
comment on function jarvis.guard_window() is 'Déclencheur : un tour de parole se garde avec le consentement memory.';
create trigger b20_guard before insert or update of said, search, embedding, member_id, gym_id on jarvis.memory_windows
  for each row execute function jarvis.guard_window();

-- Row level security keeps the planner away from what it does not call leakproof, so this one function checks the gym
-- itself. A turn is a manager's to read, as its event is; a summary is read as its table is.
--
-- Words: a sum over the question's words of ts_rank times the inverse document frequency among the member's own rows
-- (Robertson and Spärck Jones, as in BM25). Meaning: the cosine. Each becomes a z-score among the member's rows of that
-- kind; a row without a vector of the gym's model counts as an average one. The order is the cosine's plus a part of the
-- words'. The similarity is the calibrated one of the cosine, raised by the words in common; without a cosine it is the
-- share of the question that is in the row, by the words' frequency.
create function jarvis.recall_memory(
  gym uuid, member uuid, query text, question halfvec, with_turns boolean, with_health boolean,
  words_in_turns double precision, words_in_summaries double precision, words_in_common double precision, k integer)
  returns table (kind text, id uuid, session_id text, at timestamptz, speaker text, said text,
                 score double precision, words double precision, similarity double precision, by_meaning boolean)
  language plpgsql stable security definer set search_path = pg_catalog, public, extensions, pg_temp
  as $$
declare
  most constant integer := least(greatest(coalesce(k, 5), 0), 200);
  is_person constant boolean := jarvis.request_role() = 'authenticated';
  is_manager boolean := true;
  scale record;
begin
  if not jarvis.may_touch(gym) then
    return;
  end if;
  if is_person then
    is_manager := gym = any (jarvis.my_gyms(array['super_admin', 'gym_manager']));
  end if;
  select * into scale from jarvis.calibration(gym);
  return query
    with held as materialized (
      select 'turn' as kind, w.event_id as id, w.session_id, w.said_at as at, w.speaker, w.said, w.language, w.search,
             case when w.embedding_model = scale.model then 1 - (w.embedding <=> question) end as cosine
        from jarvis.memory_windows w
       where with_turns and is_manager and w.gym_id = gym and w.member_id = member
         and (with_health or not w.tells_health)
      union all
      select 'summary', s.id, s.session_id, s.created_at, null, null, s.language, s.search, 1 - (v.emb <=> question)
        from public.conversation_summaries s
        left join jarvis.summary_vectors v on v.gym_id = gym and v.summary_id = s.id and v.model = scale.model
       where s.gym_id = gym and s.member_id = member and (is_manager or not s.tells_health)
    ), known as (
      select h.kind, count(*)::double precision as rows from held h group by h.kind
    ), asked as materialized (
      select l.language, w.lexeme, quote_literal(w.lexeme)::tsquery as any_place,
             (quote_literal(w.lexeme) || ':AD')::tsquery as own_place
        from (select distinct h.language from held h) as l,
             unnest(to_tsvector(case l.language when 'fr' then 'public.fr'::regconfig when 'en' then 'public.en'::regconfig
                                                else 'pg_catalog.simple'::regconfig end, query)) as w
    ), hits as materialized (
      -- ts_rank divides by pi²/6, its limit for a word that is everywhere; a summary's words have the weight D.
      select h.kind, h.id, a.lexeme, 1.64493406685 * ts_rank('{1, 0.6, 0, 1}', h.search, a.any_place) as rank,
             h.search @@ a.own_place as own
        from held h join asked a on a.language = h.language
       where h.search @@ a.any_place
    ), weights as (
      select n.kind, a.lexeme, ln(1 + (n.rows - coalesce(f.rows, 0) + 0.5) / (coalesce(f.rows, 0) + 0.5)) as idf
        from known n
        cross join (select distinct a.lexeme from asked a) as a
        left join (select t.kind, t.lexeme, count(*) filter (where t.own) as rows
                     from hits t group by t.kind, t.lexeme) as f on f.kind = n.kind and f.lexeme = a.lexeme
    ), whole as (
      select w.kind, a.language, sum(w.idf) as idf from weights w join asked a on a.lexeme = w.lexeme group by w.kind, a.language
    ), worded as (
      select t.kind, t.id, sum(t.rank * w.idf) as text_score, sum(least(t.rank, 1) * w.idf) as matched
        from hits t join weights w on w.kind = t.kind and w.lexeme = t.lexeme group by t.kind, t.id
    ), scored as (
      select h.kind, h.id, h.session_id, h.at, h.speaker, h.said, coalesce(t.matched / nullif(o.idf, 0), 0) as words,
             -- The cosine of a zero vector is NaN, which sorts and compares above everything.
             nullif(h.cosine, 'NaN') as cosine, coalesce(t.text_score, 0) as text_score
        from held h
        left join worded t on t.kind = h.kind and t.id = h.id
        left join whole o on o.kind = h.kind and o.language = h.language
    ), ranked as (
      select s.*, case s.kind when 'turn' then words_in_turns else words_in_summaries end
                  * coalesce((s.text_score - avg(s.text_score) over of_kind)
                             / nullif(stddev_pop(s.text_score) over of_kind, 0), 0)
                + coalesce((s.cosine - avg(s.cosine) over of_kind)
                           / nullif(stddev_pop(s.cosine) over of_kind, 0), 0) as score
        from scored s window of_kind as (partition by s.kind)
    ), placed as (
      select r.*, row_number() over (partition by r.kind order by r.score desc, r.at desc, r.id) as place from ranked r
    )
    select p.kind, p.id, p.session_id, p.at, p.speaker, p.said, p.score, p.words,
           coalesce(1 / (1 + exp(least(-scale.a * (p.cosine - scale.c) - words_in_common * p.words, 700))), p.words),
           p.cosine is not null
      from placed p where p.place <= most order by p.kind, p.place;
end
$$;
comment on function jarvis.recall_memory(uuid, uuid, text, halfvec, boolean, boolean, double precision, double precision,
  double precision, integer) is
  'Tours et résumés d''un membre, du plus au moins proche d''une question : mots et sens, chacun ramené à son écart type.';
revoke all on function jarvis.guard_window(),
  jarvis.recall_memory(uuid, uuid, text, halfvec, boolean, boolean, double precision, double precision,
  double precision, integer)
  from public, anon, authenticated;
grant execute on function
  jarvis.recall_memory(uuid, uuid, text, halfvec, boolean, boolean, double precision, double precision,
  double precision, integer)
  to jarvis_server, authenticated, service_role;
alter function jarvis.guard_window() owner to jarvis_writer;
alter function jarvis.recall_memory(uuid, uuid, text, halfvec, boolean, boolean, double precision, double precision,
  double precision, integer)
  owner to jarvis_writer;
revoke create on schema jarvis from jarvis_writer;

insert into jarvis.data_map (schema_name, table_name, column_name, class, retention, in_export, erased_how)
select 'jarvis', 'memory_windows', c.name, 'health', '12 mois', c.name <> 'search' and c.name not like 'embedding%',
       'avec le membre (cascade)'
  from (values ('event_id'), ('gym_id'), ('member_id'), ('session_id'), ('speaker'), ('said'), ('said_at'), ('language'),
               ('tells_health'), ('search'), ('embedding'), ('embedding_model')) as c (name);
