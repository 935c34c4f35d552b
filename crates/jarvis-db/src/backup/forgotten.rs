//! Facts that were forgotten since the backup: a restore brings their words back, and must take them out again.

use super::error::BackupError;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// Words between spaces, as `jarvis.says` compares them.
const WORDS: &str = "' ' || btrim(regexp_replace(jarvis.fold(?), '[^[:alnum:]]+', ' ', 'g')) || ' '";

/// What of the restored facts, in any of their versions, was forgotten later than it was said; then the facts that were
/// read out of the same words, and the conversations in which these stand.
const FIND: &str = "
  create temp table forgotten_again on commit drop as
    select distinct v.gym_id, v.member_id, v.fact_id, v.session_id, {quote} as said
      from (select f.gym_id, f.member_id, f.id, f.category, f.fact_key, f.fact_value, f.slot, f.source_quote, f.source_session_id, f.created_at
              from public.member_facts f
            union all
            select h.gym_id, h.member_id, h.fact_id, h.category, h.fact_key, o.version -> 'fact_value', o.version ->> 'slot',
                   o.version ->> 'source_quote', coalesce(o.version ->> 'source_session_id', h.session_id), h.recorded_at
              from jarvis.member_fact_history h, unnest(array[h.old, h.new]) as o (version) where o.version is not null
           ) as v (gym_id, member_id, fact_id, category, fact_key, fact_value, slot, quote, session_id, said_at)
     where exists (select from jarvis.forgotten_facts t
                    where t.gym_id = v.gym_id and t.member_id = v.member_id and t.forgotten_at >= v.said_at
                      and t.mark = any (jarvis.fact_marks(v.member_id, v.category, v.fact_key,
                            array[v.slot, jarvis.slot_of(v.category, v.fact_key, coalesce(v.fact_value, '{}'))])));
  create temp table forgotten_words on commit drop as
    select gym_id, member_id, array_agg(distinct said) as quotes from forgotten_again
     where btrim(said) <> '' group by gym_id, member_id;
  insert into forgotten_again
    select f.gym_id, f.member_id, f.id, f.source_session_id, null
      from public.member_facts f join forgotten_words w on w.gym_id = f.gym_id and w.member_id = f.member_id
     where jarvis.says(jsonb_build_object('q', f.source_quote, 'v', f.fact_value::text), w.quotes);
  create temp table forgotten_in on commit drop as
    select s.gym_id, s.member_id, s.session_id from public.conversation_sessions s
     where exists (select from forgotten_again a where a.gym_id = s.gym_id and a.member_id = s.member_id and a.session_id = s.session_id)
        or exists (select from forgotten_words w, public.conversation_events e
                    where w.gym_id = s.gym_id and w.member_id = s.member_id and e.gym_id = s.gym_id and e.session_id = s.session_id
                      and jarvis.says(jsonb_build_object('t', e.transcript, 'a', e.tool_args::text, 'r', e.tool_result::text), w.quotes))
        or exists (select from forgotten_words w, jarvis.memory_windows m
                    where w.gym_id = s.gym_id and w.member_id = s.member_id and m.gym_id = s.gym_id and m.session_id = s.session_id
                      and jarvis.says(jsonb_build_object('t', m.said), w.quotes))";

/// Here a turn goes whole, where forgetting takes a sentence: no rule of the language is at hand, and too much may go. Of
/// the assistant and of tools goes what shares a long word. Conversations whose words are there are made into memory again.
const CLEAR: &str = "
  update public.conversation_events e set transcript = '[…]'
    from forgotten_in i join forgotten_words w on w.gym_id = i.gym_id and w.member_id = i.member_id
   where e.gym_id = i.gym_id and e.session_id = i.session_id
     and (jarvis.says(jsonb_build_object('t', e.transcript), w.quotes)
          or e.event_type = 'ai_transcript' and exists (
               select from unnest(w.quotes) as q (said), regexp_split_to_table(q.said, ' ') as word
                where length(word) >= 5 and strpos({transcript}, ' ' || word) > 0));
  update public.conversation_events e set tool_args = null, tool_result = null
    from forgotten_in i join forgotten_words w on w.gym_id = i.gym_id and w.member_id = i.member_id
   where e.gym_id = i.gym_id and e.session_id = i.session_id and (e.tool_args is not null or e.tool_result is not null)
     and exists (select from unnest(w.quotes) as q (said), regexp_split_to_table(q.said, ' ') as word
                  where length(word) >= 5 and strpos({tools}, ' ' || word) > 0);
  delete from jarvis.memory_windows m using forgotten_in i where m.gym_id = i.gym_id and m.session_id = i.session_id;
  delete from public.conversation_summaries s using forgotten_in i
   where s.gym_id = i.gym_id and s.session_id = i.session_id
     and (exists (select from forgotten_words w where w.gym_id = i.gym_id and w.member_id = i.member_id
                     and jarvis.says(jsonb_build_object('t', s.summary_text, 'k', array_to_string(s.key_topics, ' ')), w.quotes))
          or s.written_by = 'jarvis' and exists (select from public.conversation_events e
                                                  where e.gym_id = i.gym_id and e.session_id = i.session_id and e.transcript is not null));
  delete from public.member_facts f using forgotten_again a where f.gym_id = a.gym_id and f.id = a.fact_id;
  delete from jarvis.member_fact_history h using forgotten_again a where h.gym_id = a.gym_id and h.fact_id = a.fact_id;
  update public.conversation_sessions s set state = 'closing', attempts = 0, state_reason = null
    from forgotten_in i
   where s.gym_id = i.gym_id and s.session_id = i.session_id and s.state in ('processed', 'failed', 'empty')";

