//! Vectors of a gym's words, and their cost in its ledger.

use crate::embedder::{Lack, Vectors};
use crate::{Memory, MemoryError, spending};
use jarvis_core::{GymId, SessionId};
use jarvis_db::queries::gym::EmbeddingModel;
use jarvis_embed::Kind;
use std::time::Duration;
use tokio::time::Instant;

/// A person waits for the answer to a question: a provider that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whose words they are.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) gym: GymId,
    /// The conversation they are from.
    pub(crate) session: Option<&'a SessionId>,
    /// The gym's model.
    pub(crate) model: &'a EmbeddingModel,
}

/// The vectors of what is to be found, before `until`.
///
/// # Errors
/// The provider, or that what it cost could not be written down: then it is asked again.
pub(crate) async fn of_passages(
    memory: &Memory,
    whose: Whose<'_>,
    texts: &[String],
    until: Option<Instant>,
) -> Result<Result<Vectors, Lack>, MemoryError> {
    let asked = memory
        .embedder
        .embed(whose.model, Kind::Passage, texts, until)
        .await;
    if let Some(spent) = &asked.spent {
        spending::record(memory, whose.gym, whose.session, spent, "embedding").await?;
    }
    asked.outcome
}

/// The vectors of questions, for somebody who waits, and the tokens that a provider counted.
///
/// # Errors
/// The provider.
pub(crate) async fn of_questions(
    memory: &Memory,
    whose: Whose<'_>,
    texts: &[String],
) -> (Result<Result<Vectors, Lack>, MemoryError>, Option<u64>) {
    let until = Instant::now() + PATIENCE;
    let asked = memory
        .embedder
        .embed(whose.model, Kind::Query, texts, Some(until))
        .await;
    if let Some(spent) = &asked.spent
        && let Err(error) = spending::record(memory, whose.gym, whose.session, spent, "embedding").await
    {
        // The answer is there: who asks shall not wait or fail for the bookkeeping.
        tracing::error!(error = error.chain(), "what a question cost is not in the ledger");
    }
    (asked.outcome, asked.spent.map(|spent| spent.usage.input_tokens))
}
