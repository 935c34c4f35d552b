//! What the member likes, dislikes and is used to.

use super::clause::Clause;
use super::found::{Found, Scene, put};
use super::lexicon::{self, Section};
use super::pattern::{Match, Rule, rules};
use super::reading::Negation;
use super::token::Token;
use jarvis_core::Category;
use serde_json::Map;
use std::sync::LazyLock;

static LEADS: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/preference_leads.rules")));
static WHOLE: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(include_str!("rules/preference.rules")));

/// Words before the name of a subject.
const OPENERS: &[&str] = &[
    "le", "la", "les", "l", "un", "une", "des", "de", "du", "d", "the", "a", "an", "my", "mes", "mon", "ma",
    "to", "faire", "doing", "tous", "toutes", "all", "trop", "vraiment", "really", "qu", "que", "on", "me",
    "m", "quand", "when", "avoir", "having", "avec", "with", "sur", "en", "plutot", "tout", "ce", "qui",
    "est",
];
/// Words that name no subject of the gym, or none at all.
const UNNAMED: &[&str] = &[
    "ca", "cela", "that", "this", "you", "him", "her", "them", "lui", "pas", "not", "rien", "nothing",
    "etre", "being", "rentrer", "attendre", "rester", "demander", "savoir", "dire", "job", "work", "boulot",
    "travail", "vie", "life", "salle", "gym", "place", "club", "monde", "idee", "fait", "moi", "toi", "vous",
    "autre", "coach", "aussi", "voir",
];

/// Every preference told in a turn; `taken` are clauses that say something else.
pub(crate) fn find(scene: &Scene<'_, '_>, taken: &[usize]) -> Vec<Found> {
    let clauses = scene.reading.clauses.iter().enumerate();
    let free = clauses.filter(|(i, _)| scene.reading.is_statement(*i) && !taken.contains(i));
    free.flat_map(|(index, clause)| match whole(scene, index, clause) {
        Some(found) => vec![found],
        None => led(scene, index, clause),
    })
    .collect()
}

fn whole(scene: &Scene<'_, '_>, index: usize, clause: &Clause) -> Option<Found> {
    let (rule, hit) = WHOLE.iter().find_map(|rule| {
        let hit = rule.find(&scene.reading.tokens, &clause.tokens)?;
        scene.counts(&hit, clause).then_some((rule, hit))
    })?;
    let subject = rule.get("subject")?;
    if matches!(subject, "training_time" | "training_company")
        && scene.reading.negation(&hit, clause) != Negation::None
    {
        return None;
    }
    let stance = rule.get("stance").unwrap_or("habit");
    let time = (subject == "training_time").then(|| times(scene, clause));
    let without = scene.reading.negation(&hit, clause) != Negation::None;
    let word = || said(scene, &hit).map(|word| if without { format!("no {word}") } else { word });
    let detail = rule.get("detail").map(str::to_owned).or(time).or_else(word);
    let mut found = found(scene, index, (subject.to_owned(), stance, detail), rule);
    found.health = rule.get("health").is_some();
    Some(found)
}

fn said(scene: &Scene<'_, '_>, hit: &Match) -> Option<String> {
    let last = hit.tokens.end.checked_sub(1)?;
    Some(scene.reading.word(last).chars().take(40).collect())
}

