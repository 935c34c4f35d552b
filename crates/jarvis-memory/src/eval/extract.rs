//! Precision and recall of extraction on a labelled set.

use super::set::{Conversation, Label};
use crate::extract::EXTRACTOR;
use crate::heads::{Judge, engine};
use crate::sentiment;
use chrono::NaiveDate;
use jarvis_core::{Category, FactDraft, Sentiment};
use serde::Serialize;
use std::collections::BTreeMap;

/// When a found fact counts as right.
pub const DEFINITION: &str = "A found fact is right when a labelled fact of the same conversation and category has a \
    pattern that occurs (in any case, with or without accents) in fact_key + fact_value + quote; each found fact \
    counts for one labelled fact at most, and each labelled fact for one found fact. precision = right / found, \
    recall = right / labelled, f1 = their harmonic mean. What a statement ends (a retired fact) is no found fact. \
    accuracy is that of the sentiment of whole conversations. Facts from the assistant's words are those whose quote \
    stands in no turn of the member, and those found when the same words are all said by the assistant.";

/// The figures of a set.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What extracted, by name.
    pub extractor: &'static str,
    /// [`DEFINITION`].
    pub definition: &'static str,
    /// How many conversations were read.
    pub conversations: usize,
    /// Of all categories together.
    #[serde(flatten)]
    pub total: Score,
    /// Found facts whose quote stands in no turn of the member, and facts found when the assistant says all that was said; must
    /// be 0.
    pub facts_from_assistant: usize,
    /// Category by category.
    pub categories: BTreeMap<&'static str, Score>,
    /// How the members sounded; absent where nothing is labelled.
    #[serde(flatten)]
    pub sentiment: Option<Feelings>,
    /// Labelled facts that were not found.
    pub misses: Vec<Miss>,
    /// Found facts that are not labelled.
    pub false_positives: Vec<Extra>,
}

/// Counts and what follows from them. Where there is nothing to divide by, a share is 1.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Score {
    /// Labelled facts.
    pub labelled: usize,
    /// Found facts.
    pub found: usize,
    /// Found facts that are labelled.
    pub right: usize,
    /// right / found.
    pub precision: f64,
    /// right / labelled.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// Sentiment of whole conversations.
#[derive(Debug, Clone, Serialize)]
pub struct Feelings {
    /// What told it: heads and rules, or rules where no model is there.
    pub engine: &'static str,
    /// The share of conversations with the labelled sentiment.
    pub accuracy: f64,
    /// How many have a label.
    pub sentiments: usize,
    /// Those told wrongly.
    pub sentiment_misses: Vec<FeelingMiss>,
}

/// A labelled fact that was not found.
#[derive(Debug, Clone, Serialize)]
pub struct Miss {
    /// The conversation.
    pub id: String,
    /// Of the label.
    pub category: Category,
    /// The pattern of the label.
    pub matches: String,
}

/// A found fact that is not labelled.
#[derive(Debug, Clone, Serialize)]
pub struct Extra {
    /// The conversation.
    pub id: String,
    /// As found.
    pub category: Category,
    /// As found.
    pub fact_key: String,
    /// The evidence.
    pub quote: String,
}

/// A conversation whose sentiment was told wrongly.
#[derive(Debug, Clone, Serialize)]
pub struct FeelingMiss {
    /// The conversation.
    pub id: String,
    /// Its label.
    pub labelled: Sentiment,
    /// What was told.
    pub found: Sentiment,
}

/// Extracts from every conversation and compares with its labels; relative dates resolve at `today` where a
/// conversation has no day of its own.
pub fn measure(conversations: &[Conversation], today: NaiveDate) -> Report {
    measure_with(conversations, today, None)
}

/// As [`measure`], and the sentiment is read with the judge's heads. Blocking with one.
pub fn measure_with(conversations: &[Conversation], today: NaiveDate, judge: Option<&Judge>) -> Report {
    let mut report = Report {
        extractor: EXTRACTOR,
        definition: DEFINITION,
        conversations: conversations.len(),
        total: Score::default(),
        facts_from_assistant: 0,
        categories: Category::ALL.map(|c| (c.as_str(), Score::default())).into(),
        sentiment: feelings(conversations, judge),
        misses: Vec::new(),
        false_positives: Vec::new(),
    };
    for conversation in conversations {
        let mut facts = conversation.extract(today);
        report.facts_from_assistant += conversation.facts_from_assistant(&facts, today);
        facts.retain(|fact| fact.still_true);
        report.add(conversation, &facts);
    }
    report.total.divide();
    report.categories.values_mut().for_each(Score::divide);
    report
}

