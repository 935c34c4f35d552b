//! Complaints, worries and the wish to leave.

use super::clause::Clause;
use super::found::{Found, Scene, put};
use super::lexicon::{self, Section};
use super::pattern::{Match, Rule, rules};
use super::reading::Negation;
use jarvis_core::Category;
use serde_json::{Map, Value};
use std::sync::LazyLock;

static CONCERN: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/concern.rules")));

/// Subjects that are about the member, so that nobody else may be meant.
const PERSONAL: &[&str] = &["distress", "motivation", "cancel_intent"];

/// What a complaint is about: part of its key, so that a broken treadmill and a broken bike are two concerns.
const THINGS: &[Section] = &[
    Section::Machine,
    Section::Place,
    Section::Supply,
    Section::Staff,
    Section::Lesson,
];
/// Things so general that they tell nothing apart.
const ANYTHING: &[&str] = &["gym", "machine", "machines", "team", "class"];

/// Every concern told in a turn; `taken` are clauses that tell about health.
pub(crate) fn find(scene: &Scene<'_, '_>, taken: &[usize]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (index, clause) in scene.reading.clauses.iter().enumerate() {
        if scene.reading.void || taken.contains(&index) {
            continue;
        }
        found.extend(
            told(scene, clause)
                .into_iter()
                .map(|(rule, hit)| concern(scene, index, rule, &hit)),
        );
    }
    elaborate(scene, &mut found);
    found
}

/// "Les vestiaires sont dégueulasses, il y a des cheveux partout": one sentence that goes on about one thing tells one
/// concern, and so does the heat where the air conditioning failed.
fn elaborate(scene: &Scene<'_, '_>, found: &mut Vec<Found>) {
    let clauses = &scene.reading.clauses;
    let mut index = 1;
    while index < found.len() {
        let (before, after) = (&found[index - 1], &found[index]);
        let near = clauses[before.clause].sentence == clauses[after.clause].sentence
            && (1..=2).contains(&(after.clause - before.clause));
        let text = |of: &Found, name: &str| of.value.get(name).and_then(Value::as_str).map(str::to_owned);
        let same = text(before, "subject") == text(after, "subject");
        let vague = text(before, "object").is_none() || text(after, "object").is_none();
        let heat = text(after, "object").is_some_and(|o| o == "temperature")
            && text(before, "object").is_some_and(|o| o == "air_conditioning" || o == "heating");
        if near && ((same && vague) || heat) {
            let last = after.clause;
            let later = found.remove(index);
            let before = &mut found[index - 1];
            before.quote = scene.quote(before.clause, last);
            if before.value.get("object").is_none() && later.value.get("object").is_some() {
                before.key = later.key;
                before.value = later.value;
            }
        } else {
            index += 1;
        }
    }
}

/// The rules that hold in a clause: one for each subject, each on words of its own.
fn told(scene: &Scene<'_, '_>, clause: &Clause) -> Vec<(&'static Rule, Match)> {
    let mut hits: Vec<(&'static Rule, Match)> = Vec::new();
    for rule in CONCERN.iter() {
        let Some(hit) = rule.find(&scene.reading.tokens, &clause.tokens) else {
            continue;
        };
        let free = hits.iter().all(|(other, taken)| {
            let apart = hit.tokens.end <= taken.tokens.start || taken.tokens.end <= hit.tokens.start;
            let two_things = match (thing(&hit), thing(taken)) {
                (Some(one), Some(two)) => one != two,
                _ => false,
            };
            apart && (two_things || other.get("subject") != rule.get("subject"))
        });
        if free && holds(scene, rule, &hit, clause) {
            hits.push((rule, hit));
        }
    }
    hits
}

fn holds(scene: &Scene<'_, '_>, rule: &Rule, hit: &Match, clause: &Clause) -> bool {
    let subject = rule.get("subject").unwrap_or_default();
    let personal = PERSONAL.contains(&subject);
    let supposed = scene.reading.unasserted(hit) && subject != "cancel_intent";
    let asked = clause.question && rule.get("q").is_none();
    let theirs = if personal {
        !scene.reading.is_own(hit, clause)
    } else {
        names_kin(scene, hit, clause)
    };
    let negation = scene.reading.negation(hit, clause);
    let outside = rule.get("inside").is_some()
        && scene
            .reading
            .words(&clause.tokens)
            .iter()
            .any(|t| matches!(t.text.as_str(), "dehors" | "outside" | "exterieur"));
    let near = hit.tokens.start..clause.tokens.end.min(hit.tokens.end + 1);
    let denied_word = near.clone().any(|i| {
        matches!(
            scene.reading.word(i),
            "pas" | "plus" | "mal" | "jamais" | "t" | "not" | "ignore" | "moque"
        )
    });
    let negated = match (rule.get("keep"), rule.get("neg")) {
        (_, Some(_)) => !denied_word,
        (Some(_), None) => false,
        (None, None) => negation == Negation::Not || (personal && negation == Negation::NoLonger),
    };
    !supposed && !asked && !theirs && !negated && !outside
}

fn names_kin(scene: &Scene<'_, '_>, hit: &Match, clause: &Clause) -> bool {
    let sentence = scene.reading.sentences[clause.sentence].tokens.start;
    let start = sentence.max(hit.tokens.start.saturating_sub(60));
    (start..hit.tokens.start).any(|i| {
        let own = i > start && matches!(scene.reading.word(i - 1), "ma" | "mon" | "mes" | "my");
        own && lexicon::lookup(Section::Kin, &scene.reading.tokens[i..clause.tokens.end.max(i)]).is_some()
    })
}

fn concern(scene: &Scene<'_, '_>, index: usize, rule: &Rule, hit: &Match) -> Found {
    let clause = &scene.reading.clauses[index];
    let subject = rule.get("subject").unwrap_or("other");
    let quote = scene.quote(index, index);
    let mut value = Map::new();
    put(&mut value, "subject", subject);
    let thing = rule.get("detail").or_else(|| thing(hit));
    if let Some(thing) = thing {
        put(&mut value, "object", thing);
    }
    let detail = rule
        .get("detail")
        .or_else(|| scene.reading.text.get(quote.clone()));
    if let Some(detail) = detail {
        put(&mut value, "detail", detail.chars().take(160).collect::<String>());
    }
    put(&mut value, "urgency", rule.get("urgency").unwrap_or("low"));
    let asked = if clause.question { 0.75 } else { 1.0 };
    Found {
        category: Category::Concern,
        key: thing.map_or_else(|| subject.to_owned(), |thing| format!("{subject}_{thing}")),
        value,
        quote,
        clause: index,
        confidence: (scene.confidence(rule.get("c"), clause) * asked * 100.0).round() / 100.0,
        health: rule.get("health").is_some(),
        still_true: true,
    }
}

/// The machine, place, supply, person or class that the rule named.
fn thing(hit: &Match) -> Option<&'static str> {
    let named = THINGS.iter().find_map(|section| hit.entry(*section));
    named.filter(|name| !ANYTHING.contains(name))
}
