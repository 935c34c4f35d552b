//! Embedding the summaries of a gym again, with another model.

use crate::{DbError, ScopedTx};
use jarvis_core::GymId;
use pgvector::Vector;
use uuid::Uuid;

/// A summary that another model embedded, or none.
#[derive(Clone)]
pub struct Pending {
    /// The summary.
    pub id: Uuid,
    /// What is to be embedded.
    pub text: String,
}

impl std::fmt::Debug for Pending {
    /// Without its words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pending({})", self.id)
    }
}

/// The summaries of a gym that one model embedded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Embedded {
    /// The model; `unknown` for those without a vector that can be compared.
    pub model: String,
    /// How many.
    pub summaries: i64,
}

/// How many summaries each model embedded, the most first.
pub async fn by_model(tx: &mut ScopedTx, gym: GymId) -> Result<Vec<Embedded>, DbError> {
    Ok(sqlx::query_as!(
        Embedded,
        r#"select embedding_model as model, count(*) as "summaries!" from public.conversation_summaries
            where gym_id = $1 group by embedding_model order by 2 desc, 1"#,
        gym.as_uuid(),
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Whether vectors of this model can be compared: its calibration is known.
pub async fn is_known(tx: &mut ScopedTx, model: &str) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from jarvis.embedding_models where model = $1) as "known!""#,
        model,
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// The next summaries after `after` that `model` is to embed: ours, and those that the gym's model embedded. Without the
/// consent to memory nothing is worked with.
pub async fn next(
    tx: &mut ScopedTx,
    gym: GymId,
    model: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Pending>, DbError> {
    Ok(sqlx::query_as!(
        Pending,
        "select s.id, s.summary_text as text from public.conversation_summaries s
           join public.gyms g on g.id = s.gym_id
          where s.gym_id = $1 and s.embedding_model <> $2 and s.id > $3 and btrim(s.summary_text) <> ''
            and (s.written_by = 'jarvis' or s.embedding_model = g.embedding_model)
            and jarvis.has_consent(s.gym_id, s.member_id, 'memory')
          order by s.id limit $4",
        gym.as_uuid(),
        model,
        after,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Stores the vector of a summary whose words did not change meanwhile; false when they did.
pub async fn store(
    tx: &mut ScopedTx,
    gym: GymId,
    pending: &Pending,
    model: &str,
    vector: Vec<f32>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update public.conversation_summaries set embedding = $4, embedding_model = $3
          where gym_id = $1 and id = $2 and summary_text = $5",
        gym.as_uuid(),
        pending.id,
        model,
        Vector::from(vector) as _,
        pending.text,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// From now on the gym compares the vectors of `model`.
pub async fn switch(tx: &mut ScopedTx, gym: GymId, model: &str) -> Result<(), DbError> {
    sqlx::query!(
        "update public.gyms set embedding_model = $2 where id = $1 and embedding_model <> $2",
        gym.as_uuid(),
        model,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
