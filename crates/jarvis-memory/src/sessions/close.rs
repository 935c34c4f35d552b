//! A session ends, and is made into memory.

use super::{KioskIdentity, own_session};
use crate::{Memory, MemoryError, jobs};
use chrono::{DateTime, Utc};
use jarvis_core::{EndReason, ErrorCode, GymId, Scope, SessionId, SessionState};
use jarvis_db::ScopedTx;
use jarvis_db::queries::session;

/// What closing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Where the session stands now.
    pub state: SessionState,
    /// Somebody had closed it before; nothing changed.
    pub already_closed: bool,
}

/// Ends a session of this kiosk and enqueues its processing, in one transaction. Closing again changes nothing
/// and says so, so that a client whose answer was lost can simply repeat.
pub async fn close(
    memory: &Memory,
    kiosk: &KioskIdentity,
    id: &SessionId,
    reason: Option<EndReason>,
) -> Result<Closed, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(&kiosk.scope()).await?;
    let session = own_session(&mut tx, kiosk, id).await?;
    if session.state != SessionState::Open {
        return Ok(Closed {
            state: session.state,
            already_closed: true,
        });
    }
    session::close(&mut tx, kiosk.gym, id, reason.unwrap_or(EndReason::Client), now).await?;
    jobs::enqueue_processing(&mut tx, kiosk.gym, id, now).await?;
    tx.commit().await?;
    Ok(Closed {
        state: SessionState::Closing,
        already_closed: false,
    })
}

/// Ends whatever a kiosk left open, and enqueues the processing: another badge is read, or the kiosk is revoked.
pub(crate) async fn end_open(
    tx: &mut ScopedTx,
    kiosk: &KioskIdentity,
    reason: EndReason,
    now: DateTime<Utc>,
) -> Result<(), MemoryError> {
    for left in session::close_open_of_kiosk(tx, kiosk.gym, kiosk.kiosk, reason, now).await? {
        jobs::enqueue_processing(tx, kiosk.gym, &left, now).await?;
    }
    Ok(())
}

/// Ends the open sessions of a kiosk that was revoked. `scope` must be the server's for its gym.
pub async fn end_revoked(memory: &Memory, kiosk: &KioskIdentity, scope: &Scope) -> Result<(), MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    end_open(&mut tx, kiosk, EndReason::Operator, memory.clock.now()).await?;
    Ok(tx.commit().await?)
}

/// Processes an ended session again, whatever became of it. `scope` must be the server's for `gym`.
///
/// # Errors
/// [`ErrorCode::TranscriptGone`] when its words are past their time and what was made of them is not: reading nothing
/// would erase it.
pub async fn reprocess(
    memory: &Memory,
    gym: GymId,
    scope: &Scope,
    id: &SessionId,
) -> Result<Closed, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(scope).await?;
    let session = session::find_for_update(&mut tx, gym, id)
        .await?
        .ok_or_else(|| MemoryError::refused(ErrorCode::SessionNotFound))?;
    if session.state == SessionState::Open {
        return Err(MemoryError::refused(ErrorCode::SessionOpen));
    }
    let remains = session::remains(&mut tx, gym, id).await?;
    if remains.memory && !remains.words {
        return Err(MemoryError::refused(ErrorCode::TranscriptGone));
    }
    session::reprocess(&mut tx, gym, id).await?;
    jobs::enqueue_processing(&mut tx, gym, id, now).await?;
    tx.commit().await?;
    Ok(Closed {
        state: SessionState::Closing,
        already_closed: true,
    })
}
