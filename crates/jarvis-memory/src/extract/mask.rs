//! Leaving health out of a text before it is stored, for members who have not agreed to `health_memory`.

use super::avoid::AVOID;
use super::injury::INJURY;
use super::lexicon::{self, Section};
use super::pattern::{Rule, rules};
use super::reading::Reading;
use super::recovery::RECOVERY;
use super::token::{Sentence, Token, sentences, tokenize};
use jarvis_core::Language;
use std::ops::Range;
use std::sync::LazyLock;

static HEALTH: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/health.rules")));
static TROUBLE: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/trouble.rules")));
static TRAINING: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/training.rules")));
static FOLLOW_UP: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/follow_up.rules")));

/// What stands where health was told.
pub const HEALTH_MASK: &str = "[santé]";

/// Parts of the body that people in a gym mention because of a trouble, unless they describe a movement.
const TELLING: &[&str] = &[
    "knee",
    "ankle",
    "wrist",
    "elbow",
    "hip",
    "neck",
    "lower_back",
    "upper_back",
    "groin",
    "achilles",
    "jaw",
    "tooth",
    "eye",
];
/// Movements named after such a part.
const MOVEMENTS: &[&str] = &[
    "leve", "leves", "lever", "monte", "montees", "montee", "plie", "plies", "flechis", "raise", "raises",
    "high",
];

/// A text without what it told about health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The text, each run of sentences about health replaced by [`HEALTH_MASK`].
    pub text: String,
    /// How many sentences were left out.
    pub spans: usize,
}

/// Replaces every sentence that tells health (pain, injury, surgery, pregnancy, medication, allergy, illness, a body
/// part in trouble) by [`HEALTH_MASK`], and in such a text also what goes on about it: exercises left out, since
/// when, advice to take care.
///
/// Meant for member turns, assistant turns and strings of tool calls alike: nobody's health passes. Recall comes
/// before precision, so a harmless sentence may be lost. Both languages are always looked for, because members
/// switch between them; `_language` is the member's and is there for languages that may need rules of their own.
pub fn mask_health(text: &str, _language: Language) -> Masked {
    let tokens = tokenize(text);
    let sentences = sentences(text, &tokens);
    let told: Vec<bool> = sentences.iter().map(|s| tells_health(&tokens, s)).collect();
    if !told.contains(&true) {
        return Masked {
            text: text.to_owned(),
            spans: 0,
        };
    }
    let masked: Vec<bool> = sentences
        .iter()
        .zip(&told)
        .map(|(s, told)| *told || goes_on(&tokens, s))
        .collect();
    replace(text, &tokens, &sentences, &masked)
}

/// Which sentences of a turn tell health, each judged once.
pub(super) struct Told<'r, 'a> {
    reading: &'r Reading<'a>,
    judged: Vec<Option<bool>>,
}

impl<'r, 'a> Told<'r, 'a> {
    /// Nothing judged yet.
    pub fn of(reading: &'r Reading<'a>) -> Self {
        Self {
            reading,
            judged: vec![None; reading.sentences.len()],
        }
    }

    /// Whether a quote tells health, alone and in the sentences it stands in: what masking would have left does not.
    pub fn tells(&mut self, quote: &Range<usize>) -> bool {
        let text = self.reading.text.get(quote.clone()).unwrap_or_default();
        let tokens = tokenize(text);
        sentences(text, &tokens).iter().any(|s| tells_health(&tokens, s)) && self.sentences_tell(quote)
    }

    fn sentences_tell(&mut self, quote: &Range<usize>) -> bool {
        let reading = self.reading;
        let first = reading
            .sentences
            .partition_point(|s| reading.span(&s.tokens).end <= quote.start);
        for (index, sentence) in reading.sentences.iter().enumerate().skip(first) {
            if reading.span(&sentence.tokens).start >= quote.end {
                break;
            }
            let judged = &mut self.judged[index];
            if *judged.get_or_insert_with(|| tells_health(&reading.tokens, sentence)) {
                return true;
            }
        }
        false
    }
}

fn replace(text: &str, tokens: &[Token], sentences: &[Sentence], masked: &[bool]) -> Masked {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (index, sentence) in sentences.iter().enumerate() {
        if !masked[index] {
            continue;
        }
        let (start, end) = (
            tokens[sentence.tokens.start].start,
            tokens[sentence.tokens.end - 1].end,
        );
        let goes_on = index > 0 && masked[index - 1];
        if !goes_on {
            out.push_str(text.get(from..start).unwrap_or_default());
            out.push_str(HEALTH_MASK);
        }
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Masked {
        text: out,
        spans: masked.iter().filter(|m| **m).count(),
    }
}

fn any(rules: &[Rule], tokens: &[Token], sentence: &Sentence) -> bool {
    rules
        .iter()
        .any(|rule| rule.find(tokens, &sentence.tokens).is_some())
}

fn tells_health(tokens: &[Token], sentence: &Sentence) -> bool {
    if is_mask(tokens, sentence) {
        return false;
    }
    let words = &tokens[sentence.tokens.clone()];
    let named = [
        Section::Condition,
        Section::Chronic,
        Section::Symptom,
        Section::Medicine,
    ];
    named
        .iter()
        .any(|section| lexicon::first_in(*section, words).is_some())
        || any(&HEALTH, tokens, sentence)
        || any(&INJURY, tokens, sentence)
        || any(&RECOVERY, tokens, sentence)
        || body_in_trouble(tokens, sentence)
}

/// What this module wrote itself.
fn is_mask(tokens: &[Token], sentence: &Sentence) -> bool {
    matches!(&tokens[sentence.tokens.clone()], [only] if only.text == "sante")
}

fn body_in_trouble(tokens: &[Token], sentence: &Sentence) -> bool {
    let trouble = any(&TROUBLE, tokens, sentence);
    let trained = any(&TRAINING, tokens, sentence);
    sentence.tokens.clone().any(|at| {
        let Some((part, used)) = lexicon::lookup(Section::Body, &tokens[at..sentence.tokens.end]) else {
            return false;
        };
        let around =
            at.saturating_sub(3).max(sentence.tokens.start)..(at + used + 2).min(sentence.tokens.end);
        let movement = tokens[around]
            .iter()
            .any(|t| MOVEMENTS.contains(&t.text.as_str()));
        let before = at.checked_sub(1).map_or("", |i| tokens[i].text.as_str());
        let adverb = tokens[at].text == "back"
            && !matches!(before, "my" | "your" | "the" | "bad" | "his" | "her" | "a");
        !adverb
            && (trouble
                || told_apart(before) && !trained && !movement
                || TELLING.contains(&part) && !movement)
    })
}

/// Before a part of the body: somebody's, or one side of two.
fn told_apart(before: &str) -> bool {
    let whose = [
        "mon", "ma", "mes", "ton", "ta", "tes", "votre", "vos", "my", "your", "le", "la", "l", "les", "au",
        "aux", "right", "left",
    ];
    whose.contains(&before)
}

fn goes_on(tokens: &[Token], sentence: &Sentence) -> bool {
    !is_mask(tokens, sentence) && (any(&AVOID, tokens, sentence) || any(&FOLLOW_UP, tokens, sentence))
}
