//! Sessions as kiosks and operators use them: open, record, close, read, process again.

mod close;
mod intake;
mod open;
mod read;
mod record;

pub use close::{Closed, close, end_revoked, reprocess};
pub use intake::Intake;
pub use open::{DISCLOSURE_VERSION, OpenSession, Opened, open};
pub use read::{SessionDetail, get};
pub use record::{
    AcceptedEvent, MAX_EVENTS, MAX_JSON_BYTES, MAX_NAME_CHARS, Recorded, RejectedEvent, Submitted, record,
};

use crate::MemoryError;
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_core::{Actor, ErrorCode, GymId, KioskId, Scope, SessionId};
use jarvis_db::ScopedTx;
use jarvis_db::queries::session::{self, Session};

/// Events may still arrive this long after the end of a session.
pub const LATE_EVENTS: TimeDelta = TimeDelta::minutes(10);

/// A kiosk that proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KioskIdentity {
    /// The kiosk.
    pub kiosk: KioskId,
    /// Its gym.
    pub gym: GymId,
}

impl KioskIdentity {
    /// What the kiosk may see: its gym, through the server.
    pub fn scope(&self) -> Scope {
        Scope::gym(self.gym, Actor::Kiosk(self.kiosk))
    }
}

/// The kiosk's own session; another kiosk's does not exist for it.
async fn own_session(
    tx: &mut ScopedTx,
    kiosk: &KioskIdentity,
    id: &SessionId,
) -> Result<Session, MemoryError> {
    session::find_for_update(tx, kiosk.gym, id)
        .await?
        .filter(|s| s.kiosk_id == Some(kiosk.kiosk))
        .ok_or_else(|| MemoryError::refused(ErrorCode::SessionNotFound))
}

/// Whether the session ended too long ago to take events.
fn is_sealed(ended_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    ended_at.is_some_and(|ended| now > ended + LATE_EVENTS)
}
