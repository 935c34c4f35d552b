//! What an utterance is about: the rules' first finding and the learned head, added up.

use crate::extract::{ExtractionInput, Speaker, Turn, extract};
use crate::heads::{CATEGORIES, Judge, best};
use chrono::NaiveDate;
use jarvis_core::{Category, Language};

/// What the rules' word counts beside the head's scores, which lie around -1 and 1. Ours: the best share by
/// cross-validation over the groups of `eval/utterances_train.json`, told by the example `train_heads`.
pub const RULES_SHARE: f64 = 0.4;
/// A day for relative dates; the category does not depend on it.
const ANY_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 3, 18).expect("a day of the calendar");

/// The category of an utterance, `None` when it tells nothing to remember. Without a judge the rules decide alone.
/// Blocking with one.
pub fn category(text: &str, judge: Option<&Judge>) -> Option<Category> {
    let rules = by_rules(text);
    let Some(mut scores) = judge.and_then(|judge| judge.categories(text)) else {
        return rules;
    };
    scores[place(rules)] += RULES_SHARE;
    CATEGORIES[best(&scores)].parse().ok()
}

/// The category of the first fact that the rules find; a recovery tells progress before it ends an injury.
pub fn by_rules(text: &str) -> Option<Category> {
    let turns = [Turn {
        speaker: Speaker::Member,
        text: text.to_owned(),
        confidence: None,
        event_id: None,
    }];
    let input = ExtractionInput {
        turns: &turns,
        language: Language::Fr,
        session_date: ANY_DAY,
    };
    extract(&input).first().map(|fact| fact.category)
}

/// The place of a category among the head's scores.
pub fn place(category: Option<Category>) -> usize {
    let name = category.map_or("none", Category::as_str);
    CATEGORIES
        .iter()
        .position(|c| *c == name)
        .unwrap_or(CATEGORIES.len() - 1)
}
