//! A session as shown: where it stands, and what became of it.

use crate::{Memory, MemoryError};
use jarvis_core::{ErrorCode, Fact, Scope, SessionId};
use jarvis_db::queries::event::{self, EventCounts};
use jarvis_db::queries::fact;
use jarvis_db::queries::session::{self, Session};
use jarvis_db::queries::summary::{self, Summary};

/// A session with its result.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SessionDetail {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// How many events it has.
    pub events: EventCounts,
    /// The facts it last wrote, as far as the caller may see them.
    pub facts: Vec<Fact>,
    /// Its summary.
    pub summary: Option<Summary>,
}

/// The session with this id, if `scope` sees it.
pub async fn get(memory: &Memory, scope: &Scope, id: &SessionId) -> Result<SessionDetail, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let session = session::find(&mut tx, id)
        .await?
        .ok_or_else(|| MemoryError::refused(ErrorCode::SessionNotFound))?;
    let events = event::count(&mut tx, session.gym_id, id).await?;
    let facts = fact::list_of_session(&mut tx, session.gym_id, id).await?;
    let summary = summary::find_of_session(&mut tx, session.gym_id, id).await?;
    Ok(SessionDetail {
        session,
        events,
        facts,
        summary,
    })
}