impl Report {
    fn add(&mut self, conversation: &Conversation, facts: &[FactDraft]) {
        let partners = pairs(&conversation.labels, facts);
        let id = || conversation.id.clone();
        for (label, partner) in conversation.labels.iter().zip(&partners) {
            self.count(label.category, |score| {
                score.labelled += 1;
                score.right += usize::from(partner.is_some());
            });
            if partner.is_none() {
                self.misses.push(Miss {
                    id: id(),
                    category: label.category,
                    matches: label.matches.clone(),
                });
            }
        }
        for (index, fact) in facts.iter().enumerate() {
            self.count(fact.category, |score| score.found += 1);
            if !partners.contains(&Some(index)) {
                self.false_positives.push(Extra {
                    id: id(),
                    category: fact.category,
                    fact_key: fact.fact_key.clone(),
                    quote: fact.source_quote.clone(),
                });
            }
        }
    }

    fn count(&mut self, category: Category, add: impl Fn(&mut Score)) {
        add(&mut self.total);
        add(self.categories.entry(category.as_str()).or_default());
    }
}

impl Score {
    fn divide(&mut self) {
        self.precision = share(self.right, self.found);
        self.recall = share(self.right, self.labelled);
        let sum = self.precision + self.recall;
        self.f1 = if sum > 0.0 {
            2.0 * self.precision * self.recall / sum
        } else {
            0.0
        };
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a labelled set are far below 2^52"
)]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

/// For every label the fact it is paired with: as many pairs as possible, by augmenting paths, so that the order of
/// labels does not matter.
fn pairs(labels: &[Label], facts: &[FactDraft]) -> Vec<Option<usize>> {
    let fits: Vec<Vec<bool>> = labels
        .iter()
        .map(|label| facts.iter().map(|fact| label.fits(fact)).collect())
        .collect();
    let mut label_of: Vec<Option<usize>> = vec![None; facts.len()];
    for label in 0..labels.len() {
        augment(label, &fits, &mut label_of, &mut vec![false; facts.len()]);
    }
    let fact_of = |label: usize| label_of.iter().position(|l| *l == Some(label));
    (0..labels.len()).map(fact_of).collect()
}

fn augment(label: usize, fits: &[Vec<bool>], label_of: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for fact in 0..label_of.len() {
        if !fits[label][fact] || std::mem::replace(&mut tried[fact], true) {
            continue;
        }
        let free = label_of[fact].is_none_or(|other| augment(other, fits, label_of, tried));
        if free {
            label_of[fact] = Some(label);
            return true;
        }
    }
    false
}

fn feelings(conversations: &[Conversation], judge: Option<&Judge>) -> Option<Feelings> {
    let told = conversations.iter().filter_map(|c| {
        let labelled = c.sentiment?;
        let (found, _) = sentiment::read(&c.turns, judge);
        Some(FeelingMiss {
            id: c.id.clone(),
            labelled,
            found,
        })
    });
    let told: Vec<_> = told.collect();
    let sentiments = told.len();
    let misses: Vec<_> = told.into_iter().filter(|t| t.labelled != t.found).collect();
    (sentiments > 0).then(|| Feelings {
        engine: engine(judge),
        accuracy: share(sentiments - misses.len(), sentiments),
        sentiments,
        sentiment_misses: misses,
    })
}

#[cfg(test)]
mod tests {
    use super::super::set::read;
    use super::*;

    fn report(transcript: &str, facts: &str) -> Report {
        let json = format!(
            r#"[{{"id": "a", "transcript": "{transcript}", "facts": [{facts}], "sentiment": "negative"}}]"#
        );
        let today = NaiveDate::from_ymd_opt(2026, 3, 18).unwrap();
        measure(&read(&json).unwrap(), today)
    }

    #[test]
    fn one_found_fact_counts_for_one_label_only() {
        let twice = r#"{"category": "injury", "matches": "genou"}, {"category": "injury", "matches": "mal"}"#;
        let report = report("Adhérent: J'ai mal au genou\\nJARVIS: Noté", twice);
        assert_eq!(
            (report.total.found, report.total.right, report.total.labelled),
            (1, 1, 2)
        );
        assert_eq!(report.misses.len(), 1);
        assert!((report.total.f1 - 2.0 / 3.0).abs() < 1e-9, "{}", report.total.f1);
    }

    #[test]
    fn labels_find_partners_whatever_their_order() {
        let labels =
            r#"{"category": "injury", "matches": "mal"}, {"category": "injury", "matches": "genou"}"#;
        let report = report("Member: J'ai mal au genou. J'ai mal au dos", labels);
        assert_eq!(report.total.right, 2, "{report:?}");
    }

    #[test]
    fn another_category_is_no_match_and_a_harmless_talk_is_perfect() {
        let wrong = report(
            "Member: J'ai mal au genou",
            r#"{"category": "goal", "matches": "genou"}"#,
        );
        assert_eq!(
            (wrong.total.right, wrong.misses.len(), wrong.false_positives.len()),
            (0, 1, 1)
        );
        assert!(wrong.total.precision.abs() < 1e-9 && wrong.total.f1.abs() < 1e-9);
        let harmless = report("Member: Bonjour", "");
        assert!((harmless.total.precision - 1.0).abs() < 1e-9);
        assert!(harmless.sentiment.unwrap().accuracy.abs() < 1e-9);
    }
}
