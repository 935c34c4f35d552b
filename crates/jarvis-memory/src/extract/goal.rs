//! What the member wants to reach.

use super::clause::Clause;
use super::dates;
use super::found::{Found, Scene, put, put_number};
use super::lexicon::Section;
use super::number;
use super::pattern::{Match, Rule, rules};
use super::reading::Negation;
use jarvis_core::Category;
use serde_json::Map;
use std::ops::Range;
use std::sync::LazyLock;

static LEADS: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/goal_leads.rules")));
static CONTENT: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/goal.rules")));

/// Kinds of which a member has one for each named thing, not one at all.
const MANY: &[&str] = &["run", "event", "strength", "skill", "endurance"];

/// Every goal told in a turn.
pub(crate) fn find(scene: &Scene<'_, '_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (index, clause) in scene.reading.clauses.iter().enumerate() {
        if scene.reading.is_statement(index) {
            let mut leads = leads(scene, clause);
            let told = leads.find_map(|(rule, lead)| Some((goal(scene, index, rule, &lead)?, rule, lead)));
            if let Some((first, rule, lead)) = told {
                let more = more_goals(scene, index, rule, &lead, &first.key);
                found.push(first);
                found.extend(more);
            }
        }
    }
    found
}

/// "perdre du gras, gagner en souplesse et dormir mieux": what the same wish goes on with, each as a goal of its own.
fn more_goals(
    scene: &Scene<'_, '_>,
    index: usize,
    lead_rule: &Rule,
    lead: &Match,
    first: &str,
) -> Vec<Found> {
    let reading = scene.reading;
    let clauses = &reading.clauses;
    let mut found: Vec<Found> = Vec::new();
    for at in index..clauses.len().min(index + 4) {
        let clause = &clauses[at];
        if clause.sentence != clauses[index].sentence || (at > index && !goes_on(scene, clause)) {
            break;
        }
        let mut rest = clause.tokens.clone();
        rest.start = if at == index { lead.tokens.end } else { rest.start };
        while let Some((rule, hit)) = content(scene, &rest) {
            let linked = (hit.tokens.start.saturating_sub(3)..hit.tokens.start)
                .any(|i| matches!(reading.word(i), "et" | "and" | "puis" | "plus"));
            let counted = number::parse(reading.words(&hit.tokens)).is_some();
            let opens = at > index && !counted && hit.tokens.start <= clause.tokens.start + 2;
            let mut value = Map::new();
            let key = describe(rule, &hit, &mut value);
            if (linked || opens) && key != first && found.iter().all(|f| f.key != key) {
                found.push(Found {
                    category: Category::Goal,
                    key,
                    value,
                    quote: scene.quote(at, at),
                    clause: at,
                    confidence: scene.confidence(lead_rule.get("c"), clause),
                    health: false,
                    still_true: true,
                });
            }
            rest.start = hit.tokens.end;
        }
    }
    found
}

/// A clause without a subject of its own carries on the wish before it.
fn goes_on(scene: &Scene<'_, '_>, clause: &Clause) -> bool {
    let mut words = clause.tokens.clone().map(|i| scene.reading.word(i));
    !clause.question
        && !words.any(|word| {
            matches!(
                word,
                "je" | "j"
                    | "i"
                    | "il"
                    | "elle"
                    | "on"
                    | "tu"
                    | "c"
                    | "ca"
                    | "it"
                    | "mais"
                    | "but"
                    | "pas"
                    | "not"
            )
        })
}

