//! Recall: what of the right turns or summaries is among the first found.

mod figures;
mod locomo;
mod set;

pub use figures::{Answer, DEFINITION, Figures, Measured, measure};
pub use locomo::read_locomo;
pub use set::{SetError, read};

use chrono::{DateTime, Utc};
use jarvis_core::Language;
use std::collections::BTreeMap;

/// How far the ranked answers are looked at.
pub const DEPTH: usize = 50;

/// One thing that can be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Whose memory it is in.
    pub owner: String,
    /// The conversation, in time order within an owner; empty for a summary.
    pub session: String,
    /// Whether the member said it, and not the other one; true for a summary.
    pub by_member: bool,
    /// Its words.
    pub text: String,
    /// The hour of its conversation, when the set tells it.
    pub at: Option<DateTime<Utc>>,
}

/// A question and what answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The question.
    pub text: String,
    /// Whose memory is asked, when the set names one.
    pub owner: Option<String>,
    /// Right units; none when nothing answers.
    pub gold: Vec<usize>,
    /// By what the figures are also told, such as `kind` and `lex`.
    pub groups: BTreeMap<&'static str, String>,
}

/// A set of things and questions.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// Whether the units are turns of conversations; else they are summaries.
    pub turns: bool,
    /// The language of the units.
    pub language: Language,
    /// What can be found.
    pub units: Vec<Unit>,
    /// The questions.
    pub questions: Vec<Asked>,
    /// Questions whose right turns the set names but does not hold.
    pub unscorable: usize,
}

#[cfg(test)]
mod tests {
    use super::locomo::cited;
    use super::*;

    const SUMMARIES: &str = r#"{"summaries": [{"id": "s1", "member": "a", "text": "x"}, {"id": "s2", "member": "a", "text": "y"}],
        "queries": [{"q": "one", "gold": "s2", "member": "a", "lang": "fr", "kind": "lex"},
                    {"q": "two", "gold": "s1", "member": "a", "lang": "en", "kind": "en"},
                    {"q": "none", "gold": null, "member": null, "lang": "fr", "kind": "none_in"}]}"#;

    #[test]
    fn figures_are_those_of_the_ranks() {
        let corpus = read(SUMMARIES).unwrap();
        let answer = |ranked: &[usize], nothing_noted| Answer {
            ranked: ranked.to_vec(),
            nothing_noted,
        };
        let answers = [answer(&[1, 0], false), answer(&[1, 0], true), answer(&[0], true)];
        let measured = measure(&corpus, &answers);
        let total = &measured.total;
        assert_eq!(
            (total.questions, total.r_at_1, total.r_at_3, total.mrr),
            (2, 0.5, 1.0, 0.75)
        );
        assert_eq!(measured.by["kind"]["lex"].r_at_1.to_bits(), 1.0_f64.to_bits());
        assert_eq!((measured.abstained, measured.wrongly_abstained), (Some(1.0), 0.5));
        assert_eq!(measured.abstention_precision, Some(0.5));
        assert_eq!(total.session_any_hit_at_5, None);
    }

    #[test]
    fn a_part_of_the_right_turns_is_a_part_of_the_recall() {
        let set = r#"{"turns": ["a", {"text": "b", "speaker": "assistant", "session": "2"}, "c"],
                      "questions": [{"q": "?", "gold": [0, 2], "lang": "en"}]}"#;
        let corpus = read(set).unwrap();
        assert!(!corpus.units[1].by_member && corpus.language == Language::En);
        let measured = measure(
            &corpus,
            &[Answer {
                ranked: vec![1, 2],
                nothing_noted: false,
            }],
        );
        let total = measured.total;
        assert_eq!(
            (total.r_at_1, total.r_at_5, total.any_at_5, total.all_at_10),
            (0.0, 0.5, 1.0, 0.0)
        );
        assert_eq!(total.session_any_hit_at_5, Some(1.0));
    }

    #[test]
    fn evidence_is_read_however_it_is_written() {
        let all = |text: &str| cited(text).collect::<Vec<_>>();
        assert_eq!(all("D8:6; D9:17"), [(8, 6), (9, 17)]);
        assert_eq!(all("D30:05"), [(30, 5)]);
        assert_eq!(all("D:11:26"), [(11, 26)]);
        assert_eq!(all("D"), []);
    }

    #[test]
    fn a_wrong_set_says_what_is_wrong() {
        assert!(matches!(read("[]"), Err(SetError::Form(_))));
        let ghost = SUMMARIES.replace("\"gold\": \"s2\"", "\"gold\": \"s9\"");
        assert_eq!(
            read(&ghost).unwrap_err().to_string(),
            "question 1: there is no s9"
        );
        let empty = r#"{"turns": [], "questions": []}"#;
        assert!(matches!(read(empty), Err(SetError::Empty)));
    }
}
