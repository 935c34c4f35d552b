//! Health: what hurts, what was operated on, what the member must leave out, and what is over.

use super::avoid::attach_avoidance;
use super::clause::Clause;
use super::dates;
use super::found::{Found, Scene, put, put_number};
use super::lexicon::{self, Section};
use super::number;
use super::pattern::{Match, Rule, rules};
use super::place::{Place, more_places};
use super::reading::Negation;
use super::recovery::{push_recovery, recoveries, topic_is_over};
use super::token::Token;
use jarvis_core::Category;
use serde_json::{Map, Value};
use std::sync::LazyLock;

pub(super) static INJURY: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/injury.rules")));

const MILD: &[&str] = &[
    "peu",
    "leger",
    "legere",
    "legerement",
    "petit",
    "petite",
    "mild",
    "slight",
    "slightly",
    "bit",
    "little",
];
const SEVERE: &[&str] = &[
    "tres",
    "vraiment",
    "super",
    "hyper",
    "trop",
    "enormement",
    "atroce",
    "horrible",
    "insupportable",
    "severe",
    "grave",
    "terrible",
    "really",
    "badly",
    "lot",
    "bloque",
    "fort",
    "extremement",
    "vachement",
    "grosse",
    "gros",
    "killing",
];

/// Every finding about health in a turn.
pub(crate) fn find(scene: &Scene<'_, '_>) -> Vec<Found> {
    let mut found = Vec::new();
    for index in 0..scene.reading.clauses.len() {
        if scene.reading.is_statement(index)
            && !recoveries(scene, index, &mut found)
            && !topic_is_over(scene, index, &mut found)
        {
            troubles(scene, index, &mut found);
        }
    }
    name_the_trouble(scene, &mut found);
    attach_avoidance(scene, &mut found);
    found
}

/// "un souci à l'épaule, une bursite": the name that follows belongs to the trouble told just before.
fn name_the_trouble(scene: &Scene<'_, '_>, found: &mut Vec<Found>) {
    let clauses = &scene.reading.clauses;
    let mut index = 1;
    while index < found.len() {
        let (before, after) = (&found[index - 1], &found[index]);
        let close = after.clause > before.clause
            && after.clause - before.clause <= 2
            && clauses[after.clause].sentence == clauses[before.clause].sentence;
        let both = before.category == Category::Injury && after.category == Category::Injury;
        let names = both
            && close
            && before.still_true
            && after.still_true
            && before.value.get("location").is_some()
            && before.value.get("condition").is_none()
            && after.value.get("location").is_none()
            && matches!(
                after.value.get("kind").and_then(Value::as_str),
                Some("injury" | "chronic")
            );
        if !names {
            index += 1;
            continue;
        }
        let (last, condition) = (after.clause, after.value.get("condition").cloned());
        let before = &mut found[index - 1];
        before.quote = scene.quote(before.clause, last);
        if let Some(condition) = condition {
            before.value.insert("condition".to_owned(), condition);
        }
        found.remove(index);
    }
}

fn troubles(scene: &Scene<'_, '_>, index: usize, found: &mut Vec<Found>) {
    let clause = &scene.reading.clauses[index];
    let mut rest = clause.tokens.clone();
    while !rest.is_empty() {
        let next = INJURY.iter().find_map(|rule| {
            let hit = rule.find(&scene.reading.tokens, &rest)?;
            believable(scene, rule, &hit, clause).then_some((rule, hit))
        });
        let Some((rule, hit)) = next else { return };
        rest.start = hit.tokens.end;
        let place = Place::of(scene, &hit, clause);
        let negation = if rule.get("keep").is_some() {
            Negation::None
        } else {
            scene.reading.negation(&hit, clause)
        };
        match negation {
            Negation::Not => {}
            Negation::NoLonger if place.part.is_none() => {
                let told = trouble(scene, index, rule, &hit, &place);
                let condition = condition(scene, rule, &hit);
                if !matches!(told.key.as_str(), "pregnancy" | "postpartum") {
                    push_recovery(scene, (index, rule.get("c")), &place, condition, false, found);
                }
                found.push(Found {
                    still_true: false,
                    ..told
                });
            }
            Negation::NoLonger => {
                push_recovery(
                    scene,
                    (index, rule.get("c")),
                    &place,
                    condition(scene, rule, &hit),
                    true,
                    found,
                );
            }
            Negation::None => {
                let told = trouble(scene, index, rule, &hit, &place);
                found.extend(birth(&told));
                found.push(told);
                rest.start = more_places(scene, index, rule, &hit, found);
            }
        }
    }
}

/// A birth ends the pregnancy.
fn birth(told: &Found) -> Option<Found> {
    let mut value = Map::new();
    put(&mut value, "kind", "pregnancy");
    let over = Found {
        key: "pregnancy".to_owned(),
        value,
        still_true: false,
        ..told.clone()
    };
    (told.key == "postpartum").then_some(over)
}

