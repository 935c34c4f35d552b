//! What a member said before, nearest to a question.

use crate::extract::mask_health;
use crate::quarantine::steers;
use crate::{Memory, MemoryError, spending};
use jarvis_core::{
    ConsentSet, ErrorCode, GymId, Language, MemberId, Purpose, Scope, SessionId, SessionState,
};
use jarvis_db::queries::summary::{self, Match};
use jarvis_db::queries::{consent, gym, member, session};
use jarvis_observe::METRICS;
use std::time::Instant;

/// Questions longer than this are refused, in characters.
pub const MAX_QUERY_CHARS: usize = 2_000;
/// The most memories of one answer.
pub const MAX_K: i32 = 50;
/// Calibrated similarity from which a memory is offered when nobody says otherwise. Missing a memory costs more than
/// offering one too many, and short questions score low with the local model: over three short summaries, right
/// answers scored .08 to .51 and most unrelated ones under .03. "Likely relevant" begins at 0.7.
pub const DEFAULT_THRESHOLD: f64 = 0.05;

/// A question to memory.
#[derive(Debug, Clone)]
pub struct RecallQuery {
    /// What is asked; its text never reaches a log.
    pub text: String,
    /// At most so many memories, 1 to [`MAX_K`].
    pub k: i32,
    /// Only memories at least this similar, 0 to 1; without effect when recall is by words.
    pub threshold: f64,
}

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecallMethod {
    /// By meaning: exact cosine over the member's summaries.
    Embedding,
    /// By words, since no embedding model is there or its provider fails.
    FullText,
}

impl RecallMethod {
    /// The word on the wire and in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::FullText => "full_text",
        }
    }
}

/// Ranked memories of one member.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Recalled {
    /// How they were found.
    pub method: RecallMethod,
    /// Best first; empty when nothing fits.
    pub memories: Vec<Match>,
}

/// The memories of a member nearest to a question, as far as `scope` may see them.
pub async fn recall(
    memory: &Memory,
    scope: Scope,
    member: MemberId,
    query: &RecallQuery,
) -> Result<Recalled, MemoryError> {
    let started = Instant::now();
    let recalled = find(memory, scope, member, query).await?;
    METRICS
        .recall_duration
        .observe_as(&[recalled.method.as_str()], started.elapsed());
    Ok(recalled)
}

async fn find(
    memory: &Memory,
    scope: Scope,
    member: MemberId,
    query: &RecallQuery,
) -> Result<Recalled, MemoryError> {
    check(query)?;
    let mut tx = memory.db.begin(&scope).await?;
    let found = member::find(&mut tx, member).await?;
    let found = found.ok_or_else(|| MemoryError::refused(ErrorCode::MemberNotFound))?;
    let model = gym::embedding_model(&mut tx, found.gym_id).await?;
    let consents = consent::in_force(&mut tx, found.gym_id, member).await?;
    tx.commit().await?;
    let nothing = || Recalled {
        method: RecallMethod::FullText,
        memories: Vec::new(),
    };
    if !consents.allows(Purpose::Memory) {
        // Nor is the question shown to a provider.
        return Ok(nothing());
    }
    let vector = embedded(memory, found.gym_id, &model, &query.text).await?;
    let mut tx = memory.db.begin(&scope).await?;
    let consents = consent::in_force(&mut tx, found.gym_id, member).await?;
    if !consents.allows(Purpose::Memory) {
        return Ok(nothing());
    }
    let mut recalled = match vector {
        Some(vector) => Recalled {
            method: RecallMethod::Embedding,
            memories: by_meaning(&mut tx, &found, &model, vector, query).await?,
        },
        None => Recalled {
            method: RecallMethod::FullText,
            memories: by_words(&mut tx, &found, &query.text, query.k).await?,
        },
    };
    // Written by another application, or before it was recognised.
    recalled.memories.retain(|m| !steers(&m.summary_text));
    if !may_hear_health(&scope, &consents) {
        for remembered in &mut recalled.memories {
            remembered.summary_text = mask_health(&remembered.summary_text, found.language).text;
            remembered.key_topics.clear();
        }
    }
    Ok(recalled)
}

