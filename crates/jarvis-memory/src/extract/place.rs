//! Where a trouble sits: a part of the body, its side, and lists of such places.

use super::clause::Clause;
use super::found::{Found, Scene, put};
use super::injury::trouble;
use super::lexicon::{self, Section};
use super::pattern::{Match, Rule};
use serde_json::{Map, Value};
use std::ops::Range;

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

/// "au dos et à l'épaule": the same trouble in further places. Returns where the list ends.
pub(super) fn more_places(
    scene: &Scene<'_, '_>,
    index: usize,
    rule: &Rule,
    hit: &Match,
    found: &mut Vec<Found>,
) -> usize {
    let mut at = hit.tokens.end;
    if hit.entry(Section::Body).is_none() {
        return at;
    }
    let clauses = &scene.reading.clauses;
    at = listed_places(scene, index, rule, hit, at..clauses[index].tokens.end, found);
    if let Some(next) = list_goes_on(scene, index) {
        listed_places(scene, index, rule, hit, next, found);
    }
    at
}

/// The places listed within some words; returns where the list ends.
fn listed_places(
    scene: &Scene<'_, '_>,
    index: usize,
    rule: &Rule,
    hit: &Match,
    words: Range<usize>,
    found: &mut Vec<Found>,
) -> usize {
    let (mut at, end) = (words.start, words.end);
    loop {
        let mut next = at;
        while next < end && next - at < 6 && is_list_word(scene.reading.word(next)) {
            next += 1;
        }
        let tokens = &scene.reading.tokens[next..end];
        let Some((part, used)) = lexicon::lookup(Section::Body, tokens).filter(|_| next > at) else {
            return at;
        };
        at = next + used;
        let side = lexicon::lookup(Section::Side, &scene.reading.tokens[at..end]);
        at += side.map_or(0, |(_, used)| used);
        let place = Place {
            part: Some(part),
            side: side.map(|(side, _)| side),
        };
        found.push(trouble(scene, index, rule, hit, &place));
    }
}

/// ", et aussi un peu au dos": the next clause of the sentence goes on with the list, without a subject.
fn list_goes_on(scene: &Scene<'_, '_>, index: usize) -> Option<Range<usize>> {
    let clauses = &scene.reading.clauses;
    let next = clauses.get(index + 1)?;
    let opens = matches!(
        scene.reading.word(next.tokens.start),
        "et" | "and" | "aussi" | "also" | "puis"
    );
    let goes_on = opens && next.sentence == clauses[index].sentence && next.tokens.len() <= 8;
    goes_on.then(|| next.tokens.clone())
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
            | "also"
            | "un"
            | "peu"
            | "dans"
    )
}

/// A body part and its side.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub part: Option<&'static str>,
    pub side: Option<&'static str>,
}

impl Place {
    pub fn of(scene: &Scene<'_, '_>, hit: &Match, clause: &Clause) -> Self {
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
    pub fn location(&self) -> Option<String> {
        let part = self.part?;
        Some(
            self.side
                .map_or_else(|| part.to_owned(), |side| format!("{side}_{part}")),
        )
    }

    /// As keys name it: `knee_right`.
    pub fn key(&self) -> Option<String> {
        let part = self.part?;
        Some(
            self.side
                .map_or_else(|| part.to_owned(), |side| format!("{part}_{side}")),
        )
    }

    pub fn describe(&self, value: &mut Map<String, Value>) {
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