/// Not supposed, not somebody else's, not over since long.
fn believable(scene: &Scene<'_, '_>, rule: &Rule, hit: &Match, clause: &Clause) -> bool {
    let lasting = matches!(rule.get("kind"), Some("surgery" | "pregnancy" | "allergy"));
    let before = clause.tokens.start.max(hit.tokens.start.saturating_sub(4))..hit.tokens.end;
    let past = before
        .clone()
        .any(|i| matches!(scene.reading.word(i), "avais" | "avait" | "etais" | "used"))
        || (rule.get("kind") == Some("pain") && before.clone().any(|i| scene.reading.word(i) == "had"));
    let soreness = scene
        .reading
        .words(&scene.reading.sentences[clause.sentence].tokens)
        .iter()
        .any(|t| t.text.starts_with("courbature"));
    scene.counts(hit, clause) && (lasting || !past) && !soreness
}

pub(super) fn trouble(scene: &Scene<'_, '_>, index: usize, rule: &Rule, hit: &Match, place: &Place) -> Found {
    let clause = &scene.reading.clauses[index];
    let kind = rule.get("kind").unwrap_or("pain");
    let condition = condition(scene, rule, hit);
    let mut value = Map::new();
    put(&mut value, "kind", kind);
    place.describe(&mut value);
    if let Some(condition) = condition {
        put(&mut value, "condition", condition);
    }
    let substance = hit
        .entry(Section::Medicine)
        .map(str::to_owned)
        .or_else(|| spoken(scene, hit));
    if let Some(substance) = &substance {
        put(&mut value, "detail", substance.clone());
    }
    let words = scene.reading.words(&clause.tokens);
    if let Some(severity) = severity(words) {
        put(&mut value, "severity", severity);
    }
    if let Some(since) = since(scene, index) {
        put(&mut value, "since", since);
    }
    if let Some(months) = (kind == "pregnancy").then(|| months(words)).flatten() {
        put_number(&mut value, "months", months);
    }
    Found {
        category: Category::Injury,
        key: key(kind, place, condition, substance.as_deref()),
        value,
        quote: scene.quote(index, index),
        clause: index,
        confidence: scene.confidence(rule.get("c"), clause),
        health: true,
        still_true: true,
    }
}

pub(super) fn condition(scene: &Scene<'_, '_>, rule: &Rule, hit: &Match) -> Option<&'static str> {
    let sections = [Section::Condition, Section::Chronic, Section::Symptom];
    let named = rule
        .get("condition")
        .or_else(|| sections.iter().find_map(|s| hit.entry(*s)));
    named.or_else(|| {
        let words = scene.reading.words(&hit.tokens);
        lexicon::first_in(Section::Condition, words).map(|(condition, _, _)| condition)
    })
}

fn spoken(scene: &Scene<'_, '_>, hit: &Match) -> Option<String> {
    let word = scene.reading.word(hit.spoken()?);
    Some(word.chars().filter(|c| c.is_alphanumeric()).take(32).collect())
}

fn key(kind: &str, place: &Place, condition: Option<&str>, substance: Option<&str>) -> String {
    let what = substance.map_or_else(|| "unnamed".to_owned(), slug);
    match (kind, place.key()) {
        ("pregnancy", _) => condition.unwrap_or("pregnancy").to_owned(),
        ("chronic", _) => condition.map_or_else(|| "chronic_condition".to_owned(), str::to_owned),
        ("symptom", _) => format!("symptom_{}", condition.unwrap_or("unnamed")),
        ("allergy" | "medication", _) => format!("{kind}_{what}"),
        ("surgery", Some(place)) => format!("{place}_surgery"),
        ("restriction", _) => "exercise_restriction".to_owned(),
        ("surgery", None) => "surgery".to_owned(),
        (_, Some(place)) => format!("{place}_pain"),
        (_, None) => format!("injury_{}", condition.unwrap_or("unnamed")),
    }
}

fn slug(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(40)
        .collect()
}

fn severity(words: &[Token]) -> Option<&'static str> {
    let has = |list: &[&str]| words.iter().any(|t| list.contains(&t.text.as_str()));
    if has(SEVERE) {
        Some("severe")
    } else {
        has(MILD).then_some("mild")
    }
}

fn months(words: &[Token]) -> Option<f64> {
    (0..words.len()).find_map(|i| {
        let (value, used) = number::parse(&words[i..])?;
        let unit = &words.get(i + used)?.text;
        (matches!(unit.as_str(), "mois" | "months" | "month") && value <= 10.0).then_some(value)
    })
}

/// In its own clause, or in one that follows closely ("… , c'est depuis janvier").
fn since(scene: &Scene<'_, '_>, index: usize) -> Option<String> {
    let clauses = &scene.reading.clauses;
    let own = dates::since(scene.reading.words(&clauses[index].tokens), scene.today);
    own.or_else(|| {
        let next = clauses.get(index + 1)?;
        let opens = matches!(
            scene.reading.word(next.tokens.start),
            "depuis" | "since" | "c" | "ca" | "it"
        );
        opens
            .then(|| dates::since(scene.reading.words(&next.tokens), scene.today))
            .flatten()
    })
}
