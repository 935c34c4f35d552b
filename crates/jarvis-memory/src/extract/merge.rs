//! One fact for each slot of a session: corrections replace, details add up.

use super::avoid::{add_exercises, avoidance};
use super::found::{Found, Scene, put, put_number};
use super::lexicon::{self, Section};
use super::number;
use super::pattern::{Rule, rules};
use super::reading::Negation;
use jarvis_core::{Category, FactDraft};
use serde_json::{Map, Value};
use std::sync::LazyLock;

static IMPROVEMENT: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/improvement.rules")));

/// Words that announce a correction.
const CORRECTIONS: &[&str] = &[
    "fait",
    "pardon",
    "plutot",
    "desole",
    "erreur",
    "actually",
    "sorry",
    "mean",
    "non",
    "enfin",
    "trompe",
    "correction",
    "rather",
];
/// The sides as keys write them.
const SIDES: &[&str] = &["right", "left", "both"];

/// The facts of a session so far.
#[derive(Debug, Default)]
pub(crate) struct Session {
    facts: Vec<FactDraft>,
    /// Whether the member turn before told an injury, so that this one may go on about it.
    injury_before: bool,
}

impl Session {
    /// Takes in the findings of the next member turn.
    pub fn read(&mut self, scene: &Scene<'_, '_>, found: Vec<Found>) {
        let told_injury = found.iter().any(|f| f.category == Category::Injury);
        if found.is_empty() {
            self.correct(scene);
        }
        if self.injury_before && !told_injury && !scene.reading.void {
            self.go_on_about_exercises(scene);
        }
        let corrects = corrects(scene);
        let recovers = found.iter().any(|f| f.category == Category::Progress);
        for finding in found {
            let draft = scene.draft(finding);
            self.add(draft, corrects);
        }
        if (told_injury || self.injury_before) && !recovers {
            self.improve(scene);
        }
        self.injury_before = told_injury || (self.injury_before && is_short(scene));
    }

    /// The facts, in the order in which they were first told.
    pub fn finish(self) -> Vec<FactDraft> {
        self.facts
    }

    fn add(&mut self, mut draft: FactDraft, corrects: bool) {
        let same = self.facts.iter().position(|old| {
            old.category == draft.category
                && (old.fact_key == draft.fact_key
                    || same_trouble(old, &draft)
                    || (corrects && other_side(old, &draft)))
        });
        let Some(at) = same else {
            self.facts.push(draft);
            return;
        };
        let old = &self.facts[at];
        if draft.category == Category::Injury
            && draft.still_true
            && old.still_true
            && !(corrects && other_side(old, &draft))
        {
            keep_details(&mut draft, old);
        }
        if draft.category == Category::Progress && improving(&draft) && !improving(old) {
            return;
        }
        self.facts[at] = draft;
    }

    /// "Non pardon, c'est le gauche." "En fait plutôt trois kilos."
    fn correct(&mut self, scene: &Scene<'_, '_>) {
        if !corrects(scene) || scene.reading.void {
            return;
        }
        let tokens = &scene.reading.tokens;
        let last = scene.reading.clauses.len().saturating_sub(1);
        let side = lexicon::first_in(Section::Side, tokens)
            .map(|(side, _, _)| side)
            .filter(|side| *side != "both");
        if let Some(side) = side {
            let injury = self
                .facts
                .iter_mut()
                .rfind(|f| f.category == Category::Injury && side_of(&f.fact_key).is_some());
            if let Some(injury) = injury {
                turn_to(injury, side);
                cite(injury, scene, last);
            }
            return;
        }
        let amount = (0..tokens.len()).find_map(|i| {
            let refused = i > 0 && matches!(tokens[i - 1].text.as_str(), "pas" | "not");
            let (value, used) = number::parse(&tokens[i..]).filter(|_| !refused)?;
            let unit = tokens.get(i + used).map_or("", |t| t.text.as_str());
            matches!(
                unit,
                "kilo" | "kilos" | "kg" | "km" | "kilometres" | "minutes" | "pounds" | "fois"
            )
            .then_some(value)
        });
        let goal = self
            .facts
            .iter_mut()
            .rfind(|f| f.category == Category::Goal && f.fact_value.get("target").is_some());
        if let (Some(amount), Some(goal)) = (amount, goal)
            && let Value::Object(value) = &mut goal.fact_value
        {
            put_number(value, "target", amount);
            cite(goal, scene, last);
        }
    }

    /// "Ça va mieux maintenant", after exactly one injury was told: progress of that one.
    fn improve(&mut self, scene: &Scene<'_, '_>) {
        let mut injuries = self.facts.iter().filter(|f| {
            f.category == Category::Injury && f.still_true && f.fact_value.get("location").is_some()
        });
        let (Some(injury), None) = (injuries.next(), injuries.next()) else {
            return;
        };
        let Some(what) = injury.fact_key.strip_suffix("_pain") else {
            return;
        };
        let key = format!("recovery_{what}");
        let mut value = Map::new();
        put(&mut value, "metric", "recovery");
        put(&mut value, "value", "improving");
        if let Some(location) = injury.fact_value.get("location").and_then(Value::as_str) {
            put(&mut value, "location", location);
        }
        put(&mut value, "date", scene.today.to_string());
        let clauses = scene.reading.clauses.iter().enumerate();
        let better = clauses
            .filter(|(index, _)| scene.reading.is_statement(*index))
            .find(|(_, clause)| {
                IMPROVEMENT.iter().any(|rule| {
                    let hit = rule.find(&scene.reading.tokens, &clause.tokens);
                    hit.is_some_and(|hit| {
                        !scene.reading.unasserted(&hit)
                            && scene.reading.negation(&hit, clause) == Negation::None
                    })
                })
            });
        let Some((index, clause)) = better else { return };
        let draft = scene.draft(Found {
            category: Category::Progress,
            key,
            value,
            quote: scene.quote(index, index),
            clause: index,
            confidence: scene.confidence(Some(".8"), clause),
            health: true,
            still_true: true,
        });
        self.add(draft, false);
    }

