//! How a member sounded, from the words alone: a lexicon of phrases in French and English, with negation and
//! intensifiers, and beside it a learned head where this machine has the embedding model. The voice is never judged.

use crate::extract::pattern::{Rule, rules};
use crate::extract::token::{Token, sentences, tokenize};
use crate::extract::{Speaker, Turn};
use crate::heads::{Judge, best};
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

/// What the lexicon's shares count beside the head's scores, which lie around -1 and 1. Ours: the best share by
/// cross-validation over the groups of `eval/utterances_train.json`, told by the example `train_heads`.
pub const WORDS_SHARE: f64 = 1.5;
/// So many sentences of a conversation are read by the head, some four seconds of computing; the rest by words alone.
const MOST_SENTENCES: usize = 120;
/// Both sides sum up to this margin at least where a conversation is mixed; ours, chosen on `extract_dev.json`.
const HEARD: f64 = 0.5;

/// As [`sentiment`], and each sentence is read by the judge's head too. Without a judge the lexicon decides alone.
/// Blocking with one.
///
/// A sentence sounds as the class of its highest score, head and lexicon added up; the margin over the second class is
/// what it adds to its side. A conversation sounds as its stronger side, if that weighs as much as what was said
/// without feeling.
pub fn read(turns: &[Turn], judge: Option<&Judge>) -> (Sentiment, f64) {
    let Some(judge) = judge else {
        return sentiment(turns);
    };
    let (mut sides, mut read) = ([0.0; 3], 0);
    for turn in turns.iter().filter(|t| t.speaker == Speaker::Member) {
        for text in pieces(&turn.text) {
            let head = (read < MOST_SENTENCES).then(|| judge.feelings(text)).flatten();
            read += 1;
            let (side, margin) = loudest(&fuse(head.unwrap_or_default(), by_words(text)));
            sides[side] += margin;
        }
    }
    let [content, neither, unhappy] = sides;
    let label = label_of(content, unhappy, HEARD);
    let label = if content.max(unhappy) < neither {
        Sentiment::Neutral
    } else {
        label
    };
    (label, strength(content, unhappy))
}

/// The sentences of a turn, as they were said.
fn pieces(text: &str) -> Vec<&str> {
    let tokens = tokenize(text);
    let ends: Vec<usize> = sentences(text, &tokens)
        .iter()
        .filter_map(|s| tokens.get(s.tokens.start).map(|t| t.start))
        .skip(1)
        .chain([text.len()])
        .collect();
    let starts = [0].into_iter().chain(ends.iter().copied());
    let pieces = starts.zip(&ends).filter_map(|(start, end)| text.get(start..*end));
    pieces.map(str::trim).filter(|p| !p.is_empty()).collect()
}

/// What the lexicon hears of content, neither and unhappy: `p`, 0 and `n` over `p + n + 1`. Where it knows no word it
/// adds nothing.
pub fn by_words(text: &str) -> [f64; 3] {
    let (p, n) = weigh(text);
    [p, 0.0, n].map(|side| side / (p + n + 1.0))
}

/// Head and lexicon added up.
fn fuse(head: [f64; 3], words: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|side| head[side] + WORDS_SHARE * words[side])
}

/// The class of the highest score, and its margin over the second.
fn loudest(scores: &[f64; 3]) -> (usize, f64) {
    let first = best(scores);
    let others = scores.iter().enumerate().filter(|(at, _)| *at != first);
    let second = others.map(|(_, s)| *s).fold(f64::NEG_INFINITY, f64::max);
    (first, scores[first] - second)
}

fn strength(content: f64, unhappy: f64) -> f64 {
    let strength: f64 = (content - unhappy) / (content + unhappy + 1.0);
    (strength * 100.0).round() / 100.0
}

/// Mixed when both sides are heard and neither is twice the other, else the stronger side, if there is one.
fn label_of(content: f64, unhappy: f64, heard: f64) -> Sentiment {
    let both = content >= heard && unhappy >= heard;
    if both && content < 2.0 * unhappy && unhappy < 2.0 * content {
        Sentiment::Mixed
    } else if content > unhappy {
        Sentiment::Positive
    } else if unhappy > content {
        Sentiment::Negative
    } else {
        Sentiment::Neutral
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_sentences_as_they_were_said() {
        assert_eq!(
            pieces(" Salut ! C'était super, merci. À demain"),
            ["Salut !", "C'était super, merci.", "À demain"]
        );
        assert_eq!(pieces("sans ponctuation du tout"), ["sans ponctuation du tout"]);
        assert_eq!(pieces("  "), Vec::<&str>::new());
    }

    #[test]
    fn a_conversation_is_mixed_when_both_sides_are_heard() {
        assert_eq!(label_of(1.0, 0.9, HEARD), Sentiment::Mixed);
        assert_eq!(label_of(1.0, 0.4, HEARD), Sentiment::Positive);
        assert_eq!(label_of(0.0, 0.1, HEARD), Sentiment::Negative);
        assert_eq!(label_of(0.0, 0.0, HEARD), Sentiment::Neutral);
    }
}
