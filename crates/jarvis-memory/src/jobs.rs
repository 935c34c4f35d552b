//! The jobs of memory.

use crate::MemoryError;
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, SessionId};
use jarvis_db::{DbError, ScopedTx};
use jarvis_jobs::{Backoff, Job, NewJob, enqueue};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// Makes the memory of one closed session. Safe to run any number of times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessSession {
    /// The gym.
    pub gym: GymId,
    /// The session.
    pub session: SessionId,
}

impl Job for ProcessSession {
    const KIND: &'static str = "memory.process_session";
    const MAX_ATTEMPTS: i16 = 12;
    const TIMEOUT: Duration = Duration::from_mins(2);

    fn unique_key(&self) -> Option<String> {
        Some(self.session.to_string())
    }

    fn gym_id(&self) -> Option<Uuid> {
        Some(self.gym.as_uuid())
    }
}

/// Embeds the memory of a gym with another model. Safe to run any number of times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reembed {
    /// The gym.
    pub gym: GymId,
    /// The model.
    pub model: String,
}

impl Job for Reembed {
    const KIND: &'static str = "memory.reembed";
    const MAX_ATTEMPTS: i16 = 12;
    // It makes room after less; one request to a provider that hangs is waited for.
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn unique_key(&self) -> Option<String> {
        Some("gym".to_owned())
    }

    fn gym_id(&self) -> Option<Uuid> {
        Some(self.gym.as_uuid())
    }
}

/// Stores the turns of conversations that were read before turns were stored, and embeds whatever has no vector. Safe to
/// run any number of times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backfill {
    /// The gym.
    pub gym: GymId,
}

impl Job for Backfill {
    const KIND: &'static str = "memory.backfill";
    const MAX_ATTEMPTS: i16 = 12;
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn unique_key(&self) -> Option<String> {
        Some("gym".to_owned())
    }

    fn gym_id(&self) -> Option<Uuid> {
        Some(self.gym.as_uuid())
    }
}

/// Closes the sessions that nobody closed, and finds those whose processing was lost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SweepOrphans {}

impl Job for SweepOrphans {
    const KIND: &'static str = "memory.orphan_sessions";
    // Kills of the program count as tries, and a sweep that was given up would look like work that was lost. The next
    // one waits behind this one, so it must not be put off for long either.
    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(5),
        cap: Duration::from_mins(1),
    };
    const TIMEOUT: Duration = Duration::from_mins(1);

    fn unique_key(&self) -> Option<String> {
        Some("all".to_owned())
    }
}

/// Lets facts end: asks were noted when sessions opened; this tells gyms of what expired, and purges what may go.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TendFacts {}

impl Job for TendFacts {
    const KIND: &'static str = "memory.tend_facts";
    const TIMEOUT: Duration = Duration::from_mins(10);

    fn unique_key(&self) -> Option<String> {
        Some("all".to_owned())
    }
}

/// Enqueues the processing of a session in the caller's transaction.
pub(crate) async fn enqueue_processing(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    now: DateTime<Utc>,
) -> Result<(), MemoryError> {
    let job = ProcessSession {
        gym,
        session: session.clone(),
    };
    let job = NewJob::of(&job).map_err(|_| MemoryError::Bug("a job's ids did not serialise"))?;
    enqueue(tx, &job, now).await.map_err(DbError::from)?;
    Ok(())
}