    fn go_on_about_exercises(&mut self, scene: &Scene<'_, '_>) {
        let names: Vec<_> = avoidance(scene)
            .into_iter()
            .flat_map(|(_, names)| names)
            .collect();
        let injury = self
            .facts
            .iter_mut()
            .rfind(|f| f.category == Category::Injury && f.still_true);
        if let Some(Value::Object(value)) = injury.map(|f| &mut f.fact_value)
            && !names.is_empty()
        {
            add_exercises(value, &names);
        }
    }
}

fn is_short(scene: &Scene<'_, '_>) -> bool {
    scene.reading.tokens.len() <= 3
}

fn corrects(scene: &Scene<'_, '_>) -> bool {
    scene
        .reading
        .tokens
        .iter()
        .take(8)
        .any(|t| CORRECTIONS.contains(&t.text.as_str()))
}

fn cite(draft: &mut FactDraft, scene: &Scene<'_, '_>, last: usize) {
    let first = scene.reading.clauses.first().map_or(0, |_| 0);
    let quote = scene.quote(first, last);
    if let Some(text) = scene.reading.text.get(quote).filter(|text| !text.is_empty()) {
        text.clone_into(&mut draft.source_quote);
        draft.turn = scene.turn;
    }
}

fn side_of(key: &str) -> Option<&'static str> {
    SIDES
        .iter()
        .find(|side| key.split('_').any(|word| word == **side))
        .copied()
}

fn without_side(key: &str) -> String {
    let words: Vec<_> = key.split('_').filter(|word| !SIDES.contains(word)).collect();
    words.join("_")
}

/// The same trouble, one of the two told without its side.
fn same_trouble(old: &FactDraft, new: &FactDraft) -> bool {
    let one_side = side_of(&old.fact_key).is_none() || side_of(&new.fact_key).is_none();
    old.category == Category::Injury && one_side && without_side(&old.fact_key) == without_side(&new.fact_key)
}

fn other_side(old: &FactDraft, new: &FactDraft) -> bool {
    old.category == Category::Injury && without_side(&old.fact_key) == without_side(&new.fact_key)
}

fn improving(draft: &FactDraft) -> bool {
    draft.fact_value.get("value").is_some_and(|v| v == "improving")
}

/// What was told before and not again: since when, how bad, what to avoid, which side.
fn keep_details(draft: &mut FactDraft, old: &FactDraft) {
    if side_of(&draft.fact_key).is_none() {
        draft.fact_key.clone_from(&old.fact_key);
    }
    let (Value::Object(new), Value::Object(old)) = (&mut draft.fact_value, &old.fact_value) else {
        return;
    };
    for (name, value) in old {
        let vaguer = name == "location" && value.as_str().is_some_and(|v| side_of(v).is_some());
        if vaguer && new.get("side").is_none() {
            new.insert(name.clone(), value.clone());
        }
        if name == "exercises_to_avoid" {
            let names: Vec<_> = value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            add_exercises(new, &names);
        }
    }
    for (name, value) in old {
        new.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

fn turn_to(draft: &mut FactDraft, side: &str) {
    let Some(old) = side_of(&draft.fact_key) else {
        return;
    };
    let words: Vec<_> = draft
        .fact_key
        .split('_')
        .map(|w| if w == old { side } else { w })
        .collect();
    let key = words.join("_");
    if let Value::Object(value) = &mut draft.fact_value {
        relocate(value, old, side);
    }
    draft.fact_key = key;
}

fn relocate(value: &mut Map<String, Value>, old: &str, side: &str) {
    let location = value
        .get("location")
        .and_then(Value::as_str)
        .map(|text| text.replacen(old, side, 1));
    if let Some(location) = location {
        put(value, "location", location);
    }
    put(value, "side", side);
}

/// Whether a draft that is no longer true ends the stored injury `key`: the same trouble, and no other side.
///
/// "Je n'ai plus mal au genou" (`knee_pain`) ends `knee_right_pain`; "au genou gauche" does not.
pub fn retires(draft: &FactDraft, key: &str) -> bool {
    let sides = (side_of(&draft.fact_key), side_of(key));
    let compatible = match sides {
        (Some(a), Some(b)) => a == b || a == "both",
        _ => true,
    };
    !draft.still_true && compatible && without_side(&draft.fact_key) == without_side(key)
}

/// Like [`retires`], and by name: "ma tendinite est guérie" ends an injury stored with that condition, wherever it sits.
pub fn ends(draft: &FactDraft, key: &str, value: &Value) -> bool {
    let named = draft
        .fact_value
        .get("condition")
        .filter(|c| value.get("condition") == Some(*c));
    let anywhere = draft.fact_value.get("location").is_none();
    retires(draft, key) || (!draft.still_true && anywhere && named.is_some())
}
