//! What providers counted goes into the ledger.

use crate::{MemoryError, Spent};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, SessionId};
use jarvis_db::ScopedTx;
use jarvis_db::queries::usage::{self, NewUsage};

/// Adds what a call cost. The transaction must be the server's.
pub(crate) async fn record(
    tx: &mut ScopedTx,
    gym: GymId,
    session: Option<&SessionId>,
    spent: &Spent,
    now: DateTime<Utc>,
) -> Result<(), MemoryError> {
    let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let input_tokens = tokens(spent.usage.input_tokens);
    let row = NewUsage {
        session,
        provider: &spent.provider,
        model: &spent.model,
        input_tokens,
        // A provider that counts more cached tokens than it read is not believed about them.
        cached_input_tokens: tokens(spent.usage.cached_input_tokens).min(input_tokens),
        output_tokens: tokens(spent.usage.output_tokens),
        at: now,
    };
    Ok(usage::insert(tx, gym, &row).await?)
}
