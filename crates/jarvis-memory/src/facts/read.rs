//! Reading facts for somebody. Each read is entered in the audit in the transaction that reads, so that nobody is shown a
//! fact whose reading is not on record.

use super::not_found;
use crate::{Memory, MemoryError};
use chrono::{DateTime, Utc};
use jarvis_core::{Fact, FactId, GymId, MemberId, Scope};
use jarvis_db::ScopedTx;
use jarvis_db::queries::audit::{self, Read};
use jarvis_db::queries::fact::past::{self, PastFact};
use jarvis_db::queries::fact::person::{self, OwnedFact};
use jarvis_db::queries::fact::proposal::{self, Proposal};
use jarvis_db::queries::fact::review::{self, ReviewItem};
use jarvis_db::queries::fact::{self, FactFilter, HistoryLine};

/// The facts of a member that `scope` may see.
pub async fn list(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    member: MemberId,
    filter: FactFilter,
) -> Result<Vec<Fact>, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let facts = fact::list(&mut tx, gym, member, filter, memory.clock.now()).await?;
    enter(tx, gym, &[member], Read::Facts).await?;
    Ok(facts)
}

/// The facts of a member as they were known at `then`; `all` for those that had ended, too. The past is read by the server:
/// `scope` must be its own, on behalf of who asks.
pub async fn list_as_of(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    member: MemberId,
    then: DateTime<Utc>,
    all: bool,
) -> Result<Vec<PastFact>, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let facts = past::list_as_of(&mut tx, gym, member, then, all).await?;
    enter(tx, gym, &[member], Read::Facts).await?;
    Ok(facts)
}

/// Every change of a member's facts. `scope` must be the server's, on behalf of who asks.
pub async fn history(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    member: MemberId,
) -> Result<Vec<HistoryLine>, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let lines = fact::list_history(&mut tx, gym, member).await?;
    enter(tx, gym, &[member], Read::FactHistory).await?;
    Ok(lines)
}

/// One fact.
///
/// # Errors
/// [`jarvis_core::ErrorCode::FactNotFound`] when `scope` sees no such fact.
pub async fn get(memory: &Memory, scope: &Scope, id: FactId) -> Result<OwnedFact, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let found = person::find(&mut tx, id).await?.ok_or_else(not_found)?;
    enter(tx, found.gym_id, &[found.member_id], Read::Facts).await?;
    Ok(found)
}

/// What to look at in a gym, at most `limit` facts: keys that no slot knows, and facts that nobody said for long.
pub async fn review(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    limit: i64,
) -> Result<Vec<ReviewItem>, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let items = review::list(&mut tx, gym, memory.clock.now(), limit).await?;
    let members: Vec<_> = items.iter().map(|item| item.owned.member_id).collect();
    enter(tx, gym, &members, Read::Facts).await?;
    Ok(items)
}

/// Merges that wait for a decision, of a gym or of one of its members, at most `limit`. `scope` must be the server's, on
/// behalf of who asks.
pub async fn proposals(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    member: Option<MemberId>,
    limit: i64,
) -> Result<Vec<Proposal>, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let found = proposal::list_pending(&mut tx, gym, member, limit).await?;
    let members: Vec<_> = found.iter().map(|p| p.member_id).collect();
    enter(tx, gym, &members, Read::Facts).await?;
    Ok(found)
}

async fn enter(mut tx: ScopedTx, gym: GymId, members: &[MemberId], read: Read) -> Result<(), MemoryError> {
    audit::note_reads(&mut tx, gym, members, read).await?;
    tx.commit().await?;
    Ok(())
}
