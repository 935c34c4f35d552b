//! What is over or gets better: progress, and the end of the injury.

use super::found::{Found, Scene, put};
use super::injury::condition;
use super::lexicon::{self, Section};
use super::pattern::{Capture, Match, Rule, rules};
use super::place::Place;
use super::reading::Negation;
use super::token::Token;
use jarvis_core::Category;
use serde_json::Map;
use std::sync::LazyLock;

pub(super) static RECOVERY: LazyLock<Vec<Rule>> =
    LazyLock::new(|| rules(include_str!("rules/recovery.rules")));
static OVER: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/over.rules")));

/// Whether the clause at `index` tells that something is over or better; what it tells is added to `found`.
pub(super) fn recoveries(scene: &Scene<'_, '_>, index: usize, found: &mut Vec<Found>) -> bool {
    let clause = &scene.reading.clauses[index];
    for rule in RECOVERY.iter() {
        let Some(hit) = rule.find(&scene.reading.tokens, &clause.tokens) else {
            continue;
        };
        let told = scene.counts(&hit, clause);
        if !told || (scene.reading.negation(&hit, clause) == Negation::Not) {
            continue;
        }
        if rule.get("still") == Some("0") && goes_on(scene, index, &hit) {
            continue;
        }
        let place = Place::of(scene, &hit, clause);
        let told = found.len();
        push_recovery(
            scene,
            (index, rule.get("c")),
            &place,
            condition(scene, rule, &hit),
            rule.get("still") == Some("0"),
            found,
        );
        if found.len() == told && rule.get("bare").is_some() {
            found.push(bare_recovery(scene, index, rule));
        }
        return true;
    }
    false
}

/// Words that tell a trouble: "mal au dos comme avant" is the trouble of before, "le dos comme avant" its end.
const TROUBLE: &[&str] = &[
    "mal", "douleur", "bloqu", "coinc", "gonfl", "raid", "souffr", "lance", "gene", "tire", "hurt", "pain",
    "sore", "stiff", "swollen", "aching",
];

/// "Plus mal qu'avant", "de plus en plus mal", "bloqué comme avant": the trouble grew or is what it was, and not over.
fn goes_on(scene: &Scene<'_, '_>, index: usize, hit: &Match) -> bool {
    let reading = scene.reading;
    let clause = &reading.clauses[index];
    if clause
        .tokens
        .clone()
        .any(|i| reading.compares(i, clause.tokens.end) || reading.is_increase(i))
    {
        return true;
    }
    let as_before =
        |i: usize| reading.word(i) == "comme" && matches!(reading.word(i + 1), "avant" | "before");
    let Some(at) = hit.tokens.clone().find(|i| as_before(*i)) else {
        return false;
    };
    let denied = (clause.tokens.start..at).any(|i| matches!(reading.word(i), "ne" | "n"));
    let troubled =
        (clause.tokens.start..at).any(|i| TROUBLE.iter().any(|stem| reading.word(i).starts_with(stem)));
    troubled && !denied
}

/// "La douleur est partie", of which one nobody knows: progress that ends nothing.
fn bare_recovery(scene: &Scene<'_, '_>, index: usize, rule: &Rule) -> Found {
    let mut value = Map::new();
    put(&mut value, "metric", "recovery");
    put(&mut value, "value", "improving");
    put(&mut value, "date", scene.today.to_string());
    Found {
        category: Category::Progress,
        key: "recovery".to_owned(),
        value,
        quote: scene.quote(index, index),
        clause: index,
        confidence: scene.confidence(rule.get("c"), &scene.reading.clauses[index]),
        health: true,
        still_true: true,
    }
}

/// "Mon coude, c'est réglé": the clause names the place or the condition, the next one says that it is over.
pub(super) fn topic_is_over(scene: &Scene<'_, '_>, index: usize, found: &mut Vec<Found>) -> bool {
    let reading = scene.reading;
    let (clause, Some(next)) = (&reading.clauses[index], reading.clauses.get(index + 1)) else {
        return false;
    };
    let over = OVER.iter().find_map(|rule| {
        let hit = rule.match_at(&reading.tokens, &next.tokens, next.tokens.start)?;
        (next.sentence == clause.sentence && reading.is_statement(index + 1) && !reading.unasserted(&hit))
            .then_some(rule)
    });
    let Some(rule) = over else { return false };
    let words = reading.words(&clause.tokens);
    let another_matter = |t: &Token| {
        let word = t.text.as_str();
        matches!(word, "used" | "avais" | "avait" | "avant" | "surgery") || word.starts_with("oper")
    };
    if words.iter().any(another_matter) {
        return false;
    }
    let topic = |section| lexicon::first_in(section, words);
    let Some((_, at, used)) = topic(Section::Body).or_else(|| topic(Section::Condition)) else {
        return false;
    };
    let hit = Match {
        tokens: clause.tokens.start + at..clause.tokens.start + at + used,
        captures: [Section::Body, Section::Condition, Section::Side]
            .into_iter()
            .filter_map(|section| topic(section).map(|(value, _, _)| Capture::Entry(section, value)))
            .collect(),
    };
    if !scene.counts(&hit, clause) {
        return false;
    }
    let place = Place::of(scene, &hit, clause);
    let told = found.len();
    push_recovery(
        scene,
        (index, rule.get("c")),
        &place,
        hit.entry(Section::Condition),
        rule.get("still") == Some("0"),
        found,
    );
    for finding in &mut found[told..] {
        finding.quote = scene.quote(index, index + 1);
    }
    found.len() > told
}

pub(super) fn push_recovery(
    scene: &Scene<'_, '_>,
    (index, base): (usize, Option<&str>),
    place: &Place,
    condition: Option<&'static str>,
    over: bool,
    found: &mut Vec<Found>,
) {
    let what = place.key().or(condition.map(str::to_owned));
    let Some(what) = what else { return };
    let clause = &scene.reading.clauses[index];
    let common = |category, key, value, still_true| Found {
        category,
        key,
        value,
        quote: scene.quote(index, index),
        clause: index,
        confidence: scene.confidence(base, clause),
        health: true,
        still_true,
    };
    let mut value = Map::new();
    put(&mut value, "metric", "recovery");
    put(&mut value, "value", if over { "recovered" } else { "improving" });
    if let Some(location) = place.location() {
        put(&mut value, "location", location);
    }
    put(&mut value, "date", scene.today.to_string());
    found.push(common(
        Category::Progress,
        format!("recovery_{what}"),
        value,
        true,
    ));
    if over {
        let mut value = Map::new();
        put(&mut value, "kind", "pain");
        place.describe(&mut value);
        if let Some(condition) = condition {
            put(&mut value, "condition", condition);
        }
        let key = if place.part.is_some() {
            format!("{what}_pain")
        } else {
            format!("injury_{what}")
        };
        found.push(common(Category::Injury, key, value, false));
    }
}
