//! Exercises a member leaves out because of an injury.

use super::found::{Found, Scene};
use super::lexicon::{self, Section};
use super::pattern::{Rule, rules};
use super::token::Token;
use jarvis_core::Category;
use serde_json::{Map, Value};
use std::ops::Range;
use std::sync::LazyLock;

pub(super) static AVOID: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/avoid.rules")));

/// Exercises left out, clause by clause: index of the clause, canonical names.
pub(crate) fn avoidance(scene: &Scene<'_, '_>) -> Vec<(usize, Vec<&'static str>)> {
    let reading = scene.reading;
    let mut found = Vec::new();
    for (index, clause) in reading
        .clauses
        .iter()
        .enumerate()
        .filter(|(i, _)| reading.is_statement(*i))
    {
        let sentence_end = reading.sentences[clause.sentence].tokens.end;
        let hit = AVOID.iter().find_map(|rule| {
            let hit = rule.find(&reading.tokens, &clause.tokens)?;
            scene.counts(&hit, clause).then_some(hit)
        });
        if let Some(hit) = hit {
            let mut names: Vec<_> = hit.entry(Section::Exercise).into_iter().collect();
            names.extend(listed(&reading.tokens, hit.tokens.end..sentence_end));
            names.dedup();
            found.push((index, names));
        }
    }
    found
}

/// "… de squats, ni de fentes et pas de sauts": what follows in the same list.
fn listed(tokens: &[Token], mut range: Range<usize>) -> Vec<&'static str> {
    let idle = |w: &str| {
        matches!(
            w,
            "et" | "ni"
                | "ou"
                | "de"
                | "des"
                | "les"
                | "la"
                | "le"
                | "l"
                | "du"
                | "d"
                | "and"
                | "or"
                | "no"
                | "pas"
                | "plus"
                | "the"
        )
    };
    let mut names = Vec::new();
    while range.start < range.end {
        if let Some((name, used)) = lexicon::lookup(Section::Exercise, &tokens[range.clone()]) {
            names.push(name);
            range.start += used;
        } else if idle(&tokens[range.start].text) {
            range.start += 1;
        } else {
            break;
        }
    }
    names
}

/// Exercises to avoid belong to the injury told before them in the turn, or to the first one.
pub(super) fn attach_avoidance(scene: &Scene<'_, '_>, found: &mut [Found]) {
    for (clause, names) in avoidance(scene) {
        let injuries = || {
            found
                .iter()
                .enumerate()
                .filter(|(_, f)| f.category == Category::Injury && f.still_true)
        };
        let told = injuries()
            .rfind(|(_, f)| f.clause <= clause)
            .or_else(|| injuries().next())
            .map(|(i, _)| i);
        let Some(injury) = told.and_then(|i| found.get_mut(i)) else {
            continue;
        };
        add_exercises(&mut injury.value, &names);
        let own = injury.clause;
        let clauses = &scene.reading.clauses;
        if clauses[own].sentence == clauses[clause].sentence && own.abs_diff(clause) <= 2 {
            injury.quote = scene.quote(own.min(clause), own.max(clause));
        }
    }
}

/// Adds names to `exercises_to_avoid`, each once.
pub(crate) fn add_exercises(value: &mut Map<String, Value>, names: &[&str]) {
    let list = value
        .entry("exercises_to_avoid")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        for name in names {
            if !list.iter().any(|v| v == name) {
                list.push(Value::from(*name));
            }
        }
    }
}
