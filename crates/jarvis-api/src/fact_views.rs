//! Facts as people see and change them.

use crate::fields::{FieldError, Fields, FromFields, required};
use crate::views::FactView;
use crate::words::{CategoryWord, LifeWord};
use chrono::{DateTime, Utc};
use jarvis_core::{Category, Fact, FactId, Life};
use jarvis_db::queries::fact::HistoryLine;
use jarvis_db::queries::fact::past::PastFact;
use jarvis_db::queries::fact::person::OwnedFact;
use jarvis_db::queries::fact::proposal::Proposal;
use jarvis_db::queries::fact::review::ReviewItem;
use jarvis_memory::facts::{Decision, Forgotten, StateFact};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A fact, with where it stands in its life.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LivingFact)]
pub(crate) struct LivingFactView {
    /// The fact.
    fact: FactView,
    /// Where it stands: `stale` and `expired` ones should be asked about.
    #[schema(value_type = LifeWord)]
    life: Life,
    /// How sure one may be of it now, 0.05 to 0.99: what was said, how often it was confirmed, how long ago.
    certainty: f64,
    /// Since when this version is believed; only in a reading of the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_from: Option<DateTime<Utc>>,
    /// Until when it was; only in a reading of the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<DateTime<Utc>>,
    /// The value that replaced it; only in a reading of the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    superseded_by: Option<Value>,
}

impl LivingFactView {
    pub(crate) fn of(fact: Fact, now: DateTime<Utc>) -> Self {
        Self {
            life: fact.life(now),
            certainty: fact.certainty(now),
            fact: fact.into(),
            valid_from: None,
            valid_to: None,
            superseded_by: None,
        }
    }

    pub(crate) fn of_past(past: PastFact, then: DateTime<Utc>) -> Self {
        Self {
            valid_from: past.valid_from,
            valid_to: past.valid_to,
            superseded_by: past.superseded_by,
            ..Self::of(past.fact, then)
        }
    }
}

/// The facts of a member.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Facts)]
pub(crate) struct FactsView {
    /// Injuries first, then by category, the surest first.
    pub(crate) facts: Vec<LivingFactView>,
}

/// A fact with whom it is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OwnedFact)]
pub(crate) struct OwnedFactView {
    /// The gym.
    gym_id: Uuid,
    /// The member.
    member_id: Uuid,
    /// The fact.
    fact: FactView,
    /// Where it stands.
    #[schema(value_type = LifeWord)]
    life: Life,
    /// How sure one may be of it now, 0.05 to 0.99.
    certainty: f64,
}

impl OwnedFactView {
    pub(crate) fn of(owned: OwnedFact, now: DateTime<Utc>) -> Self {
        Self {
            gym_id: owned.gym_id.into(),
            member_id: owned.member_id.into(),
            life: owned.fact.life(now),
            certainty: owned.fact.certainty(now),
            fact: owned.fact.into(),
        }
    }
}

/// What a person states of a member.
#[derive(Debug, ToSchema)]
#[schema(as = StateFactInput)]
pub(crate) struct StateFactInput {
    /// The category.
    #[schema(value_type = CategoryWord)]
    category: Category,
    /// The key: 1 to 64 of a-z, 0-9 and _.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-z0-9_]+$",
        example = "knee_right_pain"
    )]
    fact_key: String,
    /// The value: an object of at most 4096 bytes, whose texts hold no links, markup or instructions.
    #[schema(value_type = Object)]
    fact_value: Value,
    /// How sure, 0 to 1; 1 when absent.
    #[schema(minimum = 0, maximum = 1)]
    confidence: Option<f64>,
}

impl FromFields for StateFactInput {
    const FIELDS: &'static [&'static str] = &["category", "fact_key", "fact_value", "confidence"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        Ok(Self {
            category: fields.word("category")?.ok_or_else(|| required("category"))?,
            fact_key: fields.required_text("fact_key")?,
            fact_value: fields.value("fact_value").ok_or_else(|| required("fact_value"))?,
            confidence: fields.number("confidence")?,
        })
    }
}

impl From<StateFactInput> for StateFact {
    fn from(input: StateFactInput) -> Self {
        Self {
            category: input.category,
            fact_key: input.fact_key,
            fact_value: input.fact_value,
            confidence: input.confidence.unwrap_or(1.0),
        }
    }
}

/// Another value for a fact.
#[derive(Debug, ToSchema)]
#[schema(as = CorrectFactInput)]
pub(crate) struct CorrectFactInput {
    /// The value: an object of at most 4096 bytes, whose texts hold no links, markup or instructions.
    #[schema(value_type = Object)]
    pub(crate) fact_value: Value,
    /// How sure, 0 to 1; 1 when absent.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) confidence: Option<f64>,
}

impl FromFields for CorrectFactInput {
    const FIELDS: &'static [&'static str] = &["fact_value", "confidence"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        Ok(Self {
            fact_value: fields.value("fact_value").ok_or_else(|| required("fact_value"))?,
            confidence: fields.number("confidence")?,
        })
    }
}

/// What was forgotten.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Forgotten)]
pub(crate) struct ForgottenView {
    /// The fact.
    fact_id: Uuid,
    /// Facts that are gone: it, and those that were read out of the same words.
    facts: usize,
    /// Turns of conversations that lost words.
    turns: usize,
    /// Conversations whose memory is made again without it.
    sessions: Vec<String>,
}