/// Alerts, what was set aside, and the operator's tables. Its owner alone may call the function, whom the migrating role
/// may become without inheriting from them.
async fn elsewhere(new: &mut PgConnection) -> Result<(), BackupError> {
    let words: Vec<(Uuid, Uuid, Vec<String>)> =
        sqlx::query_as("select gym_id, member_id, quotes from forgotten_words")
            .fetch_all(&mut *new)
            .await?;
    sqlx::raw_sql("set local role jarvis_writer")
        .execute(&mut *new)
        .await?;
    for (gym, member, quotes) in words {
        sqlx::query("select jarvis.forget_words($1, $2, $3)")
            .bind(gym)
            .bind(member)
            .bind(quotes)
            .execute(&mut *new)
            .await?;
    }
    sqlx::raw_sql("reset role").execute(new).await?;
    Ok(())
}

/// Takes over the marks that `old` has and `new` has not, for members who are in `new`, and forgets there what they mark.
/// Returns how many facts that were. Doing it again does nothing.
pub(super) async fn take_over(old: &mut PgConnection, new: &mut PgConnection) -> Result<usize, BackupError> {
    let marks = sqlx::query("select gym_id, member_id, mark, forgotten_at from jarvis.forgotten_facts")
        .fetch_all(old)
        .await?;
    let (mut gyms, mut members, mut of, mut at) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for mark in marks {
        gyms.push(mark.get::<Uuid, _>(0));
        members.push(mark.get::<Uuid, _>(1));
        of.push(mark.get::<String, _>(2));
        at.push(mark.get::<DateTime<Utc>, _>(3));
    }
    sqlx::query(
        "insert into jarvis.forgotten_facts as t (gym_id, member_id, mark, forgotten_at)
         select m.gym_id, m.id, x.mark, x.forgotten_at
           from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) as x (gym_id, member_id, mark, forgotten_at)
           join public.gym_members_v2 m on m.gym_id = x.gym_id and m.id = x.member_id
         on conflict (gym_id, member_id, mark) do update set forgotten_at = excluded.forgotten_at
          where excluded.forgotten_at > t.forgotten_at",
    )
    .bind(&gyms)
    .bind(&members)
    .bind(&of)
    .bind(&at)
    .execute(&mut *new)
    .await?;
    let words = |what: &str| WORDS.replace('?', what);
    let tools = words("concat_ws(' ', e.tool_args::text, e.tool_result::text)");
    let find = FIND.replace("{quote}", &words("coalesce(v.quote, '')"));
    let clear = CLEAR
        .replace("{transcript}", &words("e.transcript"))
        .replace("{tools}", &tools);
    sqlx::raw_sql(sqlx::AssertSqlSafe(find))
        .execute(&mut *new)
        .await?;
    let facts: i64 = sqlx::query_scalar("select count(distinct fact_id) from forgotten_again")
        .fetch_one(&mut *new)
        .await?;
    if facts > 0 {
        sqlx::raw_sql(sqlx::AssertSqlSafe(clear))
            .execute(&mut *new)
            .await?;
        elsewhere(&mut *new).await?;
    }
    sqlx::raw_sql("drop table forgotten_in, forgotten_words, forgotten_again")
        .execute(new)
        .await?;
    Ok(usize::try_from(facts).unwrap_or(usize::MAX))
}