/// The vector of a question; none when there is no model for it or its provider fails, and recall is by words.
async fn embedded(
    memory: &Memory,
    gym: GymId,
    model: &str,
    text: &str,
) -> Result<Option<Vec<f32>>, MemoryError> {
    let error = match memory.embedder.query(model, text).await {
        Ok(None) => return Ok(None),
        Ok(Some(embedded)) => {
            if let Some(spent) = &embedded.spent
                && let Err(error) = spending::record(memory, gym, None, spent, "embedding").await
            {
                // The answer is there: who asks shall not wait or fail for the bookkeeping.
                tracing::error!(error = error.chain(), "what a question cost is not in the ledger");
            }
            return Ok(Some(embedded.vector));
        }
        Err(MemoryError::Embedding(error)) => error,
        Err(other) => return Err(other),
    };
    tracing::warn!(
        cause = error.kind.code(),
        "a question could not be embedded: recall is by words"
    );
    Ok(None)
}

/// The assistant may while the member agrees to it; people of the gym only if the member shares it with them.
fn may_hear_health(scope: &Scope, consents: &ConsentSet) -> bool {
    let shared = !matches!(scope, Scope::Person(_)) || consents.allows(Purpose::ShareWithStaff);
    shared && consents.allows(Purpose::HealthMemory)
}

/// As [`recall`], for the member of a kiosk's own session: a kiosk never names a member.
pub async fn recall_in_session(
    memory: &Memory,
    kiosk: &crate::sessions::KioskIdentity,
    id: &SessionId,
    query: &RecallQuery,
) -> Result<Recalled, MemoryError> {
    check(query)?;
    let mut tx = memory.db.begin(&kiosk.scope()).await?;
    let session = session::find(&mut tx, id)
        .await?
        .filter(|s| s.kiosk_id == Some(kiosk.kiosk))
        .ok_or_else(|| MemoryError::refused(ErrorCode::SessionNotFound))?;
    tx.commit().await?;
    // A kiosk knows the member in front of it, not everybody it ever served.
    if session.state != SessionState::Open {
        return Err(MemoryError::refused(ErrorCode::SessionClosed));
    }
    recall(memory, kiosk.scope(), session.member_id, query).await
}

/// By meaning; what no vector of the gym's model reaches is found by words, after the rest.
async fn by_meaning(
    tx: &mut jarvis_db::ScopedTx,
    member: &member::Member,
    model: &str,
    vector: Vec<f32>,
    query: &RecallQuery,
) -> Result<Vec<Match>, MemoryError> {
    let mut memories = summary::match_embedding(tx, member.id, vector, query.threshold, query.k).await?;
    let room = query.k - i32::try_from(memories.len()).unwrap_or(query.k);
    if room > 0 {
        let whose = (member.gym_id, member.id);
        let language = language_of(member);
        let others =
            summary::match_words_of_other_models(tx, whose, &query.text, language, model, room).await?;
        memories.extend(others);
    }
    Ok(memories)
}

fn language_of(member: &member::Member) -> Language {
    if member.language == Language::En {
        Language::En
    } else {
        Language::Fr
    }
}

async fn by_words(
    tx: &mut jarvis_db::ScopedTx,
    member: &member::Member,
    text: &str,
    k: i32,
) -> Result<Vec<Match>, MemoryError> {
    let language = language_of(member);
    Ok(summary::match_words(tx, member.gym_id, member.id, text, language, k).await?)
}

fn check(query: &RecallQuery) -> Result<(), MemoryError> {
    let refuse = |detail: &str| Err(MemoryError::refused_because(ErrorCode::InvalidRequest, detail));
    let length = query.text.trim().chars().count();
    if length == 0 || length > MAX_QUERY_CHARS || query.text.contains('\0') {
        return refuse("query: 1 to 2000 characters");
    }
    if !(1..=MAX_K).contains(&query.k) {
        return refuse("k: 1 to 50");
    }
    if !(0.0..=1.0).contains(&query.threshold) {
        return refuse("threshold: 0 to 1");
    }
    Ok(())
}
