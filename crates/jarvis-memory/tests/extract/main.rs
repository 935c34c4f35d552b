//! The rules on labelled conversations, on the shared dev sets, and on arbitrary text.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(
    clippy::print_stdout,
    reason = "the figures reached are part of what a test tells"
)]

mod accuracy;
mod conversations;
mod injection;
mod labelled;
mod masking;
mod properties;
mod summaries;

use chrono::NaiveDate;
use jarvis_core::{FactDraft, Language};
use jarvis_memory::extract::{ExtractionInput, Speaker, Turn, extract};

/// A turn as typed.
fn turn(speaker: Speaker, text: &str) -> Turn {
    Turn {
        speaker,
        text: text.to_owned(),
        confidence: None,
        event_id: None,
    }
}

/// What the member says, turn by turn.
fn said(texts: &[&str]) -> Vec<Turn> {
    texts.iter().map(|text| turn(Speaker::Member, text)).collect()
}

/// The facts of a session on 18 March 2026.
fn facts(turns: &[Turn]) -> Vec<FactDraft> {
    let session_date = NaiveDate::from_ymd_opt(2026, 3, 18).unwrap();
    extract(&ExtractionInput {
        turns,
        language: Language::Fr,
        session_date,
    })
}
