//! Vectors for other programs, with the model that the gym's memory is compared with.

use crate::meaning::{self, Whose};
use crate::{Lack, Memory, MemoryError};
use jarvis_core::{ErrorCode, GymId, Scope};
use jarvis_db::queries::gym::{self, EmbeddingModel};
use jarvis_embed::LocalModel;

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

/// Embeds texts as questions to memory, with the model of the one gym in scope, or of all of them when it is one that this
/// machine computes.
///
/// # Errors
/// `invalid_request` for too many, too long or empty texts, and for several gyms whose models differ or are a provider's,
/// whose price one gym must pay; `provider_unavailable` when this process cannot compute the model or may not ask for it.
pub async fn embed(memory: &Memory, scope: &Scope, texts: &[String]) -> Result<Vectors, MemoryError> {
    check(texts)?;
    let (gym, model) = active_model(memory, scope).await?;
    let whose = Whose {
        gym,
        session: None,
        model: &model,
    };
    let unavailable = |why: &str| MemoryError::refused_because(ErrorCode::ProviderUnavailable, why);
    let (outcome, counted) = meaning::of_questions(memory, whose, texts).await;
    let made = outcome?.map_err(|lack| match lack {
        Lack::Refused => unavailable("the gym lets no model of a provider read its words"),
        Lack::NoModel => MemoryError::refused(ErrorCode::ProviderUnavailable),
    })?;
    if !made.in_time {
        return Err(unavailable("the provider did not answer in time"));
    }
    let vectors: Option<Vec<Vec<f32>>> = made.vectors.into_iter().collect();
    let why = "input: a text has no words, or is not one that the model takes";
    let vectors = vectors.ok_or_else(|| MemoryError::refused_because(ErrorCode::InvalidRequest, why))?;
    let guessed = || {
        let tokens = texts.iter().map(|text| text.chars().count().div_ceil(4));
        u64::try_from(tokens.sum::<usize>()).unwrap_or(u64::MAX)
    };
    Ok(Vectors {
        model: model.name,
        vectors,
        tokens: counted.unwrap_or_else(guessed),
    })
}

fn check(texts: &[String]) -> Result<(), MemoryError> {
    let refuse = |why: &str| Err(MemoryError::refused_because(ErrorCode::InvalidRequest, why));
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        return refuse("input: 1 to 128 texts in one request; send more in several");
    }
    let fits = |text: &String| {
        !text.trim().is_empty() && text.chars().count() <= LONGEST_TEXT && !text.contains('\0')
    };
    if texts.iter().all(fits) {
        Ok(())
    } else {
        refuse("input: each text has 1 to 8000 characters; cut longer ones in parts")
    }
}

async fn active_model(memory: &Memory, scope: &Scope) -> Result<(GymId, EmbeddingModel), MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let gyms = match scope {
        Scope::Gym { gym, .. } => vec![(*gym, gym::embedding_model(&mut tx, *gym).await?)],
        _ => gym::list(&mut tx)
            .await?
            .into_iter()
            .map(|gym| (gym.id, gym.model()))
            .collect(),
    };
    tx.commit().await?;
    let mut gyms = gyms.into_iter();
    let first = gyms
        .next()
        .ok_or_else(|| MemoryError::refused(ErrorCode::Forbidden))?;
    let others: Vec<EmbeddingModel> = gyms.map(|(_, model)| model).collect();
    let refuse = |why: &str| Err(MemoryError::refused_because(ErrorCode::InvalidRequest, why));
    if others.iter().any(|model| model.name != first.1.name) {
        return refuse("the gyms have several models: use a token of one gym's kiosk");
    }
    if !others.is_empty() && LocalModel::named(&first.1.name).is_none() {
        return refuse("the model costs, and there are several gyms to pay: use a token of one gym's kiosk");
    }
    Ok(first)
}
