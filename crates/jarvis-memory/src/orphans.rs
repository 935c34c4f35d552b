//! Sessions that nobody closed, and sessions whose processing was lost.

use crate::jobs::SweepOrphans;
use crate::{Memory, MemoryError, jobs};
use chrono::TimeDelta;
use jarvis_core::Scope;
use jarvis_db::queries::session;
use jarvis_jobs::JobError;

/// A session in which nothing happened for this long is closed by the server. A kiosk ends an idle voice session
/// after 45 s by itself, and no session may last longer than 10 minutes without a word.
pub const IDLE: TimeDelta = TimeDelta::minutes(15);
/// A session that waits for this long is enqueued again, in case its job was lost.
const WAITING: TimeDelta = TimeDelta::minutes(10);
/// Sessions per sweep; the next sweep takes the next ones.
const BATCH: i64 = 500;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that were closed.
    pub closed: usize,
    /// Waiting sessions that were enqueued again.
    pub enqueued: usize,
}

/// Runs the sweep as a job.
///
/// # Errors
/// Try again.
pub async fn run(memory: &Memory, _job: SweepOrphans) -> Result<(), JobError> {
    sweep(memory)
        .await
        .map(drop)
        .map_err(|error| JobError::retry(error.coded_chain()))
}

/// Closes orphans of all gyms and enqueues their processing, and that of sessions that wait without a job. A job
/// that waits already is not doubled.
pub async fn sweep(memory: &Memory) -> Result<Swept, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(&Scope::System).await?;
    let redated = session::redate_ahead(&mut tx).await?;
    if redated > 0 {
        tracing::warn!(
            redated,
            "open sessions were dated in the future: a clock had jumped"
        );
    }
    let closed = session::close_orphans(&mut tx, now - IDLE, now, BATCH).await?;
    for orphan in &closed {
        jobs::enqueue_processing(&mut tx, orphan.gym_id, &orphan.session_id, now).await?;
    }
    let waiting = session::list_waiting(&mut tx, now - WAITING, now, BATCH).await?;
    for orphan in &waiting {
        jobs::enqueue_processing(&mut tx, orphan.gym_id, &orphan.session_id, now).await?;
    }
    tx.commit().await?;
    Ok(Swept {
        closed: closed.len(),
        enqueued: waiting.len(),
    })
}
