//! What people do with facts: state, correct, confirm, retire, merge and forget them; and how facts end by themselves.

mod forget;
pub mod read;
mod tend;
mod words;

pub use forget::{Forgotten, forget};
pub use tend::{GRACE_DAYS, Tended, run, tend};
pub use words::FORGOTTEN_MASK;
pub(crate) use words::by_quotation;

use crate::extract::is_plain;
use crate::quarantine::value_steers;
use crate::{Memory, MemoryError};
use jarvis_core::{Category, ErrorCode, Fact, FactId, GymId, MemberId, Scope};
use jarvis_db::queries::audit;
use jarvis_db::queries::fact::person::{self, OwnedFact};
use jarvis_db::queries::fact::{self, proposal};
use jarvis_db::queries::member;
use serde_json::Value;
use uuid::Uuid;

/// The longest key that a person may give, in characters.
pub const MAX_KEY_CHARS: usize = 64;
/// The largest value that a person may give, in bytes of JSON.
pub const MAX_VALUE_BYTES: usize = 4_096;

/// What a person states of a member.
#[derive(Debug, Clone)]
pub struct StateFact {
    /// The category.
    pub category: Category,
    /// Its key, snake case.
    pub fact_key: String,
    /// Its value, a JSON object.
    pub fact_value: Value,
    /// How sure, 0 to 1.
    pub confidence: f64,
}

/// Stores what a person states; a fact of the same key is corrected. `scope` is the person's own, or the operator's.
///
/// # Errors
/// A value that is no fact, a member whom the scope does not see, or a consent that is missing.
pub async fn state(
    memory: &Memory,
    scope: &Scope,
    member: MemberId,
    new: &StateFact,
) -> Result<OwnedFact, MemoryError> {
    check_key(&new.fact_key)?;
    check_value(&new.fact_value, new.confidence)?;
    let mut tx = memory.db.begin(scope).await?;
    let found = member::find(&mut tx, member).await?;
    let found = found.ok_or_else(|| MemoryError::refused(ErrorCode::MemberNotFound))?;
    let statement = person::Statement {
        id: FactId::new(memory.clock.now()),
        member,
        category: new.category,
        fact_key: &new.fact_key,
        fact_value: &new.fact_value,
        confidence: new.confidence,
    };
    let id = person::state(&mut tx, found.gym_id, &statement).await?;
    let stored = person::find(&mut tx, id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    Ok(stored)
}

/// What to change of a fact.
#[derive(Debug, Clone)]
pub enum Change {
    /// Another value, and how sure.
    Correct(Value, f64),
    /// Still true, or true again.
    Confirm,
    /// No longer true; its history stays.
    Retire,
}

/// Changes a fact as a person says. `scope` is the person's own, or the operator's.
///
/// # Errors
/// A fact that the scope does not see, a value that is no fact, or a consent that is missing.
pub async fn change(
    memory: &Memory,
    scope: &Scope,
    id: FactId,
    change: &Change,
) -> Result<OwnedFact, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let found = person::find(&mut tx, id).await?.ok_or_else(not_found)?;
    let gym = found.gym_id;
    match change {
        Change::Correct(value, confidence) => {
            check_value(value, *confidence)?;
            person::correct(&mut tx, gym, id, value, *confidence).await?;
        }
        Change::Confirm => {
            person::confirm(&mut tx, gym, id).await?;
        }
        Change::Retire => {
            fact::retire(&mut tx, gym, id, None).await?;
        }
    }
    let stored = person::find(&mut tx, id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    Ok(stored)
}

/// What a person decides of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The two are one: the named one stays, or the better proven one.
    Accept {
        /// The fact that stays.
        keep: Option<FactId>,
    },
    /// The two are two, and are not proposed again.
    Reject,
}

/// Decides a proposal: merging confirms the fact that stays and retires the other, whose history remains. `scope` must
/// be the server's for `gym`, on behalf of the person who decides.
///
/// # Errors
/// No such proposal in this gym, decided before, one of the facts is gone or has ended, or `keep` is neither of them.
pub async fn decide(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    id: Uuid,
    decision: Decision,
) -> Result<proposal::Proposal, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(scope).await?;
    let found = proposal::find(&mut tx, gym, id).await?.ok_or_else(not_found)?;
    if found.state != "pending" {
        return Err(MemoryError::refused(ErrorCode::ProposalDecided));
    }
    if let Decision::Accept { keep } = decision {
        let [first, other] = &found.facts[..] else {
            return Err(not_found());
        };
        if !first.fact.is_active || !other.fact.is_active {
            return Err(MemoryError::refused(ErrorCode::ProposalStale));
        }
        let (kept, gone) = match keep {
            Some(id) if id == first.fact.id => (&first.fact, &other.fact),
            Some(id) if id == other.fact.id => (&other.fact, &first.fact),
            Some(_) => {
                return Err(MemoryError::refused_because(
                    ErrorCode::InvalidRequest,
                    "keep: one of the two facts of the proposal",
                ));
            }
            None => better(&first.fact, &other.fact),
        };
        person::strengthen(&mut tx, gym, kept.id, gone.confidence).await?;
        fact::retire(&mut tx, gym, gone.id, None).await?;
    }
    let by = scope.actor().map(|actor| actor.to_string()).unwrap_or_default();
    audit::note_read(&mut tx, gym, found.member_id, audit::Read::Facts, None).await?;
    proposal::decide(&mut tx, gym, id, decision != Decision::Reject, &by, now).await?;
    let decided = proposal::find(&mut tx, gym, id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    Ok(decided)
}

/// The better proven of two facts, then the one that tells more, then the newer one.
fn better<'a>(first: &'a Fact, other: &'a Fact) -> (&'a Fact, &'a Fact) {
    let worth = |f: &Fact| {
        let depth = f.slot.as_deref().map_or(0, |slot| slot.split('.').count());
        (f.verified, depth, f.times_confirmed, f.updated_at)
    };
    if worth(first) >= worth(other) {
        (first, other)
    } else {
        (other, first)
    }
}

fn not_found() -> MemoryError {
    MemoryError::refused(ErrorCode::FactNotFound)
}

fn check_key(key: &str) -> Result<(), MemoryError> {
    let length = key.chars().count();
    let snake = key
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if snake && (1..=MAX_KEY_CHARS).contains(&length) {
        return Ok(());
    }
    Err(MemoryError::refused_because(
        ErrorCode::InvalidRequest,
        format!("fact_key: 1 to {MAX_KEY_CHARS} of a-z, 0-9 and _, such as knee_right_pain"),
    ))
}

fn check_value(value: &Value, confidence: f64) -> Result<(), MemoryError> {
    let refuse = |detail: &str| Err(MemoryError::refused_because(ErrorCode::FactValueInvalid, detail));
    if !value.is_object() {
        return refuse("fact_value: a JSON object");
    }
    if value.to_string().len() > MAX_VALUE_BYTES {
        return refuse("fact_value: at most 4096 bytes");
    }
    if !is_plain(value) || value_steers(value) {
        return refuse(
            "fact_value: texts of at most 200 characters, without links, markup or instructions; numbers up to 2^53",
        );
    }
    if (0.0..=1.0).contains(&confidence) {
        Ok(())
    } else {
        Err(MemoryError::refused_because(
            ErrorCode::InvalidRequest,
            "confidence: 0 to 1",
        ))
    }
}
