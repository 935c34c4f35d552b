//! A fact on its way out: what a category's rules found in one turn.

use super::clause::Clause;
use super::pattern::Match;
use super::reading::Reading;
use chrono::NaiveDate;
use jarvis_core::{Category, FactDraft};
use serde_json::{Map, Value};
use std::ops::Range;

/// A hedged statement keeps this share of its confidence; ours, tuned on the dev set.
const HEDGED: f64 = 0.75;
/// Speech that was not recognised at all would keep this share; ours.
const UNHEARD: f64 = 0.5;
/// The confidence of a rule that does not say its own.
const USUAL: f64 = 0.85;
/// A quote is at most so many bytes, so that it stays one thought.
const LONGEST_QUOTE: usize = 240;

/// What the rules of every category get to see.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'r, 'a> {
    pub reading: &'r Reading<'a>,
    pub turn: usize,
    /// Confidence of the speech recognition, 0 to 1.
    pub heard: Option<f64>,
    pub today: NaiveDate,
}

/// One finding, before it becomes a draft.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub category: Category,
    pub key: String,
    pub value: Map<String, Value>,
    pub quote: Range<usize>,
    pub clause: usize,
    pub confidence: f64,
    pub health: bool,
    pub still_true: bool,
}

impl Scene<'_, '_> {
    /// Kind of statement × hedging × speech recognition, in hundredths.
    pub fn confidence(&self, base: Option<&str>, clause: &Clause) -> f64 {
        let base = base.and_then(|c| c.parse().ok()).unwrap_or(USUAL);
        let hedge = if self.reading.hedged(clause) { HEDGED } else { 1.0 };
        let heard = self
            .heard
            .map_or(1.0, |c| UNHEARD + (1.0 - UNHEARD) * c.clamp(0.0, 1.0));
        let confidence: f64 = base * hedge * heard;
        (confidence.clamp(0.05, 0.99) * 100.0).round() / 100.0
    }

    /// Whether a match is a statement by the member about the member.
    pub fn counts(&self, hit: &Match, clause: &Clause) -> bool {
        self.reading.is_own(hit, clause) && !self.reading.unasserted(hit)
    }

    /// The draft of a finding, with the words of the turn as its evidence.
    pub fn draft(&self, found: Found) -> FactDraft {
        let quote = self.reading.text.get(found.quote).unwrap_or_default();
        FactDraft {
            category: found.category,
            fact_key: found.key,
            fact_value: Value::Object(found.value),
            source_quote: quote.to_owned(),
            turn: self.turn,
            confidence: found.confidence,
            health: found.health,
            still_true: found.still_true,
        }
    }

    /// The span of clauses `first..=last`, cut back to the first one when it grows too long.
    pub fn quote(&self, first: usize, last: usize) -> Range<usize> {
        let clauses = &self.reading.clauses;
        let start = self
            .reading
            .span(&self.without_conjunction(&clauses[first].tokens));
        let whole = start.start..self.reading.span(&clauses[last].tokens).end.max(start.end);
        let span = if whole.len() <= LONGEST_QUOTE {
            whole
        } else {
            start
        };
        self.shortened(span)
    }

    /// A quote does not begin with "mais" or "et".
    fn without_conjunction(&self, tokens: &Range<usize>) -> Range<usize> {
        let idle = |i: usize| {
            matches!(
                self.reading.word(i),
                "mais" | "et" | "but" | "and" | "car" | "because" | "donc" | "so" | "puis"
            )
        };
        let start = if tokens.len() > 1 && idle(tokens.start) {
            tokens.start + 1
        } else {
            tokens.start
        };
        start..tokens.end
    }

    /// A very long clause (no punctuation at all) is cut at a word.
    fn shortened(&self, span: Range<usize>) -> Range<usize> {
        if span.len() <= LONGEST_QUOTE {
            return span;
        }
        let limit = span.start + LONGEST_QUOTE;
        let inside = self
            .reading
            .tokens
            .iter()
            .filter(|t| t.start >= span.start && t.end <= limit);
        inside
            .max_by_key(|t| t.end)
            .map_or(span.clone(), |t| span.start..t.end)
    }
}

/// Puts a text into a value.
pub(crate) fn put(value: &mut Map<String, Value>, key: &str, text: impl Into<String>) {
    value.insert(key.to_owned(), Value::String(text.into()));
}

/// Puts a number into a value, as an integer when it is one.
pub(crate) fn put_number(value: &mut Map<String, Value>, key: &str, number: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "numbers of speech are at most 100 000 and whole here"
    )]
    let json = if number.fract() == 0.0 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    };
    value.insert(key.to_owned(), json);
}
