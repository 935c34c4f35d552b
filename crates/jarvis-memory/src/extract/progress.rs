//! What the member reached. Recoveries come from the health rules.

use super::clause::Clause;
use super::found::{Found, Scene, put, put_number};
use super::lexicon::{self, Section};
use super::pattern::{Match, Rule, rules};
use super::reading::Negation;
use jarvis_core::Category;
use serde_json::Map;
use std::sync::LazyLock;

static PROGRESS: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/progress.rules")));

/// Every progress told in a turn; `taken` are clauses in which a wish was found.
pub(crate) fn find(scene: &Scene<'_, '_>, taken: &[usize]) -> Vec<Found> {
    let clauses = scene.reading.clauses.iter().enumerate();
    let free = clauses.filter(|(i, _)| scene.reading.is_statement(*i) && !taken.contains(i));
    free.filter_map(|(index, clause)| {
        let (rule, hit) = PROGRESS.iter().find_map(|rule| {
            let hit = rule.find(&scene.reading.tokens, &clause.tokens)?;
            let denied = rule.get("keep").is_none() && denied(scene, &hit, clause);
            let told = scene.counts(&hit, clause) && !denied && !wished(scene, &hit, clause);
            told.then_some((rule, hit))
        })?;
        Some(progress(scene, index, rule, &hit))
    })
    .collect()
}

/// "je n'ai pas perdu de poids"; the "plus" of "plus vite" and of "de plus" denies nothing.
fn denied(scene: &Scene<'_, '_>, hit: &Match, clause: &Clause) -> bool {
    match scene.reading.negation(hit, clause) {
        Negation::None => false,
        Negation::Not => true,
        Negation::NoLonger => {
            let from = hit.tokens.start.saturating_sub(3);
            (from..hit.tokens.end).any(|i| matches!(scene.reading.word(i), "n" | "ne" | "anymore"))
        }
    }
}

/// A wish for progress is a goal, found or not.
fn wished(scene: &Scene<'_, '_>, hit: &Match, clause: &Clause) -> bool {
    (clause.tokens.start..hit.tokens.start).any(|i| {
        let told = scene.reading.word(i) == "faut" && scene.reading.word(i + 1) == "dire";
        !told
            && matches!(
                scene.reading.word(i),
                "veux"
                    | "voudrais"
                    | "aimerais"
                    | "objectif"
                    | "espere"
                    | "want"
                    | "hope"
                    | "goal"
                    | "faut"
                    | "essaie"
                    | "vais"
                    | "will"
            )
    })
}

fn progress(scene: &Scene<'_, '_>, index: usize, rule: &Rule, hit: &Match) -> Found {
    let metric = rule.get("metric").unwrap_or("general");
    let mut value = Map::new();
    put(&mut value, "metric", metric);
    if let Some(number) = hit.number() {
        put_number(
            &mut value,
            "value",
            if rule.get("sign").is_some() {
                -number
            } else {
                number
            },
        );
        let seconds = hit
            .tokens
            .clone()
            .any(|i| matches!(scene.reading.word(i), "secondes" | "seconds"));
        let unit = if seconds { Some("s") } else { rule.get("unit") };
        if let Some(unit) = unit {
            put(&mut value, "unit", unit);
        }
    } else if let Some(direction) = rule.get("direction") {
        put(&mut value, "value", direction);
    }
    let clause = &scene.reading.clauses[index];
    let words = scene.reading.words(&(hit.tokens.start..clause.tokens.end));
    let exercise = hit
        .entry(Section::Exercise)
        .or_else(|| lexicon::first_in(Section::Exercise, words).map(|(name, _, _)| name));
    if let Some(exercise) = exercise {
        put(&mut value, "exercise", exercise);
    }
    put(&mut value, "date", scene.today.to_string());
    Found {
        category: Category::Progress,
        key: exercise.map_or_else(|| metric.to_owned(), |exercise| format!("{metric}_{exercise}")),
        value,
        quote: scene.quote(index, index),
        clause: index,
        confidence: scene.confidence(rule.get("c"), clause),
        health: false,
        still_true: true,
    }
}
