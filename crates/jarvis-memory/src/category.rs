//! What an utterance is about: the rules' first finding and the learned head, added up.

use crate::extract::{ExtractionInput, Speaker, Turn, extract};
use crate::heads::{CATEGORIES, Judge, best};
use chrono::NaiveDate;
use jarvis_core::{Category, FactDraft, Language};

/// What the rules' word counts beside the head's scores, which lie around -1 and 1. Ours: the best share by
/// cross-validation over the groups of `eval/utterances_train.json`, told by the example `train_heads`.
pub const RULES_SHARE: f64 = 0.6;
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

/// A fact that reads like small talk keeps this share of its confidence, as a hedged one does.
const DOUBTED: f64 = 0.75;

/// Lowers the confidence of facts whose quote reads like nothing to remember, the rules' word counted: a less sure fact
/// replaces no surer one. Injuries keep theirs, since what is missed there can hurt. Blocking: one pass through e5 a
/// fact.
pub(crate) fn doubt(facts: &mut [FactDraft], judge: &Judge) {
    for fact in facts.iter_mut().filter(|f| f.category != Category::Injury) {
        let Some(mut scores) = judge.categories(&fact.source_quote) else {
            return;
        };
        scores[place(Some(fact.category))] += RULES_SHARE;
        if best(&scores) == place(None) {
            fact.confidence = (fact.confidence * DOUBTED * 100.0).round() / 100.0;
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use jarvis_embed::{LocalEmbedder, WeightPaths};
    use std::sync::Arc;

    fn judge() -> Option<Judge> {
        let path = |name| std::env::var_os(name).map(Into::into);
        let (Some(e5), Some(universal)) = (path("JARVIS_E5_WEIGHTS"), path("JARVIS_USE_WEIGHTS")) else {
            println!("skipped: JARVIS_E5_WEIGHTS and JARVIS_USE_WEIGHTS are not set");
            return None;
        };
        let model = LocalEmbedder::load(&WeightPaths { e5, universal }).unwrap();
        Some(Judge::new(Arc::new(model)).unwrap())
    }

    fn fact(category: Category, quote: &str) -> FactDraft {
        FactDraft {
            category,
            fact_key: "anything".to_owned(),
            fact_value: serde_json::json!({}),
            source_quote: quote.to_owned(),
            turn: 0,
            confidence: 0.8,
            health: false,
            still_true: true,
        }
    }

    #[test]
    fn a_fact_that_reads_like_small_talk_is_less_sure_and_an_injury_is_not() {
        let Some(judge) = judge() else { return };
        let mut facts = [
            fact(Category::Goal, "À quelle heure ferme la salle demain"),
            fact(Category::Injury, "À quelle heure ferme la salle demain"),
            fact(Category::Goal, "je veux perdre huit kilos avant l'été"),
        ];
        doubt(&mut facts, &judge);
        let sure: Vec<f64> = facts.iter().map(|f| f.confidence).collect();
        assert!((sure[0] - 0.6).abs() < 1e-9, "{sure:?}");
        assert!(
            (sure[1] - 0.8).abs() < 1e-9 && (sure[2] - 0.8).abs() < 1e-9,
            "{sure:?}"
        );
    }

    #[test]
    fn without_a_judge_the_rules_decide_alone() {
        assert_eq!(category("J'ai mal au genou droit", None), Some(Category::Injury));
        assert_eq!(category("Bonjour Jarvis", None), None);
    }
}
