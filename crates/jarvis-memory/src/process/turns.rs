//! The turns of a session, stored for recall.

use super::Material;
use crate::windows::{self, Spoken, TurnVectors};
use crate::{Memory, MemoryError, spending};
use jarvis_db::queries::window;
use jarvis_db::{DbError, ScopedTx};

/// Embeds the summary and the turns, a provider's in one request; what that cost goes into the ledger. Nothing when no
/// model is there for the gym.
pub(super) async fn embed(
    memory: &Memory,
    material: &Material,
    summary: &str,
) -> Result<(Option<Vec<f32>>, TurnVectors), MemoryError> {
    let mut texts = vec![summary.to_owned()];
    texts.extend(windows::texts(&material.turns));
    let Some(many) = memory.embedder.passages(&material.embedding_model, texts).await? else {
        return Ok((None, Vec::new()));
    };
    if let Some(spent) = &many.spent {
        let session = &material.session;
        spending::record(
            memory,
            session.gym_id,
            Some(&session.session_id),
            spent,
            "embedding",
        )
        .await?;
    }
    let mut vectors = many.vectors.into_iter();
    Ok((vectors.next().flatten(), vectors.collect()))
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
    let model = material.embedding_model.as_str();
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
