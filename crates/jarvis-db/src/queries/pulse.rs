//! How much waits, over all gyms: for probes and metrics.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};

/// Sessions that are not over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnfinishedSessions {
    /// Somebody speaks, or the sweep has not yet seen that nobody does.
    pub open: i64,
    /// Ended; their memory is not made yet.
    pub closing: i64,
    /// The end of the one that waits longest for its memory.
    pub oldest_ended_at: Option<DateTime<Utc>>,
}

/// Counts the sessions in scope that are not over; by the index of unfinished sessions alone.
pub async fn unfinished_sessions(tx: &mut ScopedTx) -> Result<UnfinishedSessions, DbError> {
    let row = sqlx::query!(
        "select count(*) filter (where state = 'open') as \"open!\",
                count(*) filter (where state = 'closing') as \"closing!\",
                min(ended_at) filter (where state = 'closing') as oldest_ended_at
           from public.conversation_sessions where state in ('open', 'closing')"
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(UnfinishedSessions {
        open: row.open,
        closing: row.closing,
        oldest_ended_at: row.oldest_ended_at,
    })
}
