//! Accuracy of sentiment and category on labelled utterances.

use crate::extract::{Speaker, Turn};
use crate::heads::{CATEGORIES, FEELINGS, Judge, engine};
use crate::{category, sentiment};
use jarvis_core::Sentiment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the figures mean.
pub const DEFINITION: &str = "accuracy = utterances told as labelled / labelled utterances; precision and recall of a \
    class as usual, 1 where there is nothing to divide by; macro_f1 = the mean of the classes' F1. An utterance without \
    the label that is asked for is left out.";

/// Which label is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// `label`: pos, neu, neg.
    Sentiment,
    /// `category`: goal, injury, preference, progress, concern, none.
    Category,
}

/// An utterance with its labels.
#[derive(Debug, Clone, Deserialize)]
pub struct Utterance {
    /// What was said.
    pub text: String,
    /// How it sounds, if labelled.
    #[serde(default)]
    pub label: Option<String>,
    /// What it is about, if labelled.
    #[serde(default)]
    pub category: Option<String>,
    /// Utterances of one group resemble each other: no split parts them.
    #[serde(default)]
    pub group: Option<String>,
}

/// What is wrong with a set.
#[derive(Debug, thiserror::Error)]
pub enum UtterancesError {
    /// It is no JSON of the documented shape.
    #[error("the set is no list of labelled utterances: {0}")]
    Shape(#[from] serde_json::Error),
    /// Nothing in it has the label that is measured.
    #[error("no utterance of the set has a `{0}`")]
    Unlabelled(&'static str),
    /// A label that is none of the classes.
    #[error("utterance {at}: `{found}` is none of {classes}")]
    Class {
        /// Its place in the set, from 1.
        at: usize,
        /// As written.
        found: String,
        /// The classes there are.
        classes: String,
    },
}

impl Task {
    /// The classes, in the order of the figures.
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Sentiment => &FEELINGS,
            Self::Category => &CATEGORIES,
        }
    }

    /// The field of the label.
    pub fn field(self) -> &'static str {
        match self {
            Self::Sentiment => "label",
            Self::Category => "category",
        }
    }

    /// The label of an utterance, if it has one.
    pub fn labelled(self, utterance: &Utterance) -> Option<&str> {
        match self {
            Self::Sentiment => utterance.label.as_deref(),
            Self::Category => utterance.category.as_deref(),
        }
    }

    /// What the product tells, by the code that reads conversations. Blocking with a judge.
    pub fn tell(self, text: &str, judge: Option<&Judge>) -> &'static str {
        match self {
            Self::Sentiment => {
                let turn = Turn {
                    speaker: Speaker::Member,
                    text: text.to_owned(),
                    confidence: None,
                    event_id: None,
                };
                match sentiment::read(&[turn], judge).0 {
                    Sentiment::Positive => "pos",
                    Sentiment::Negative => "neg",
                    Sentiment::Neutral | Sentiment::Mixed => "neu",
                }
            }
            Self::Category => CATEGORIES[category::place(category::category(text, judge))],
        }
    }
}

/// Reads a set: `[{"label" or "category", "text"}]`.
///
/// # Errors
/// [`UtterancesError`] tells what is wrong, and where.
pub fn read(json: &str, task: Task) -> Result<Vec<Utterance>, UtterancesError> {
    let utterances: Vec<Utterance> = serde_json::from_str(json)?;
    let mut any = false;
    for (index, utterance) in utterances.iter().enumerate() {
        let Some(label) = task.labelled(utterance) else {
            continue;
        };
        any = true;
        if !task.classes().contains(&label) {
            return Err(UtterancesError::Class {
                at: index + 1,
                found: label.to_owned(),
                classes: task.classes().join(", "),
            });
        }
    }
    if any {
        Ok(utterances)
    } else {
        Err(UtterancesError::Unlabelled(task.field()))
    }
}

/// The figures of a set.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Who told: `heads + rules`, or `rules` where no model is there.
    pub engine: &'static str,
    /// [`DEFINITION`].
    pub definition: &'static str,
    /// How many have the label.
    pub utterances: usize,
    /// The share told as labelled.
    pub accuracy: f64,
    /// The mean of the classes' F1.
    pub macro_f1: f64,
    /// Class by class.
    pub classes: BTreeMap<&'static str, Class>,
    /// How often each class (first) was told as each other one (second).
    pub confusion: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// Those told wrongly.
    pub misses: Vec<Miss>,
}

