//! How one thing is told: no longer than it may be, and nothing that steers.

use super::{KnownFact, Who};
use crate::quarantine::{steers, value_steers};
use chrono::{DateTime, Utc};
use jarvis_core::{Fact, Language};
use jarvis_db::queries::member::Member;

/// Stated goals of the profile that are told, and the longest one, in characters.
const MAX_PROFILE_GOALS: usize = 5;
const MAX_PROFILE_GOAL_CHARS: usize = 80;
/// The longest first name that is told, in characters.
const MAX_NAME_CHARS: usize = 60;
/// The longest quote, turn or title that is told, in characters.
pub(super) const MAX_QUOTE_CHARS: usize = 200;
/// The longest summary, in characters; ours are shorter, other applications write longer ones.
pub(super) const MAX_SUMMARY_CHARS: usize = 400;

/// Whom the assistant talks with.
pub(super) fn who(member: &Member, language: Language) -> Who {
    Who {
        first_name: name(&member.first_name),
        language,
        communication_style: member.communication_style.clone(),
        feedback_style: member.feedback_style.clone(),
        fitness_level: member.fitness_level.clone(),
        primary_goals: member
            .primary_goals
            .iter()
            .filter(|goal| !steers(goal))
            .take(MAX_PROFILE_GOALS)
            .map(|g| shortened(g, MAX_PROFILE_GOAL_CHARS))
            .collect(),
        member_since: member.member_since,
        last_visit: member.last_visit.map(|v| member.day_of(v)),
    }
}

/// A fact, with how certain it is at `now`.
pub(super) fn tell(fact: &Fact, member: &Member, now: DateTime<Utc>) -> KnownFact {
    KnownFact {
        id: fact.id,
        category: fact.category,
        fact_key: fact.fact_key.clone(),
        fact_value: fact.fact_value.clone(),
        source_quote: fact
            .source_quote
            .as_deref()
            .map(|q| shortened(q, MAX_QUOTE_CHARS)),
        confidence: fact.certainty(now),
        said_on: member.day_of(fact.said_at()),
        ask: fact.may_be_asked(now),
    }
}

/// Written by another application, or before it was recognised: what steers is told to no model.
pub(super) fn fact_steers(fact: &Fact) -> bool {
    steers(&fact.fact_key)
        || value_steers(&fact.fact_value)
        || fact.source_quote.as_deref().is_some_and(steers)
}

/// A first name of usual length; none where it tries to steer.
fn name(first_name: &str) -> String {
    if steers(first_name) {
        return String::new();
    }
    shortened(first_name, MAX_NAME_CHARS)
}

/// At most `most` characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
