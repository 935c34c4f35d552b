//! The evidence gate: nothing becomes a fact that the member did not say.

use super::{Speaker, Turn};
use crate::quarantine::value_steers;
use jarvis_core::FactDraft;
use jarvis_core::text::fold;
use serde_json::Value;

/// No text within a value is longer than this many characters.
const LONGEST_TEXT: usize = 200;
/// Folded beginnings of links, of markup and of orders to a model; none of them belongs into a value.
const FOREIGN: &[&str] = &[
    "http:",
    "https:",
    "www.",
    "javascript:",
    "<",
    ">",
    "```",
    "{{",
    "}}",
    "](",
    "ignore ",
    "oublie tes",
    "system prompt",
    "instructions",
    "consignes",
];

/// Whether the draft is backed by the cited member turn and its value is plain data.
///
/// The quote must be a folded exact span, at word boundaries, of a turn spoken by the member; the key `snake_case`
/// of at most 64 characters; the value an object without links, markup or instructions.
pub fn passes_evidence_gate(draft: &FactDraft, turns: &[Turn]) -> bool {
    let Some(turn) = turns.get(draft.turn).filter(|t| t.speaker == Speaker::Member) else {
        return false;
    };
    is_span(&fold(&draft.source_quote), &fold(&turn.text))
        && is_key(&draft.fact_key)
        && (0.0..=1.0).contains(&draft.confidence)
        && draft.fact_value.is_object()
        && is_plain(&draft.fact_value)
        && !value_steers(&draft.fact_value)
}

fn is_span(quote: &str, text: &str) -> bool {
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    quote.chars().any(char::is_alphanumeric)
        && text.match_indices(quote).any(|(at, _)| {
            let before = word(text[..at].chars().next_back()) && word(quote.chars().next());
            let after = word(text[at + quote.len()..].chars().next()) && word(quote.chars().next_back());
            !before && !after
        })
}

fn is_key(key: &str) -> bool {
    let fits = (1..=64).contains(&key.len());
    fits && key
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Whether a text is free of links, of markup and of orders to a model.
pub(crate) fn is_plain_text(text: &str) -> bool {
    let folded = fold(text);
    !FOREIGN.iter().any(|mark| folded.contains(mark))
}

/// Beyond this a number is not exact for everybody who reads it (2^53, RFC 8259 section 6), and PostgreSQL, which keeps every
/// digit, hands back some that no reader takes.
const LARGEST_NUMBER: f64 = 9_007_199_254_740_992.0;

/// Whether a value holds data alone: no long text, link, markup or order to a model, and no number without measure.
pub(crate) fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().count() <= LONGEST_TEXT && is_plain_text(text),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(fields) => fields.values().all(is_plain),
        Value::Number(number) => number.as_f64().is_some_and(|n| n.abs() <= LARGEST_NUMBER),
        Value::Null | Value::Bool(_) => true,
    }
}
