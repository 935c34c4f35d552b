//! What the assistant is given.

use crate::words::{CategoryWord, LanguageWord};
use chrono::NaiveDate;
use jarvis_core::{Category, Language};
use jarvis_memory::context::{Context, KnownAlert, KnownConversation, KnownFact, KnownTurn, Who};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What the assistant is given, before the first word or for what the member says.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Context)]
pub(crate) struct ContextView {
    /// Who talks.
    pub(crate) member: WhoView,
    /// Facts, injuries first.
    pub(crate) facts: Vec<KnownFactView>,
    /// Past conversations, most relevant first.
    pub(crate) memories: Vec<KnownConversationView>,
    /// What the member said word for word, nearest to what they say now; empty before the first word.
    pub(crate) said: Vec<KnownTurnView>,
    /// Open alerts that may be mentioned, most pressing first.
    pub(crate) alerts: Vec<KnownAlertView>,
    /// Nothing is likely to answer what the member says: asked about the past, the assistant should say that nothing was
    /// noted about it. False before the first word.
    pub(crate) nothing_noted: bool,
    /// What is left out, and why: `no_memory_consent`, `no_health_memory_consent`; `by_words_alone`, when no embedding model
    /// answered in time; `out_of_time`, when not everything that was said could be looked at.
    pub(crate) notes: Vec<&'static str>,
    /// The block for the model: a stable instruction, then the above as JSON data in a fence.
    pub(crate) prompt: String,
}

/// The member, as the assistant knows them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ContextMember)]
pub(crate) struct WhoView {
    /// First name.
    first_name: String,
    /// Language of the conversation.
    #[schema(value_type = LanguageWord)]
    language: Language,
    /// Preferred tone.
    communication_style: Option<String>,
    /// Preferred kind of feedback.
    feedback_style: Option<String>,
    /// Fitness level.
    fitness_level: Option<String>,
    /// Goals of the profile.
    primary_goals: Vec<String>,
    /// Member since.
    member_since: NaiveDate,
    /// Day of the last presence.
    last_visit: Option<NaiveDate>,
}

/// A fact, as the assistant knows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ContextFact)]
pub(crate) struct KnownFactView {
    /// The category.
    #[schema(value_type = CategoryWord)]
    category: Category,
    /// The key.
    #[schema(example = "knee_right_pain")]
    fact_key: String,
    /// The value.
    #[schema(value_type = Object)]
    fact_value: Value,
    /// The member's own words.
    source_quote: Option<String>,
    /// How sure, 0 to 1.
    confidence: f64,
    /// The day it was last said.
    said_on: NaiveDate,
    /// It was not said for a while: the assistant may ask whether it is still true.
    ask: bool,
}

/// A past conversation, as the assistant knows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ContextConversation)]
pub(crate) struct KnownConversationView {
    /// The day.
    date: NaiveDate,
    /// Its summary.
    summary: String,
}

impl From<Context> for ContextView {
    fn from(c: Context) -> Self {
        Self {
            member: c.member.into(),
            facts: c.facts.into_iter().map(Into::into).collect(),
            memories: c.memories.into_iter().map(Into::into).collect(),
            said: c.said.into_iter().map(Into::into).collect(),
            alerts: c.alerts.into_iter().map(Into::into).collect(),
            nothing_noted: c.nothing_noted,
            notes: c.notes,
            prompt: c.prompt,
        }
    }
}

impl From<Who> for WhoView {
    fn from(w: Who) -> Self {
        Self {
            first_name: w.first_name,
            language: w.language,
            communication_style: w.communication_style,
            feedback_style: w.feedback_style,
            fitness_level: w.fitness_level,
            primary_goals: w.primary_goals,
            member_since: w.member_since,
            last_visit: w.last_visit,
        }
    }
}

impl From<KnownFact> for KnownFactView {
    fn from(f: KnownFact) -> Self {
        Self {
            category: f.category,
            fact_key: f.fact_key,
            fact_value: f.fact_value,
            source_quote: f.source_quote,
            confidence: f.confidence,
            said_on: f.said_on,
            ask: f.ask,
        }
    }
}

impl From<KnownConversation> for KnownConversationView {
    fn from(c: KnownConversation) -> Self {
        Self {
            date: c.date,
            summary: c.summary,
        }
    }
}

/// What the member once said, word for word.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ContextTurn)]
pub(crate) struct KnownTurnView {
    /// The day.
    date: NaiveDate,
    /// Their words.
    said: String,
}

impl From<KnownTurn> for KnownTurnView {
    fn from(t: KnownTurn) -> Self {
        Self {
            date: t.date,
            said: t.said,
        }
    }
}

/// An open alert that the member may hear of.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ContextAlert)]
pub(crate) struct KnownAlertView {
    /// What it is about.
    #[schema(example = "membership_expiring")]
    about: String,
    /// Its title.
    title: String,
    /// Since when.
    date: NaiveDate,
}

impl From<KnownAlert> for KnownAlertView {
    fn from(a: KnownAlert) -> Self {
        Self {
            about: a.about,
            title: a.title,
            date: a.date,
        }
    }
}