impl From<Forgotten> for ForgottenView {
    fn from(f: Forgotten) -> Self {
        Self {
            fact_id: f.fact_id.into(),
            facts: f.facts,
            turns: f.turns,
            sessions: f.sessions.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Every change of a member's facts.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FactHistory)]
pub(crate) struct FactHistoryView {
    /// Oldest first.
    pub(crate) changes: Vec<FactChangeView>,
}

/// One change of a fact.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FactChange)]
pub(crate) struct FactChangeView {
    /// The fact.
    fact_id: Uuid,
    /// `insert`, `update`, `confirm`, `retire`, `revive`, `refuse` or `delete`.
    operation: String,
    /// The category.
    category: String,
    /// The key; `forgotten` where a fact was forgotten.
    fact_key: String,
    /// The value before.
    #[schema(value_type = Option<Object>)]
    old_value: Option<Value>,
    /// The value after, or the one that was refused.
    #[schema(value_type = Option<Object>)]
    new_value: Option<Value>,
    /// The conversation that caused it.
    session_id: Option<String>,
    /// Who did it.
    actor: Option<String>,
    /// Why it was refused.
    refusal_code: Option<String>,
    /// When.
    recorded_at: DateTime<Utc>,
    /// Since when the version that it began is believed.
    valid_from: Option<DateTime<Utc>>,
    /// Until when it was.
    valid_to: Option<DateTime<Utc>>,
}

impl From<HistoryLine> for FactChangeView {
    fn from(line: HistoryLine) -> Self {
        let value = |row: Option<Value>| row.and_then(|mut row| row.get_mut("fact_value").map(Value::take));
        Self {
            fact_id: line.fact_id,
            operation: line.operation,
            category: line.category,
            fact_key: line.fact_key,
            old_value: value(line.old),
            new_value: value(line.new),
            session_id: line.session_id,
            actor: line.actor,
            refusal_code: line.refusal_code,
            recorded_at: line.recorded_at,
            valid_from: line.valid_from,
            valid_to: line.valid_to,
        }
    }
}

/// Facts that a person should look at.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FactReview)]
pub(crate) struct ReviewView {
    /// The oldest end first.
    pub(crate) items: Vec<ReviewItemView>,
}

/// A fact to look at.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FactReviewItem)]
pub(crate) struct ReviewItemView {
    /// `unknown_key`, `stale` or `expired`.
    why: String,
    /// The fact.
    owned: OwnedFactView,
}

impl ReviewItemView {
    pub(crate) fn of(item: ReviewItem, now: DateTime<Utc>) -> Self {
        Self {
            why: item.why,
            owned: OwnedFactView::of(item.owned, now),
        }
    }
}

/// Merges that are proposed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FactProposals)]
pub(crate) struct ProposalsView {
    /// Oldest first.
    pub(crate) proposals: Vec<ProposalView>,
}

/// Two facts that look like one.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FactProposal)]
pub(crate) struct ProposalView {
    /// Its id.
    id: Uuid,
    /// `same_slot`, `side_unknown`, `same_words` or `same_value`.
    reason: String,
    /// `pending`, `accepted` or `rejected`.
    state: String,
    /// Who decided.
    decided_by: Option<String>,
    /// When it was decided.
    decided_at: Option<DateTime<Utc>>,
    /// When it was proposed.
    created_at: DateTime<Utc>,
    /// The two facts.
    facts: Vec<OwnedFactView>,
}

impl ProposalView {
    pub(crate) fn of(proposal: Proposal, now: DateTime<Utc>) -> Self {
        Self {
            id: proposal.id,
            reason: proposal.reason,
            state: proposal.state,
            decided_by: proposal.decided_by,
            decided_at: proposal.decided_at,
            created_at: proposal.created_at,
            facts: proposal
                .facts
                .into_iter()
                .map(|f| OwnedFactView::of(f, now))
                .collect(),
        }
    }
}

/// What is decided of a proposal.
#[derive(Debug, ToSchema)]
#[schema(as = DecideProposalInput)]
pub(crate) struct DecideProposalInput {
    /// True merges the two facts: one is confirmed, the other retired. False leaves them apart for good.
    accept: bool,
    /// The fact that stays; the better proven one when absent.
    #[schema(value_type = Option<Uuid>)]
    keep: Option<FactId>,
}

impl FromFields for DecideProposalInput {
    const FIELDS: &'static [&'static str] = &["accept", "keep"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        let accept = match fields.value("accept") {
            Some(Value::Bool(accept)) => accept,
            Some(_) => return Err("accept: must be true or false".to_owned()),
            None => return Err(required("accept")),
        };
        let keep = match fields.text("keep")? {
            Some(id) => Some(id.parse().map_err(|_| "keep: must be a UUID".to_owned())?),
            None => None,
        };
        Ok(Self { accept, keep })
    }
}

impl From<DecideProposalInput> for Decision {
    fn from(input: DecideProposalInput) -> Self {
        if input.accept {
            Self::Accept { keep: input.keep }
        } else {
            Self::Reject
        }
    }
}
