//! Health: what hurts, what was operated on, what the member must leave out, and what is over.

use super::avoid::attach_avoidance;
use super::dates;
use super::found::{Found, Scene, put, put_number};
use super::lexicon::{self, Section};
use super::number;
use super::pattern::{Match, Rule, rules};
use super::reading::{Clause, Negation};
use super::token::Token;
use jarvis_core::Category;
use serde_json::{Map, Value};
use std::sync::LazyLock;

pub(super) static INJURY: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/injury.rules")));
pub(super) static RECOVERY: LazyLock<Vec<Rule>> =
    LazyLock::new(|| rules(include_str!("rules/recovery.rules")));

/// Where a condition sits when the member does not say it.
const USUAL_PLACE: &[(&str, &str)] = &[
    ("sciatica", "lower_back"),
    ("herniated_disc", "lower_back"),
    ("lumbago", "lower_back"),
    ("epicondylitis", "elbow"),
    ("capsulitis", "shoulder"),
    ("pubalgia", "groin"),
    ("stiff_neck", "neck"),
    ("plantar_fasciitis", "foot"),
    ("shin_splints", "leg"),
    ("scoliosis", "back"),
    ("carpal_tunnel", "wrist"),
    ("concussion", "head"),
];
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
        if !scene.reading.is_statement(index) {
            continue;
        }
        if !recoveries(scene, index, &mut found) {
            troubles(scene, index, &mut found);
        }
    }
    attach_avoidance(scene, &mut found);
    found
}

fn recoveries(scene: &Scene<'_, '_>, index: usize, found: &mut Vec<Found>) -> bool {
    let clause = &scene.reading.clauses[index];
    for rule in RECOVERY.iter() {
        let Some(hit) = rule.find(&scene.reading.tokens, &clause.tokens) else {
            continue;
        };
        let told = scene.counts(&hit, clause);
        if !told || (scene.reading.negation(&hit, clause) == Negation::Not) {
            continue;
        }
        let place = Place::of(scene, &hit, clause);
        push_recovery(
            scene,
            (index, rule.get("c")),
            &place,
            condition(scene, rule, &hit),
            rule.get("still") == Some("0"),
            found,
        );
        return true;
    }
    false
}

fn push_recovery(
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

fn trouble(scene: &Scene<'_, '_>, index: usize, rule: &Rule, hit: &Match, place: &Place) -> Found {
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

/// "au dos et à l'épaule": the same trouble in further places. Returns where the list ends.
fn more_places(
    scene: &Scene<'_, '_>,
    index: usize,
    rule: &Rule,
    hit: &Match,
    found: &mut Vec<Found>,
) -> usize {
    let clause = &scene.reading.clauses[index];
    let mut at = hit.tokens.end;
    if hit.entry(Section::Body).is_none() {
        return at;
    }
    loop {
        let mut next = at;
        while next < clause.tokens.end && next - at < 4 && is_list_word(scene.reading.word(next)) {
            next += 1;
        }
        let tokens = &scene.reading.tokens[next..clause.tokens.end];
        let Some((part, used)) = lexicon::lookup(Section::Body, tokens).filter(|_| next > at) else {
            return at;
        };
        at = next + used;
        let side = lexicon::lookup(Section::Side, &scene.reading.tokens[at..clause.tokens.end]);
        at += side.map_or(0, |(_, used)| used);
        let place = Place {
            part: Some(part),
            side: side.map(|(side, _)| side),
        };
        found.push(trouble(scene, index, rule, hit, &place));
    }
}

fn is_list_word(word: &str) -> bool {
    matches!(
        word,
        "et" | "and"
            | "ou"
            | "puis"
            | "au"
            | "aux"
            | "a"
            | "la"
            | "l"
            | "le"
            | "les"
            | "my"
            | "the"
            | "in"
            | "aussi"
            | "dans"
    )
}

/// A body part and its side.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    part: Option<&'static str>,
    side: Option<&'static str>,
}

impl Place {
    fn of(scene: &Scene<'_, '_>, hit: &Match, clause: &Clause) -> Self {
        let after = &scene.reading.tokens[hit.tokens.end..clause.tokens.end];
        let near = &after[..after.len().min(6)];
        let condition = hit.entry(Section::Condition);
        let part = hit
            .entry(Section::Body)
            .or_else(|| {
                condition
                    .and(lexicon::first_in(Section::Body, near))
                    .map(|(part, _, _)| part)
            })
            .or_else(|| condition.and_then(usual_place));
        let side = hit.entry(Section::Side).or_else(|| {
            let (side, at, _) = lexicon::first_in(Section::Side, &after[..after.len().min(3)])?;
            (after.get(at + 1).is_none_or(|t| t.text != "de") && side != "both").then_some(side)
        });
        Self {
            part,
            side: part.and(side),
        }
    }

    /// As the value names it: `right_knee`.
    fn location(&self) -> Option<String> {
        let part = self.part?;
        Some(
            self.side
                .map_or_else(|| part.to_owned(), |side| format!("{side}_{part}")),
        )
    }

    /// As keys name it: `knee_right`.
    fn key(&self) -> Option<String> {
        let part = self.part?;
        Some(
            self.side
                .map_or_else(|| part.to_owned(), |side| format!("{part}_{side}")),
        )
    }

    fn describe(&self, value: &mut Map<String, Value>) {
        if let Some(location) = self.location() {
            put(value, "location", location);
        }
        if let Some(side) = self.side {
            put(value, "side", side);
        }
    }
}

fn usual_place(condition: &str) -> Option<&'static str> {
    USUAL_PLACE
        .iter()
        .find(|(name, _)| *name == condition)
        .map(|(_, place)| *place)
}

fn condition(scene: &Scene<'_, '_>, rule: &Rule, hit: &Match) -> Option<&'static str> {
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
