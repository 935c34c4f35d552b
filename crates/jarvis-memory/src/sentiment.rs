//! How a member sounded, from the words alone: a lexicon of phrases in French and English, with negation and
//! intensifiers. The voice is never judged.

use crate::extract::pattern::{Rule, rules};
use crate::extract::token::{Token, sentences, tokenize};
use crate::extract::{Speaker, Turn};
use jarvis_core::Sentiment;
use std::ops::Range;
use std::sync::LazyLock;

static PHRASES: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("extract/rules/sentiment.rules")));

const STRONGER: &[&str] = &[
    "tres",
    "vraiment",
    "trop",
    "super",
    "hyper",
    "tellement",
    "beaucoup",
    "extremement",
    "really",
    "very",
    "so",
    "totally",
    "absolutely",
    "vachement",
    "franchement",
];
const WEAKER: &[&str] = &["peu", "assez", "plutot", "slightly", "bit", "kinda", "somewhat"];
const DENYING: &[&str] = &[
    "pas", "plus", "jamais", "not", "never", "no", "aucun", "aucune", "don", "isn", "doesn", "didn", "wasn",
    "sans",
];
/// An intensifier's share; ours, chosen on the dev set.
const BOOST: f64 = 1.5;
/// A weakener's share; ours.
const DAMP: f64 = 0.6;
/// A denied phrase turns round, weaker than said directly; ours.
const TURN: f64 = -0.7;
/// From this weight on, a side of the scale is really there; ours.
const NOTICED: f64 = 1.0;

/// The sentiment of what the member said, and its strength from -1 (unhappy) to 1 (content).
///
/// The strength is `(p - n) / (p + n + 1)` with the summed weights of content and unhappy phrases; `Mixed` when both
/// are there and neither is twice the other. Assistant turns do not count.
pub fn sentiment(turns: &[Turn]) -> (Sentiment, f64) {
    let (mut content, mut unhappy) = (0.0, 0.0);
    for turn in turns.iter().filter(|t| t.speaker == Speaker::Member) {
        let (p, n) = weigh(&turn.text);
        content += p;
        unhappy += n;
    }
    let strength: f64 = (content - unhappy) / (content + unhappy + 1.0);
    let both = content >= NOTICED && unhappy >= NOTICED;
    let label = if both && content < 2.0 * unhappy && unhappy < 2.0 * content {
        Sentiment::Mixed
    } else if content >= NOTICED && content > unhappy {
        Sentiment::Positive
    } else if unhappy >= NOTICED && unhappy > content {
        Sentiment::Negative
    } else {
        Sentiment::Neutral
    };
    (label, (strength * 100.0).round() / 100.0)
}

/// The summed weights of content and of unhappy phrases; a question weighs nothing.
fn weigh(text: &str) -> (f64, f64) {
    let tokens = tokenize(text);
    let (mut content, mut unhappy) = (0.0, 0.0);
    for sentence in sentences(text, &tokens).iter().filter(|s| !s.question) {
        let range = sentence.tokens.clone();
        let mut at = range.start;
        while at < range.end {
            let Some((weight, used)) = phrase(&tokens, &range, at) else {
                at += 1;
                continue;
            };
            if weight > 0.0 {
                content += weight;
            } else {
                unhappy -= weight;
            }
            at += used;
        }
    }
    (content, unhappy)
}

/// The strongest phrase that starts at `at`, with what stands before it.
fn phrase(tokens: &[Token], sentence: &Range<usize>, at: usize) -> Option<(f64, usize)> {
    let hits = PHRASES.iter().filter_map(|rule| {
        let hit = rule.match_at(tokens, sentence, at)?;
        let weight: f64 = rule.get("w")?.parse().ok()?;
        Some((weight, hit.tokens.len(), rule.get("keep").is_some()))
    });
    let (weight, used, keep) = hits.max_by(|a, b| {
        (a.1, a.0.abs())
            .partial_cmp(&(b.1, b.0.abs()))
            .unwrap_or(std::cmp::Ordering::Equal)
    })?;
    let before = &tokens[at.saturating_sub(3).max(sentence.start)..at];
    let has = |list: &[&str]| before.iter().any(|t| list.contains(&t.text.as_str()));
    let after = tokens
        .get(at + used)
        .filter(|_| at + used < sentence.end)
        .map_or("", |t| t.text.as_str());
    let denied = !keep && (has(DENYING) || matches!(after, "pas" | "plus"));
    let strength = if has(STRONGER) {
        BOOST
    } else if has(WEAKER) {
        DAMP
    } else {
        1.0
    };
    Some((weight * strength * if denied { TURN } else { 1.0 }, used))
}
