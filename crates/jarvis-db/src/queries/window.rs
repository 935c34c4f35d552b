//! What was said, turn by turn, and recall over it and the summaries.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{EventId, GymId, MemberId, SessionId};
use pgvector::HalfVector;
use std::time::Duration;
use uuid::Uuid;

/// A turn to remember.
#[derive(Debug, Clone)]
pub struct NewWindow<'a> {
    /// The event that it was.
    pub event: EventId,
    /// `member` or `assistant`.
    pub speaker: &'static str,
    /// Its words, never empty.
    pub said: &'a str,
    /// Its own words, to be found by.
    pub own_words: String,
    /// The words around it, to be found by with less weight.
    pub other_words: String,
    /// When.
    pub said_at: DateTime<Utc>,
    /// Whether it speaks of health.
    pub tells_health: bool,
    /// 1536 dimensions, unit norm; absent when no model was available.
    pub embedding: Option<Vec<f32>>,
}

/// Stores the turns of a session in place of those that were there.
///
/// # Errors
/// [`DbError::Refused`] without the member's consent to `memory`.
pub async fn replace(
    tx: &mut ScopedTx,
    gym: GymId,
    (member, session): (MemberId, &SessionId),
    (language, model): (&str, &str),
    windows: &[NewWindow<'_>],
) -> Result<(), DbError> {
    erase_of_session(tx, gym, session).await?;
    let vector = |w: &NewWindow<'_>| w.embedding.as_deref().map(HalfVector::from_f32_slice);
    let embeddings: Vec<Option<HalfVector>> = windows.iter().map(vector).collect();
    let column = |of: fn(&NewWindow<'_>) -> String| windows.iter().map(of).collect::<Vec<_>>();
    sqlx::query!(
        r#"insert into jarvis.memory_windows
             (event_id, gym_id, member_id, session_id, speaker, said, said_at, language, tells_health, search,
              embedding, embedding_model)
           select w.event_id, $1, $2, $3, w.speaker, w.said, w.said_at, $4, w.tells_health,
                  setweight(to_tsvector(l.config, w.own_words), 'A')
                    || setweight(to_tsvector(l.config, w.other_words), 'C'),
                  w.embedding, case when w.embedding is null then 'unknown' else $5 end
             from (select case $4 when 'fr' then 'public.fr'::regconfig when 'en' then 'public.en'::regconfig
                                  else 'pg_catalog.simple'::regconfig end as config) as l,
                  unnest($6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::bool[],
                         $13::halfvec[])
               as w(event_id, speaker, said, own_words, other_words, said_at, tells_health, embedding)"#,
        gym.as_uuid(),
        member.as_uuid(),
        session.as_str(),
        language,
        model,
        &windows.iter().map(|w| w.event.as_uuid()).collect::<Vec<_>>(),
        &column(|w| w.speaker.to_owned()),
        &column(|w| w.said.to_owned()),
        &column(|w| w.own_words.clone()),
        &column(|w| w.other_words.clone()),
        &windows.iter().map(|w| w.said_at).collect::<Vec<_>>(),
        &windows.iter().map(|w| w.tells_health).collect::<Vec<_>>(),
        &embeddings as &[Option<HalfVector>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes the turns of a session.
pub async fn erase_of_session(tx: &mut ScopedTx, gym: GymId, session: &SessionId) -> Result<(), DbError> {
    sqlx::query!(
        "delete from jarvis.memory_windows where gym_id = $1 and session_id = $2",
        gym.as_uuid(),
        session.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes the turns of a member in which one of `quotes` was said, those in which the assistant used one of `words` (folded,
/// singular), and those around them, which hold their words, too.
pub async fn erase_saying(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    quotes: &[String],
    words: &[String],
) -> Result<(), DbError> {
    sqlx::query!(
        "delete from jarvis.memory_windows w
          using (select t.event_id, bool_or(said.so) over (partition by t.session_id order by t.said_at, t.event_id
                                                           rows between 3 preceding and 3 following) as near
                   from jarvis.memory_windows t
                  cross join lateral (select exists (select from unnest($3::text[]) as q (said)
                                                      where jarvis.fold(q.said) <> ''
                                                        and position(jarvis.fold(q.said) in jarvis.fold(t.said)) > 0)
                                             or t.speaker = 'assistant'
                                                and regexp_split_to_array(jarvis.fold(t.said), '[sx]*([^[:alnum:]]+|$)') && $4::text[]) as said (so)
                  where t.gym_id = $1 and t.member_id = $2) as n
          where w.gym_id = $1 and w.member_id = $2 and w.event_id = n.event_id and n.near",
        gym.as_uuid(),
        member.as_uuid(),
        quotes,
        words,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What words count beside the meaning, whose weight is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// What a standard deviation of the words' score counts among turns, where one of the cosine counts 1.
    pub words_in_turns: f64,
    /// What all words in common add to the cosine of a summary.
    pub words_in_summaries: f64,
    /// What all concepts in common add to it.
    pub concepts_in_summaries: f64,
    /// Where no concept is asked, what all words in common add to the logarithm of the odds that something is relevant.
    pub words_in_common: f64,
}

/// A question to everything a member said.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Its words.
    pub text: &'a str,
    /// The concepts it names, each as the forms of its words, separated by commas without a space; a form that ends in `*`
    /// is the beginning of a word.
    pub concepts: &'a [String],
    /// Its vector under the gym's model, 1536 dimensions; without it, words alone decide.
    pub vector: Option<&'a [f32]>,
    /// Whether turns are wanted beside the summaries.
    pub with_turns: bool,
    /// Whether turns that speak of health are.
    pub with_health: bool,
    /// What the words count beside the meaning.
    pub weights: Weights,
    /// How many turns and how many summaries at most, 1 to 200 each.
    pub k: i32,
}

/// A turn or a summary, and how near it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// `turn` or `summary`.
    pub kind: String,
    /// The event of a turn, or the summary.
    pub id: Uuid,
    /// The session.
    pub session_id: String,
    /// When it was said, or when the summarised session ended.
    pub at: DateTime<Utc>,
    /// `member` or `assistant`, of a turn.
    pub speaker: Option<String>,
    /// The words of a turn.
    pub said: Option<String>,
    /// The text of a summary; none when the scope may not read it.
    pub summary_text: Option<String>,
    /// What a summary is about.
    pub key_topics: Option<Vec<String>>,
    /// The sentiment of a summary.
    pub sentiment: Option<String>,
    /// The order among the rows of its kind.
    pub score: f64,
    /// The share of the question's words that are in it, by their information; 0 to 1.
    pub words: f64,
    /// The same of the question's concepts.
    pub concepts: f64,
    /// How likely it is relevant, 0 to 1: calibrated from the cosine, the words and the concepts; without a vector of the
    /// gym's model, from the shares alone.
    pub similarity: f64,
    /// Whether its vector was compared.
    pub by_meaning: bool,
    /// How many rows of its kind there were to choose from.
    pub compared: i64,
}

/// The turns and the summaries of a member nearest to a question, each kind best first; as far as the scope may read
/// them.
pub async fn recall(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    question: &Question<'_>,
) -> Result<Vec<Near>, DbError> {
    let vector = question.vector.map(HalfVector::from_f32_slice);
    let weights = question.weights;
    let rows = sqlx::query_as!(
        Near,
        r#"select r.kind as "kind!", r.id as "id!", r.session_id as "session_id!", r.at as "at!", r.speaker, r.said,
                  s.summary_text as "summary_text?", s.key_topics, s.sentiment,
                  r.score as "score!", r.words as "words!", r.concepts as "concepts!",
                  r.similarity as "similarity!", r.by_meaning as "by_meaning!", r.compared as "compared!"
             from jarvis.recall_memory($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) with ordinality
               as r(kind, id, session_id, at, speaker, said, score, words, concepts, similarity, by_meaning,
                    compared, place)
             left join public.conversation_summaries s on r.kind = 'summary' and s.gym_id = $1 and s.id = r.id
            order by r.place"#,
        gym.as_uuid(),
        member.as_uuid(),
        question.text,
        question.concepts,
        vector as Option<HalfVector>,
        question.with_turns,
        question.with_health,
        weights.words_in_turns,
        weights.words_in_summaries,
        weights.concepts_in_summaries,
        weights.words_in_common,
        question.k,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// As [`recall`], by a deadline: when all turns take longer than `patience`, the summaries alone. True when nothing was
/// left out.
pub async fn recall_within(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    question: &Question<'_>,
    patience: Duration,
) -> Result<(Vec<Near>, bool), DbError> {
    if let Some(near) = recall_in_time(tx, gym, member, question, patience).await? {
        return Ok((near, true));
    }
    let summaries = Question {
        with_turns: false,
        ..question.clone()
    };
    Ok((recall(tx, gym, member, &summaries).await?, false))
}

/// As [`recall_within`], and never longer than `patience` in all: the summaries get a third of it, and when they take
/// longer too, nothing is found.
pub async fn recall_by(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    question: &Question<'_>,
    patience: Duration,
) -> Result<(Vec<Near>, bool), DbError> {
    let third = patience / 3;
    if let Some(near) = recall_in_time(tx, gym, member, question, third * 2).await? {
        return Ok((near, true));
    }
    let summaries = Question {
        with_turns: false,
        ..question.clone()
    };
    let near = recall_in_time(tx, gym, member, &summaries, third).await?;
    Ok((near.unwrap_or_default(), false))
}

/// `None` when it takes longer than `patience`; the transaction goes on either way, with the timeout that it had.
async fn recall_in_time(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    question: &Question<'_>,
    patience: Duration,
) -> Result<Option<Vec<Near>>, DbError> {
    sqlx::query!("savepoint recall").execute(&mut **tx).await?;
    let millis = patience.as_millis().max(1).to_string();
    sqlx::query_scalar!("select set_config('statement_timeout', $1, true)", millis)
        .fetch_one(&mut **tx)
        .await?;
    let near = match recall(tx, gym, member, question).await {
        Ok(near) => Some(near),
        Err(DbError::Timeout) => None,
        Err(error) => return Err(error),
    };
    // Back to the transaction's own timeout, too.
    sqlx::query!("rollback to savepoint recall")
        .execute(&mut **tx)
        .await?;
    Ok(near)
}

/// The direction of a member's last conversation under the gym's model, if it has one.
pub async fn last_direction(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    model: &str,
) -> Result<Option<Vec<f32>>, DbError> {
    let vector = sqlx::query_scalar!(
        r#"select v.emb as "emb!: HalfVector" from jarvis.summary_vectors v
            where v.gym_id = $1 and v.member_id = $2 and v.model = $3
            order by v.created_at desc, v.summary_id desc limit 1"#,
        gym.as_uuid(),
        member.as_uuid(),
        model,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(vector.map(|v| v.as_slice().iter().map(|x| x.to_f32()).collect()))
}
