//! The figures of what was answered.

use super::{Asked, Corpus};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// What the figures mean.
pub const DEFINITION: &str = "R@k (r_at_k) of a question is the share of its right rows among the first k found; with one \
right row it is 1 or 0. r_at_k is the mean over the questions that have a right row. mrr is the mean of 1 / rank of the \
first right row, 0 beyond the first 50. any_at_k and all_at_k are the shares of questions with any, or all, of their right \
rows among the first k. session_any_hit_at_5 is the share of questions for which one of the five best conversations, each \
as good as its best turn, has a right turn. abstained is the share of questions without an answer at which recall says \
that nothing was noted; wrongly_abstained is the share of the others at which it does; abstention_precision is the share \
of questions without an answer among all at which it does. Within a member, a question without an answer is asked in the \
memory of every member.";

/// What recall answered to one question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Units, best first, at most [`DEPTH`].
    pub ranked: Vec<usize>,
    /// It said that nothing was noted.
    pub nothing_noted: bool,
}

/// The figures of some questions; see [`DEFINITION`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "named as the definition names them")]
pub struct Figures {
    pub questions: usize,
    pub r_at_1: f64,
    pub r_at_3: f64,
    pub r_at_5: f64,
    pub r_at_10: f64,
    pub r_at_20: f64,
    pub mrr: f64,
    pub any_at_5: f64,
    pub any_at_10: f64,
    pub all_at_10: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_any_hit_at_5: Option<f64>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Over all questions that have an answer.
    #[serde(flatten)]
    pub total: Figures,
    /// The same by group, such as `kind` → `lex`.
    pub by: BTreeMap<&'static str, BTreeMap<String, Figures>>,
    /// Of the questions without an answer, the share at which recall says that nothing was noted.
    pub abstained: Option<f64>,
    /// Of the others, the share at which it does.
    pub wrongly_abstained: f64,
    /// Of all at which it does, the share without an answer; none when it never does, or the set has no such question.
    pub abstention_precision: Option<f64>,
    /// Questions whose first right row is not among the first three.
    pub misses: Vec<String>,
}

/// A question and what recall said.
type Pair<'a> = (&'a Asked, &'a Answer);

/// The figures of a corpus, one answer per question.
pub fn measure(corpus: &Corpus, answers: &[Answer]) -> Measured {
    let pairs: Vec<Pair<'_>> = corpus.questions.iter().zip(answers).collect();
    let (scored, unanswerable): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(q, _)| !q.gold.is_empty());
    let mut groups: BTreeMap<&'static str, BTreeMap<String, Vec<Pair<'_>>>> = BTreeMap::new();
    for pair in &scored {
        for (name, value) in &pair.0.groups {
            let group = groups.entry(name).or_default().entry(value.clone()).or_default();
            group.push(*pair);
        }
    }
    let by = groups.into_iter().map(|(name, values)| {
        let figures = values
            .into_iter()
            .map(|(value, pairs)| (value, figures(corpus, &pairs)));
        (name, figures.collect())
    });
    let silent = |pairs: &[Pair<'_>]| mean(pairs.iter().map(|(_, a)| share(a.nothing_noted)));
    let silences = |pairs: &[Pair<'_>]| pairs.iter().filter(|(_, a)| a.nothing_noted).count();
    let (right, wrong) = (silences(&unanswerable), silences(&scored));
    let missed = |(q, a): &&Pair<'_>| a.ranked.iter().take(3).all(|unit| !q.gold.contains(unit));
    Measured {
        total: figures(corpus, &scored),
        by: by.collect(),
        abstained: (!unanswerable.is_empty()).then(|| silent(&unanswerable)),
        wrongly_abstained: silent(&scored),
        abstention_precision: (right + wrong > 0 && !unanswerable.is_empty())
            .then(|| ratio(right, right + wrong)),
        misses: scored
            .iter()
            .filter(missed)
            .map(|(q, _)| q.text.clone())
            .collect(),
    }
}

fn figures(corpus: &Corpus, pairs: &[Pair<'_>]) -> Figures {
    let found = |k: usize, (q, a): &Pair<'_>| {
        let hits = a
            .ranked
            .iter()
            .take(k)
            .filter(|unit| q.gold.contains(unit))
            .count();
        ratio(hits, q.gold.len())
    };
    let recall = |k| mean(pairs.iter().map(|pair| found(k, pair)));
    let any = |k| mean(pairs.iter().map(|pair| share(found(k, pair) > 0.0)));
    let first = |(q, a): &Pair<'_>| {
        let rank = a.ranked.iter().position(|unit| q.gold.contains(unit));
        rank.map_or(0.0, |rank| ratio(1, rank + 1))
    };
    Figures {
        questions: pairs.len(),
        r_at_1: recall(1),
        r_at_3: recall(3),
        r_at_5: recall(5),
        r_at_10: recall(10),
        r_at_20: recall(20),
        mrr: mean(pairs.iter().map(first)),
        any_at_5: any(5),
        any_at_10: any(10),
        all_at_10: mean(pairs.iter().map(|pair| share(found(10, pair) >= 1.0))),
        session_any_hit_at_5: corpus
            .turns
            .then(|| mean(pairs.iter().map(|pair| share(session_hit(corpus, pair))))),
    }
}

fn session_hit(corpus: &Corpus, (q, a): &Pair<'_>) -> bool {
    let session = |unit: &usize| corpus.units.get(*unit).map(|u| (&u.owner, &u.session));
    let right: HashSet<_> = q.gold.iter().filter_map(session).collect();
    let mut best = Vec::new();
    for session in a.ranked.iter().filter_map(session) {
        if !best.contains(&session) {
            best.push(session);
        }
        if best.len() == 5 {
            break;
        }
    }
    best.iter().any(|session| right.contains(session))
}

fn share(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a set, far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    ratio(1, count) * values.sum::<f64>()
}
