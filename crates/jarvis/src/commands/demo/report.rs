//! What was said, what is remembered of it, and what the next session is told.

use super::play::{Client, Played};
use super::words::Words;
use crate::serving::Serving;
use anyhow::Context as _;
use jarvis_core::{Actor, EventType, Fact, Scope};
use jarvis_db::queries::summary::Summary;
use jarvis_db::queries::{event, member};
use jarvis_memory::sessions;
use serde::Serialize;
use serde_json::{Value, json};

/// The demo as one object. The first conversation stands at the top, all of them in `conversations`.
#[derive(Debug, Serialize)]
pub struct Report {
    pub session_ids: Vec<String>,
    pub session_id: String,
    pub state: &'static str,
    pub events: Vec<SpokenEvent>,
    pub facts: Vec<Fact>,
    pub summaries: Vec<Summary>,
    /// The context of the next session of the same member: what the assistant is given when the badge is read again.
    pub next_context: Value,
    /// What it is given in that session when the member says something: `words` and `context`.
    pub turn: Value,
    pub conversations: Vec<Remembered>,
}

/// One conversation and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Remembered {
    pub gym: String,
    pub badge_id: String,
    pub first_name: String,
    pub session_id: String,
    pub state: &'static str,
    pub state_reason: Option<String>,
    pub notes: Vec<String>,
    pub withheld_health_spans: i32,
    pub extractor: Option<String>,
    pub events: Vec<SpokenEvent>,
    pub facts: Vec<Fact>,
    pub summary: Option<Summary>,
}

/// A turn, as stored.
#[derive(Debug, Clone, Serialize)]
pub struct SpokenEvent {
    pub event_type: EventType,
    pub transcript: String,
}

/// Reads everything back, and reads the first member's badge once more.
pub async fn build(serving: &Serving, played: &[Played]) -> anyhow::Result<Report> {
    let mut conversations = Vec::new();
    for p in played {
        conversations.push(read(serving, p).await?);
    }
    let (first, story) = played
        .first()
        .zip(conversations.first().cloned())
        .context("nothing was played")?;
    let (next_context, turn) = next_session(serving, first, &story.badge_id).await?;
    Ok(Report {
        session_ids: conversations.iter().map(|c| c.session_id.clone()).collect(),
        session_id: story.session_id,
        state: story.state,
        events: story.events,
        facts: story.facts,
        summaries: story.summary.into_iter().collect(),
        next_context,
        turn,
        conversations,
    })
}

async fn read(serving: &Serving, played: &Played) -> anyhow::Result<Remembered> {
    let gym = played.kiosk.gym_id;
    let scope = Scope::gym(gym, Actor::Operator);
    let detail = sessions::get(&serving.memory, &scope, &played.session).await?;
    let mut tx = serving.memory.db.begin(&scope).await?;
    let turns = event::list_transcript(&mut tx, gym, &played.session).await?;
    let person = member::find(&mut tx, played.member)
        .await?
        .context("the member disappeared")?;
    Ok(Remembered {
        gym: played.gym_slug.clone(),
        badge_id: person.badge_id,
        first_name: person.first_name,
        session_id: played.session.to_string(),
        state: detail.session.state.as_str(),
        state_reason: detail.session.state_reason,
        notes: detail.session.notes,
        withheld_health_spans: detail.session.withheld_health_spans,
        extractor: detail.session.extractor,
        events: turns
            .into_iter()
            .map(|t| SpokenEvent {
                event_type: t.event_type,
                transcript: t.transcript,
            })
            .collect(),
        facts: detail.facts,
        summary: detail.summary,
    })
}

/// What the member says when they come again: in other words than the first time.
const SAID_NEXT_TIME: &str = "est-ce que je peux faire des fentes aujourd'hui ?";

/// Opens the next session with the badge, says something, keeps both contexts, and ends it.
async fn next_session(serving: &Serving, played: &Played, badge: &str) -> anyhow::Result<(Value, Value)> {
    let kiosk = super::seed::kiosk(&serving.memory.db, &played.gym_slug).await?;
    let client = Client::of(serving, &kiosk).await?;
    let mut opened = client.post("/sessions", &json!({"badge_id": badge})).await?;
    let id = opened["session_id"].as_str().context("no session id")?.to_owned();
    let path = format!("/sessions/{id}/context");
    let context = client.post(&path, &json!({"words": SAID_NEXT_TIME})).await?;
    client
        .post(&format!("/sessions/{id}/close"), &json!({"reason": "goodbye"}))
        .await?;
    let turn = json!({"words": SAID_NEXT_TIME, "context": context});
    Ok((opened["context"].take(), turn))
}

/// The report for people.
pub fn describe(report: &Report, words: &Words) -> String {
    let mut lines = Vec::new();
    for c in &report.conversations {
        lines.push(format!("\n{} ({}, {})", c.first_name, c.badge_id, c.gym));
        for turn in &c.events {
            let who = if turn.event_type == EventType::UserTranscript {
                c.first_name.as_str()
            } else {
                "JARVIS"
            };
            lines.push(format!("  {who}: {}", turn.transcript));
        }
        let why = c
            .state_reason
            .as_deref()
            .map(|r| format!(" ({r})"))
            .unwrap_or_default();
        let notes = if c.notes.is_empty() {
            String::new()
        } else {
            format!(", {}", c.notes.join(", "))
        };
        lines.push(format!("  → {}{why}{notes}", c.state));
        for fact in &c.facts {
            let quote = fact.source_quote.as_deref().unwrap_or_default();
            let what = format!("{}/{}", fact.category.as_str(), fact.fact_key);
            lines.push(format!("    {what} {:.2} « {quote} »", fact.confidence));
        }
        if let Some(summary) = &c.summary {
            lines.push(format!("    {}: {}", words.summary, summary.summary_text));
        }
    }
    let prompt = report.next_context["prompt"].as_str().unwrap_or_default();
    lines.push(format!("\n{}\n{prompt}", words.next_time));
    let prompt = report.turn["context"]["prompt"].as_str().unwrap_or_default();
    // The instruction is the same to the byte.
    let data = prompt.split_once('\n').map_or(prompt, |(_, data)| data);
    lines.push(format!("\n{} « {SAID_NEXT_TIME} »\n{data}", words.when_they_say));
    lines.join("\n")
}
