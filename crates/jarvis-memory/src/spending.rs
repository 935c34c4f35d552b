//! What providers counted goes into the ledger.

use crate::{Memory, MemoryError, Spent};
use jarvis_core::{Actor, GymId, Scope, SessionId};
use jarvis_db::queries::usage::{self, NewUsage};

/// Adds what a call cost, in a transaction of its own: it was spent whatever becomes of what it was spent for.
pub(crate) async fn record(
    memory: &Memory,
    gym: GymId,
    session: Option<&SessionId>,
    spent: &Spent,
    what_for: &'static str,
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
        at: memory.clock.now(),
    };
    let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Server)).await?;
    let pico_usd = usage::insert(&mut tx, gym, &row).await?;
    tx.commit().await?;
    if let Some(price) = pico_usd.and_then(|price| u64::try_from(price).ok()) {
        jarvis_observe::provider::note_price(what_for, price);
    }
    Ok(())
}
