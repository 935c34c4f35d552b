-- Recall also by what people speak of: a question names concepts, each with the words for it in French and English, and a
-- row that has any of them speaks of it. The function of the release before stays beside this one for programs of that
-- release.
set local lock_timeout = '10s';
set local statement_timeout = '120s';
set local search_path = public, extensions;

grant create on schema jarvis to jarvis_writer;

-- As the one before (row level security keeps the planner away from what it does not call leakproof, so this function checks
-- the gym itself; a turn is a manager's to read, as its event is; a summary is read as its table is), and besides:
--
-- Concepts: each is the forms of one, separated by commas; a form that ends in * is the beginning of a word. What a row has of
-- them is the sum of their inverse document frequencies among the member's summaries, as a share of all that were asked.
-- Order: turns by the sum of the z-scores of words and meaning. Summaries by the cosine and parts of the shares of words and
-- concepts: over a handful of rows a z-score is mostly noise. Without a cosine a summary counts as an average one.
-- Similarity: the logistic of the calibrated cosine and the shares, fitted on labelled questions with and without an answer;
-- where a question names no concept, that of the cosine and the words. Without a cosine the greater of the shares.
create function jarvis.recall_memory(
  gym uuid, member uuid, query text, concepts text[], question halfvec, with_turns boolean, with_health boolean,
  words_in_turns double precision, words_in_summaries double precision, concepts_in_summaries double precision,
  words_in_common double precision, k integer)
  returns table (kind text, id uuid, session_id text, at timestamptz, speaker text, said text, score double precision,
                 words double precision, shared_concepts double precision, similarity double precision,
                 by_meaning boolean, compared bigint)
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
    ), languages as materialized (
      select d.language, case d.language when 'fr' then 'public.fr'::regconfig when 'en' then 'public.en'::regconfig
                                         else 'pg_catalog.simple'::regconfig end as config
        from (select distinct h.language from held h) as d
    ), known as (
      select h.kind, count(*)::double precision as rows from held h group by h.kind
    ), asked as materialized (
      select l.language, w.lexeme, quote_literal(w.lexeme)::tsquery as any_place,
             (quote_literal(w.lexeme) || ':AD')::tsquery as own_place
        from languages l, unnest(to_tsvector(l.config, query)) as w
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
    ), spoken_of as materialized (
      select c.number, l.language, string_agg(p.phrase::text, ' | ')::tsquery as any_form
        from unnest(concepts) with ordinality as c (forms, number)
        cross join languages l
        cross join lateral unnest(string_to_array(c.forms, ',')) as f (form)
        cross join lateral (select case when f.form like '%*' then (quote_literal(rtrim(f.form, '*')) || ':*')::tsquery
                                        else phraseto_tsquery(l.config, f.form) end as phrase) as p
       where numnode(p.phrase) > 0
       group by c.number, l.language
    ), marked as materialized (
      select h.id, s.number from held h join spoken_of s on s.language = h.language
       where h.kind = 'summary' and h.search @@ s.any_form
    ), weighed as materialized (
      select c.number, ln(1 + (n.rows - coalesce(f.rows, 0) + 0.5) / (coalesce(f.rows, 0) + 0.5)) as idf
        from generate_subscripts(concepts, 1) as c (number)
        cross join (select count(*)::double precision as rows from held h where h.kind = 'summary') as n
        left join (select m.number, count(*) as rows from marked m group by m.number) as f on f.number = c.number
    ), all_concepts as (
      select sum(w.idf) as idf from weighed w
    ), about as (
      select m.id, sum(w.idf) / nullif((select a.idf from all_concepts a), 0) as share
        from marked m join weighed w on w.number = m.number group by m.id
    ), scored as (
      select h.kind, h.id, h.session_id, h.at, h.speaker, h.said, h.language, h.search,
             coalesce(t.matched / nullif(o.idf, 0), 0) as words,
             -- The cosine of a zero vector is NaN, which sorts and compares above everything.
             nullif(h.cosine, 'NaN') as cosine, coalesce(t.text_score, 0) as text_score, coalesce(b.share, 0) as share
        from held h
        left join worded t on t.kind = h.kind and t.id = h.id
        left join whole o on o.kind = h.kind and o.language = h.language
        left join about b on h.kind = 'summary' and b.id = h.id
    ), ranked as (
      select s.*, case s.kind
               when 'turn' then words_in_turns
                  * coalesce((s.text_score - avg(s.text_score) over of_kind)
                             / nullif(stddev_pop(s.text_score) over of_kind, 0), 0)
                + coalesce((s.cosine - avg(s.cosine) over of_kind)
                           / nullif(stddev_pop(s.cosine) over of_kind, 0), 0)
               else coalesce(s.cosine, avg(s.cosine) over of_kind, 0)
                + words_in_summaries * s.words + concepts_in_summaries * s.share end as score
        from scored s window of_kind as (partition by s.kind)
    ), placed as (
      select r.*, row_number() over (partition by r.kind order by r.score desc, r.at desc, r.id) as place,
             count(*) over (partition by r.kind) as compared from ranked r
    ), told as (
      -- Of the turns only those that are told: a member has many, and their order does not depend on it.
      select p.*, case p.kind when 'summary' then p.share else coalesce(
               (select sum(w.idf) from spoken_of s join weighed w on w.number = s.number
                 where s.language = p.language and p.search @@ s.any_form)
               / nullif((select a.idf from all_concepts a), 0), 0) end as shared
        from placed p where p.place <= most
    )
    select t.kind, t.id, t.session_id, t.at, t.speaker, t.said, t.score, t.words, t.shared,
           case when t.cosine is null then greatest(t.words, 0.7 * t.shared)
                else 1 / (1 + exp(least(-case
                       when cardinality(concepts) > 0
                         then 0.48 * scale.a * (t.cosine - scale.c) + 0.5 * t.words + 4.6 * t.shared - 2.46
                       else scale.a * (t.cosine - scale.c) + words_in_common * t.words end, 700))) end,
           t.cosine is not null, t.compared
      from told t order by t.kind, t.place;
end
$$;
comment on function jarvis.recall_memory(uuid, uuid, text, text[], halfvec, boolean, boolean, double precision, double precision,
  double precision, double precision, integer) is
  'Tours et résumés d''un membre, du plus au moins proche d''une question : mots, sens et notions.';
revoke all on function jarvis.recall_memory(uuid, uuid, text, text[], halfvec, boolean, boolean, double precision, double precision,
  double precision, double precision, integer)
  from public, anon, authenticated;
grant execute on function jarvis.recall_memory(uuid, uuid, text, text[], halfvec, boolean, boolean, double precision, double precision,
  double precision, double precision, integer)
  to jarvis_server, authenticated, service_role;
alter function jarvis.recall_memory(uuid, uuid, text, text[], halfvec, boolean, boolean, double precision, double precision,
  double precision, double precision, integer)
  owner to jarvis_writer;
revoke create on schema jarvis from jarvis_writer;
