//! What is purged is gone: a clock is believed only while the database's own shows the same day.

use crate::{Memory, MemoryError};
use chrono::TimeDelta;
use jarvis_core::Scope;
use jarvis_db::queries::invariant;

/// Clocks that are further apart are not both right. A day is what a wrong time zone cannot reach, and what no period
/// of retention notices.
pub const MOST_APART: TimeDelta = TimeDelta::days(1);

/// How far this program's clock is ahead of the database's (behind: less than zero), when that is more than
/// [`MOST_APART`]: then nothing may be purged.
///
/// Where both run on one machine they share its clock, and only its synchronisation helps.
///
/// # Errors
/// When the database cannot be asked.
pub async fn clocks_apart(memory: &Memory) -> Result<Option<TimeDelta>, MemoryError> {
    let mut tx = memory.db.begin(&Scope::System).await?;
    let theirs = invariant::clock(&mut tx).await?;
    tx.rollback().await?;
    let apart = memory.clock.now() - theirs;
    Ok((apart.abs() > MOST_APART).then_some(apart))
}

/// Whether a job may purge; says in the log why not. The next night asks again.
pub(crate) async fn may_purge(memory: &Memory) -> Result<bool, MemoryError> {
    let apart = clocks_apart(memory).await?;
    if let Some(apart) = apart {
        tracing::warn!(
            apart_hours = apart.num_hours(),
            "nothing is purged: the clocks of this machine and of the database differ by more than a day"
        );
    }
    Ok(apart.is_none())
}