/// "le mardi et le jeudi": every time named in the clause.
fn times(scene: &Scene<'_, '_>, clause: &Clause) -> String {
    let mut names: Vec<&str> = Vec::new();
    for at in clause.tokens.clone() {
        if let Some((name, _)) = lexicon::lookup(Section::Time, &scene.reading.tokens[at..clause.tokens.end])
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names.join(", ")
}

/// A stance, then what it is about.
fn led(scene: &Scene<'_, '_>, index: usize, clause: &Clause) -> Vec<Found> {
    let leads = LEADS.iter().filter_map(|rule| {
        let hit = rule.find(&scene.reading.tokens, &clause.tokens)?;
        scene.counts(&hit, clause).then_some((rule, hit))
    });
    let mut told = leads.map(|(rule, hit)| led_by(scene, index, rule, &hit));
    told.find(|found| !found.is_empty()).unwrap_or_default()
}

/// What one beginning leads to: a subject the lexicon knows or, after a strong verb, whatever is named.
fn led_by(scene: &Scene<'_, '_>, index: usize, rule: &Rule, hit: &Match) -> Vec<Found> {
    let clause = &scene.reading.clauses[index];
    let Some(stance) = stance(scene, rule, hit, clause) else {
        return Vec::new();
    };
    let open = rule.get("open").is_some();
    let after = scene.reading.words(&(hit.tokens.end..clause.tokens.end));
    let before = scene.reading.words(&(clause.tokens.start..hit.tokens.start));
    if is_about_a_situation(after) && !(open && stance == "like") {
        return Vec::new();
    }
    let topic = subject(after)
        .or_else(|| subject(scene.reading.words(&hit.tokens)))
        .or_else(|| subject(before))
        .or_else(|| earlier_topic(scene, index, after.is_empty()));
    let Some(topic) = topic else {
        let words = if after.is_empty() { before } else { after };
        let named = open.then(|| named(scene, words)).flatten();
        return named
            .map(|(subject, detail)| vec![found(scene, index, (subject, stance, Some(detail)), rule)])
            .unwrap_or_default();
    };
    let more = further(after).into_iter().filter(|more| *more != topic);
    let topics = std::iter::once(topic).chain(more);
    topics
        .map(|topic| {
            let detail = (topic == "training_time").then(|| times(scene, clause));
            found(scene, index, (topic.to_owned(), stance, detail), rule)
        })
        .collect()
}

/// "je déteste les exercices au sol": the key of a subject that no lexicon knows, and its words.
fn named(scene: &Scene<'_, '_>, words: &[Token]) -> Option<(String, String)> {
    let first = words.iter().position(|t| !OPENERS.contains(&t.text.as_str()))?;
    let word = words[first].text.as_str();
    let plain = word.len() > 2 && word.chars().all(|c| c.is_ascii_alphabetic());
    if !plain || UNNAMED.contains(&word) {
        return None;
    }
    let last = words.get(..words.len().min(first + 8))?.last()?;
    let detail = scene.reading.text.get(words[first].start..last.end)?;
    let word: String = word.chars().take(24).collect();
    Some((format!("other_{word}"), detail.chars().take(80).collect()))
}

/// "j'aime pas quand …", "I hate waiting for …": what is named further on is not what is disliked.
fn is_about_a_situation(words: &[Token]) -> bool {
    let opening = words.iter().take(3);
    opening.into_iter().any(|t| {
        matches!(
            t.text.as_str(),
            "quand" | "when" | "waiting" | "attendre" | "que" | "qu" | "how" | "comment"
        )
    })
}

/// "les burpees ni les fentes": what follows the first topic in the same list.
fn further(words: &[Token]) -> Vec<&'static str> {
    let mut found = Vec::new();
    let Some((_, at, used)) = lexicon::first_in(Section::Subject, words) else {
        return found;
    };
    let mut next = at + used;
    let mut linked = false;
    while next < words.len() {
        if let Some((topic, used)) = lexicon::lookup(Section::Subject, &words[next..]) {
            if !linked {
                break;
            }
            found.push(topic);
            next += used;
            linked = false;
        } else if matches!(
            words[next].text.as_str(),
            "et" | "ni"
                | "and"
                | "or"
                | "nor"
                | "le"
                | "la"
                | "les"
                | "l"
                | "the"
                | "plutot"
                | "aussi"
                | "also"
                | "surtout"
        ) {
            linked = true;
            next += 1;
        } else {
            break;
        }
    }
    found
}

/// "Le rameur, j'adore": the topic stands in the clause before.
fn earlier_topic(scene: &Scene<'_, '_>, index: usize, bare: bool) -> Option<&'static str> {
    let before = scene.reading.clauses.get(index.checked_sub(1)?)?;
    let near = before.tokens.len() <= 4 && bare && before.sentence == scene.reading.clauses[index].sentence;
    near.then(|| subject(scene.reading.words(&before.tokens)))
        .flatten()
}

fn subject(words: &[Token]) -> Option<&'static str> {
    let topic = lexicon::first_in(Section::Subject, words);
    let time = lexicon::first_in(Section::Time, words);
    let exercise = || lexicon::first_in(Section::Exercise, words).map(|(name, _, _)| name);
    match (topic, time) {
        (Some((topic, at, _)), Some((_, when, _))) => Some(if at <= when { topic } else { "training_time" }),
        (Some((topic, _, _)), None) => Some(topic),
        (None, Some(_)) => Some("training_time"),
        (None, None) => exercise(),
    }
}

/// A liking that is denied is a dislike; a dislike that is denied is nothing.
fn stance(scene: &Scene<'_, '_>, rule: &Rule, hit: &Match, clause: &Clause) -> Option<&'static str> {
    let said = rule.get("stance")?;
    if said == "dislike" {
        return Some(said);
    }
    // "j'aime plus courir" is heard for both "je n'aime plus" and "j'aime davantage".
    if scene.reading.word(hit.tokens.end) == "plus" {
        return None;
    }
    match scene.reading.negation(hit, clause) {
        Negation::None => Some(said),
        Negation::Not | Negation::NoLonger => Some("dislike"),
    }
}

fn found(scene: &Scene<'_, '_>, index: usize, what: (String, &str, Option<String>), rule: &Rule) -> Found {
    let (subject, stance, detail) = what;
    let clause = &scene.reading.clauses[index];
    let mut value = Map::new();
    put(&mut value, "subject", subject.clone());
    put(&mut value, "stance", stance);
    if let Some(detail) = detail.filter(|d| !d.is_empty()) {
        put(&mut value, "detail", detail);
    }
    Found {
        category: Category::Preference,
        key: subject,
        value,
        quote: scene.quote(index, index),
        clause: index,
        confidence: scene.confidence(rule.get("c"), clause),
        health: false,
        still_true: true,
    }
}