fn leads<'s>(
    scene: &'s Scene<'_, '_>,
    clause: &'s Clause,
) -> impl Iterator<Item = (&'static Rule, Match)> + 's {
    LEADS.iter().filter_map(|rule| {
        let hit = rule.find(&scene.reading.tokens, &clause.tokens)?;
        scene.counts(&hit, clause).then_some((rule, hit))
    })
}

fn goal(scene: &Scene<'_, '_>, index: usize, lead_rule: &Rule, lead: &Match) -> Option<Found> {
    let reading = scene.reading;
    let clause = &reading.clauses[index];
    if is_for_today(scene, clause) {
        return None;
    }
    // A wish may name its number before its end ("j'ai cinq kilos à perdre").
    let whole = lead.number().is_some() || lead_rule.get("whole").is_some();
    if lead_rule.get("first").is_some() && index > 0 {
        return None;
    }
    let from = if whole { lead.tokens.start } else { lead.tokens.end };
    let here = from..clause.tokens.end;
    let refrains = refrains(scene, &here);
    let own = content(scene, &here).map(|c| (c, index));
    let told = own.or_else(|| content_after(scene, index)).filter(|_| !refrains);
    let (content, last) = told.map_or((None, index), |(c, last)| (Some(c), last));
    let negated = wish_negation(scene, lead, clause, content.as_ref().map(|(_, hit)| hit));
    let still_true = match negated {
        Negation::Not if !refrains => return None,
        Negation::NoLonger if !refrains => false,
        _ => true,
    };
    let mut value = Map::new();
    let key = match &content {
        Some((rule, hit)) => describe(rule, hit, &mut value),
        None if lead_rule.get("explicit").is_some() => other(scene, &here, &mut value)?,
        None => return None,
    };
    let sentence = reading.sentences[clause.sentence].tokens.clone();
    let deadline = dates::deadline(reading.words(&here), scene.today)
        .or_else(|| dates::deadline(reading.words(&(sentence.start..from)), scene.today))
        .or_else(|| next_clause_deadline(scene, index));
    if let Some(deadline) = deadline {
        put(&mut value, "deadline", deadline);
    }
    Some(Found {
        category: Category::Goal,
        key,
        value,
        quote: scene.quote(index, last),
        clause: index,
        confidence: scene.confidence(lead_rule.get("c"), clause),
        health: false,
        still_true,
    })
}

/// What one wants to do now is a plan for this hour, not a goal.
fn is_for_today(scene: &Scene<'_, '_>, clause: &Clause) -> bool {
    clause.tokens.clone().any(|i| {
        let word = scene.reading.word(i);
        matches!(word, "aujourd" | "today" | "tonight" | "demain" | "tomorrow")
            || (word == "ce" && matches!(scene.reading.word(i + 1), "soir" | "matin" | "midi"))
            || (word == "right" && scene.reading.word(i + 1) == "now")
            || (word == "tout" && scene.reading.word(i + 1) == "de" && scene.reading.word(i + 2) == "suite")
    })
}

/// "… de ne plus avoir mal": what is wished is an end, so that no word of it is a kind of goal.
fn refrains(scene: &Scene<'_, '_>, words: &Range<usize>) -> bool {
    words.clone().take(3).any(|i| {
        let word = scene.reading.word(i);
        word == "ne" && matches!(scene.reading.word(i + 1), "pas" | "plus" | "jamais")
    })
}

fn content(scene: &Scene<'_, '_>, range: &Range<usize>) -> Option<(&'static Rule, Match)> {
    CONTENT
        .iter()
        .find_map(|rule| rule.find(&scene.reading.tokens, range).map(|hit| (rule, hit)))
}

/// "J'ai un objectif, c'est de perdre …": the wish is in the clause that follows.
fn content_after(scene: &Scene<'_, '_>, index: usize) -> Option<((&'static Rule, Match), usize)> {
    let next = scene.reading.clauses.get(index + 1)?;
    let same = next.sentence == scene.reading.clauses[index].sentence && !next.question;
    let opens = matches!(
        scene.reading.word(next.tokens.start),
        "c" | "de" | "d" | "to" | "perdre" | "courir"
    );
    let told = (same && (opens || goes_on(scene, next)))
        .then(|| content(scene, &next.tokens))
        .flatten();
    told.filter(|(_, hit)| opens || hit.tokens.start <= next.tokens.start + 1)
        .map(|content| (content, index + 1))
}

fn next_clause_deadline(scene: &Scene<'_, '_>, index: usize) -> Option<String> {
    let next = scene.reading.clauses.get(index + 1)?;
    let opens = matches!(
        scene.reading.word(next.tokens.start),
        "avant" | "d" | "pour" | "before" | "by"
    );
    opens
        .then(|| dates::deadline(scene.reading.words(&next.tokens), scene.today))
        .flatten()
}

/// "je ne veux pas …", "je ne veux plus …"; not the "plus" of "courir plus vite".
fn wish_negation(scene: &Scene<'_, '_>, lead: &Match, clause: &Clause, content: Option<&Match>) -> Negation {
    let end = content.map_or(lead.tokens.end + 2, |c| c.tokens.start.max(lead.tokens.end));
    let around = lead.tokens.start..end.min(clause.tokens.end).max(lead.tokens.end);
    let window = Match {
        tokens: around.clone(),
        captures: Vec::new(),
    };
    let negation = scene.reading.negation(&window, clause);
    let given_up = around.clone().any(|i| {
        scene.reading.word(i) == "plus" && matches!(scene.reading.word(i + 1), "envie" | "besoin" | "hate")
    });
    if given_up {
        return Negation::NoLonger;
    }
    let denied = around
        .clone()
        .any(|i| matches!(scene.reading.word(i), "n" | "ne"));
    if negation == Negation::NoLonger && !denied {
        Negation::None
    } else {
        negation
    }
}

fn describe(rule: &Rule, hit: &Match, value: &mut Map<String, serde_json::Value>) -> String {
    let kind = rule.get("kind").unwrap_or("other");
    put(value, "kind", kind);
    if let Some(number) = hit.number() {
        put_number(value, "target", number);
    }
    if let Some(unit) = rule.get("unit") {
        put(value, "unit", unit);
    }
    let what = rule
        .get("what")
        .or_else(|| hit.entry(Section::Exercise))
        .or_else(|| hit.entry(Section::Subject));
    if let Some(what) = what {
        put(value, "what", what);
    }
    match what.filter(|_| MANY.contains(&kind)) {
        Some(what) => format!("{kind}_{what}"),
        None => kind.to_owned(),
    }
}

/// An explicit goal in words no rule knows keeps those words.
fn other(
    scene: &Scene<'_, '_>,
    words: &Range<usize>,
    value: &mut Map<String, serde_json::Value>,
) -> Option<String> {
    let named = words.len() > 1 || (words.len() == 1 && number::parse(scene.reading.words(words)).is_some());
    if !named {
        return None;
    }
    let detail = scene.reading.text.get(scene.reading.span(words))?;
    put(value, "kind", "other");
    put(value, "detail", detail.chars().take(120).collect::<String>());
    Some("other".to_owned())
}
