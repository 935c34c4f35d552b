//! The turns of a session, stored for recall.

use super::{Digest, Material, note, read_by_model, read_material, reason_for_nothing, unworked};
use crate::meaning::{self, Whose};
use crate::windows::{self, Spoken};
use crate::{Lack, Memory, MemoryError, Vectors};
use jarvis_core::{GymId, Scope, SessionId, SessionState};
use jarvis_db::queries::{session, window};
use jarvis_db::{DbError, ScopedTx};
use std::time::Duration;
use tokio::time::Instant;

/// When the turns of a conversation must be embedded, after its reading began; those left over are found by their words
/// until they are embedded later. With the two below far less than the time of the job.
const TURNS: Duration = Duration::from_secs(40);
/// When a provider's model must have read it.
const READ: Duration = Duration::from_secs(80);
/// When its summary must be embedded.
const SUMMARY: Duration = Duration::from_secs(95);

/// Embeds the turns and the summary, and lets a model of a provider read the conversation where the gym allows it.
/// The turns go first: when the provider of embeddings is away, no reading is bought that the next try would buy again.
/// Once it was bought, a summary without a vector is stored all the same, and embedded later.
///
/// # Errors
/// The provider of embeddings is away, and nothing was bought yet.
pub(super) async fn embed_and_read(
    memory: &Memory,
    material: &Material,
    digest: &mut Digest,
) -> Result<(), MemoryError> {
    let begun = Instant::now();
    let spoken = windows::texts(&material.turns);
    if !(material.model.external && memory.reader.is_some()) {
        if material.model.external {
            read_by_model(memory, material, digest, begun + READ).await?;
        }
        // The summary first: it is found by meaning even if time runs out.
        let mut texts = vec![digest.summary.text.clone()];
        texts.extend(spoken);
        let made = embed(memory, material, &texts, begun + TURNS).await?;
        if let Some(mut vectors) = digest.note_lacks(made) {
            digest.embedding = vectors.remove(0);
            digest.turns = vectors;
        }
        return Ok(());
    }
    let made = embed(memory, material, &spoken, begun + TURNS).await?;
    digest.turns = digest.note_lacks(made).unwrap_or_default();
    read_by_model(memory, material, digest, begun + READ).await?;
    let summary = [digest.summary.text.clone()];
    match embed(memory, material, &summary, begun + SUMMARY).await {
        Ok(made) => {
            let vectors = digest.note_lacks(made);
            digest.embedding = vectors.and_then(|vectors| vectors.into_iter().next().flatten());
        }
        Err(error) if error.outage().is_some() => {
            tracing::warn!(
                reason = error.chain(),
                "a summary is stored without a vector, which follows"
            );
            digest.incomplete = true;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn embed(
    memory: &Memory,
    material: &Material,
    texts: &[String],
    until: Instant,
) -> Result<Result<Vectors, Lack>, MemoryError> {
    let whose = Whose {
        gym: material.session.gym_id,
        session: Some(&material.session.session_id),
        model: &material.model,
    };
    meaning::of_passages(memory, whose, texts, Some(until)).await
}

impl Digest {
    /// The vectors, with what is to be said of those that are not there.
    fn note_lacks(&mut self, made: Result<Vectors, Lack>) -> Option<Vec<Option<Vec<f32>>>> {
        let mut note = |code| {
            if !self.lacks.contains(&code) {
                self.lacks.push(code);
            }
        };
        match made {
            Ok(made) => {
                if made.rejected > 0 {
                    note(note::EMBEDDING_REJECTED);
                }
                self.incomplete |= !made.in_time;
                Some(made.vectors)
            }
            Err(Lack::Refused) => {
                note(note::EMBEDDING_REFUSED);
                None
            }
            Err(Lack::NoModel) => {
                note(note::EMBEDDING_UNAVAILABLE);
                None
            }
        }
    }
}

/// Stores the turns for recall, in place of those of an earlier try.
pub(super) async fn write(
    tx: &mut ScopedTx,
    material: &Material,
    vectors: &[Option<Vec<f32>>],
) -> Result<(), MemoryError> {
    let session = &material.session;
    let spoken = material.turns.iter().zip(&material.said_at);
    let spoken: Vec<_> = spoken.map(|(turn, at)| Spoken { turn, at: *at }).collect();
    let rows = windows::build(&spoken, vectors, session.language, material.session_date());
    let model = material.model.name.as_str();
    let whose = (material.member.id, &session.session_id);
    match window::replace(
        tx,
        session.gym_id,
        whose,
        (session.language.as_str(), model),
        &rows,
    )
    .await
    {
        // The consent was withdrawn while we worked; the next try sees it.
        Err(DbError::Refused { code, .. }) if code == "JC001" => Err(MemoryError::Changed),
        done => Ok(done?),
    }
}

/// Stores the turns of a session that was processed before turns were stored, without their vectors. Nothing when it is
/// processed again meanwhile, or nothing is to be remembered of it.
pub(crate) async fn store_of_old_session(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    id: &SessionId,
) -> Result<(), MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let current = session::find_for_update(&mut tx, gym, id).await?;
    if current.is_none_or(|session| session.state != SessionState::Processed) {
        return Ok(());
    }
    let Some(mut material) = read_material(&mut tx, gym, id).await? else {
        return Ok(());
    };
    unworked::quarantine_turns(&mut material);
    unworked::withhold_health(&mut material);
    if reason_for_nothing(&material).is_some() {
        return Ok(());
    }
    write(&mut tx, &material, &[]).await?;
    tx.commit().await?;
    Ok(())
}
