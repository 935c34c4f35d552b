//! Vectors for other programs, with the model that the gym's memory is compared with.

use crate::{Memory, MemoryError, Spent, spending};
use jarvis_core::{ErrorCode, GymId, Scope};
use jarvis_db::queries::gym;

/// The most texts of one request: some three seconds of one core.
pub const MOST_TEXTS: usize = 128;
/// The longest text, in characters. Local models read the first some 500 words.
pub const LONGEST_TEXT: usize = 8_000;

/// Vectors of texts.
#[derive(Clone, PartialEq)]
pub struct Vectors {
    /// The model that made them: the gym's, whatever was asked for.
    pub model: String,
    /// One for each text, in their order; unit norm.
    pub vectors: Vec<Vec<f32>>,
    /// What was read: as the provider counted, else a fourth of the characters.
    pub tokens: u64,
}

impl std::fmt::Debug for Vectors {
    /// A vector can be turned back into words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vectors")
            .field("model", &self.model)
            .field("vectors", &self.vectors.len())
            .finish_non_exhaustive()
    }
}

/// Embeds texts as questions to memory, with the model of the one gym in scope, or of all of them when it is one model.
///
/// # Errors
/// `invalid_request` for too many, too long or empty texts and for gyms with several models; `provider_unavailable` when
/// this process cannot compute the model.
pub async fn embed(memory: &Memory, scope: &Scope, texts: &[String]) -> Result<Vectors, MemoryError> {
    check(texts)?;
    let (gym, model) = active_model(memory, scope).await?;
    let mut made = Vectors {
        model,
        vectors: Vec::with_capacity(texts.len()),
        tokens: 0,
    };
    let mut spent: Option<Spent> = None;
    let mut failed = None;
    for text in texts {
        match memory.embedder.query(&made.model, text).await {
            Ok(Some(embedded)) => {
                made.tokens += match &embedded.spent {
                    Some(cost) => cost.usage.input_tokens,
                    None => u64::try_from(text.chars().count().div_ceil(4)).unwrap_or(u64::MAX),
                };
                made.vectors.push(embedded.vector);
                spent = sum(spent, embedded.spent);
            }
            Ok(None) => failed = Some(MemoryError::refused(ErrorCode::ProviderUnavailable)),
            Err(error) => failed = Some(error),
        }
        if failed.is_some() {
            break;
        }
    }
    if let Some(spent) = &spent
        && let Err(error) = spending::record(memory, gym, None, spent, "embedding").await
    {
        tracing::error!(error = error.chain(), "what vectors cost is not in the ledger");
    }
    failed.map_or(Ok(made), Err)
}

fn sum(so_far: Option<Spent>, more: Option<Spent>) -> Option<Spent> {
    match (so_far, more) {
        (Some(mut sum), Some(more)) => {
            sum.usage += more.usage;
            Some(sum)
        }
        (sum, more) => sum.or(more),
    }
}

fn check(texts: &[String]) -> Result<(), MemoryError> {
    let refuse = |why: &str| Err(MemoryError::refused_because(ErrorCode::InvalidRequest, why));
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        return refuse("input: 1 to 128 texts");
    }
    let fits = |text: &String| {
        !text.trim().is_empty() && text.chars().count() <= LONGEST_TEXT && !text.contains('\0')
    };
    if texts.iter().all(fits) {
        Ok(())
    } else {
        refuse("input: each text has 1 to 8000 characters")
    }
}

async fn active_model(memory: &Memory, scope: &Scope) -> Result<(GymId, String), MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let gyms = match scope {
        Scope::Gym { gym, .. } => vec![(*gym, gym::embedding_model(&mut tx, *gym).await?)],
        _ => gym::list(&mut tx)
            .await?
            .into_iter()
            .map(|gym| (gym.id, gym.embedding_model))
            .collect(),
    };
    tx.commit().await?;
    let mut gyms = gyms.into_iter();
    let first = gyms
        .next()
        .ok_or_else(|| MemoryError::refused(ErrorCode::Forbidden))?;
    if gyms.any(|(_, model)| model != first.1) {
        let why = "the gyms have several models: use a token of one gym's kiosk";
        return Err(MemoryError::refused_because(ErrorCode::InvalidRequest, why));
    }
    Ok(first)
}