/// The figures of a class.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Class {
    /// How many have the label.
    pub labelled: usize,
    /// How many were told so.
    pub told: usize,
    /// Right ones among those told so.
    pub precision: f64,
    /// Right ones among those labelled.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// An utterance told wrongly.
#[derive(Debug, Clone, Serialize)]
pub struct Miss {
    /// What was said.
    pub text: String,
    /// Its label.
    pub labelled: String,
    /// What was told.
    pub told: &'static str,
}

/// Tells every labelled utterance and compares. Blocking with a judge: one pass through e5 for each.
pub fn measure(utterances: &[Utterance], task: Task, judge: Option<&Judge>) -> Report {
    let row = || task.classes().iter().map(|c| (*c, 0)).collect::<BTreeMap<_, _>>();
    let mut confusion: BTreeMap<_, _> = task.classes().iter().map(|c| (*c, row())).collect();
    let mut misses = Vec::new();
    let mut count = 0;
    for utterance in utterances {
        let Some(labelled) = task.labelled(utterance) else {
            continue;
        };
        let told = task.tell(&utterance.text, judge);
        count += 1;
        if let Some(cell) = confusion.get_mut(labelled).and_then(|row| row.get_mut(told)) {
            *cell += 1;
        }
        if labelled != told {
            misses.push(Miss {
                text: utterance.text.clone(),
                labelled: labelled.to_owned(),
                told,
            });
        }
    }
    let classes: BTreeMap<_, _> = task
        .classes()
        .iter()
        .map(|c| (*c, Class::of(c, &confusion)))
        .collect();
    Report {
        engine: engine(judge),
        definition: DEFINITION,
        utterances: count,
        accuracy: share(count - misses.len(), count),
        macro_f1: classes.values().map(|c| c.f1).sum::<f64>() / as_f64(classes.len()),
        classes,
        confusion,
        misses,
    }
}

impl Class {
    fn of(name: &str, confusion: &BTreeMap<&'static str, BTreeMap<&'static str, usize>>) -> Self {
        let right = confusion[name][name];
        let labelled = confusion[name].values().sum();
        let told = confusion.values().map(|row| row[name]).sum();
        let (precision, recall) = (share(right, told), share(right, labelled));
        let sum = precision + recall;
        let f1 = if sum > 0.0 {
            2.0 * precision * recall / sum
        } else {
            0.0
        };
        Self {
            labelled,
            told,
            precision,
            recall,
            f1,
        }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        as_f64(part) / as_f64(whole)
    }
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_worked_out_by_hand() {
        let json = r#"[{"label": "pos", "text": "C'est génial"}, {"label": "neg", "text": "C'est génial"},
            {"label": "neg", "text": "La douche est sale"}, {"category": "none", "text": "Bonjour"}]"#;
        let report = measure(&read(json, Task::Sentiment).unwrap(), Task::Sentiment, None);
        assert_eq!(
            (report.engine, report.utterances, report.misses.len()),
            ("rules", 3, 1)
        );
        assert!((report.accuracy - 2.0 / 3.0).abs() < 1e-9);
        let (pos, neg) = (report.classes["pos"], report.classes["neg"]);
        assert!((pos.precision - 0.5).abs() < 1e-9 && (pos.recall - 1.0).abs() < 1e-9);
        assert!((neg.precision - 1.0).abs() < 1e-9 && (neg.recall - 0.5).abs() < 1e-9);
        assert_eq!(report.confusion["neg"]["pos"], 1);
    }

    #[test]
    fn a_set_that_measures_nothing_is_refused() {
        let refused = |json: &str, task| read(json, task).unwrap_err().to_string();
        assert!(refused("[]", Task::Sentiment).contains("`label`"));
        let other = r#"[{"category": "goal", "text": "x"}]"#;
        assert!(refused(other, Task::Sentiment).contains("`label`"));
        let wrong = r#"[{"category": "gaol", "text": "x"}]"#;
        assert!(refused(wrong, Task::Category).contains("utterance 1: `gaol`"));
        assert!(refused("{}", Task::Category).contains("list"));
    }
}
