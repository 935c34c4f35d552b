//! The turns of a conversation as recall finds them: each with the words around it, and the direction in which it and
//! its neighbours point.

use crate::extract::{self, Speaker, Turn, mask_health};
use crate::facts::FORGOTTEN_MASK;
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use jarvis_core::Language;
use jarvis_db::queries::window::NewWindow;

/// How much of a turn's neighbours goes into its direction. From .4 to .7 no figure of LoCoMo moves by more than .01.
const NEIGHBOURS: f32 = 0.5;
/// Turns before, and after, that belong to a turn's window.
const BEFORE: usize = 2;
const AFTER: usize = 1;
/// Characters of one conversation that are embedded at most, some two hours of talk: later turns are found by their
/// words. A local model takes about a third of a millisecond a character.
const MAX_EMBEDDED_CHARS: usize = 60_000;

/// One turn, and when it was.
#[derive(Debug, Clone, Copy)]
pub struct Spoken<'a> {
    /// The turn, health already masked if it must be.
    pub turn: &'a Turn,
    /// When.
    pub at: DateTime<Utc>,
}

/// Turns around one that change its direction.
pub(crate) const REACH: (usize, usize) = (BEFORE, AFTER);

/// The vectors of turns, in their order; none for those that have none.
pub type TurnVectors = Vec<Option<Vec<f32>>>;

/// What of the turns is embedded, from the first on.
pub fn texts(turns: &[Turn]) -> Vec<String> {
    let mut left = MAX_EMBEDDED_CHARS;
    let texts = turns.iter().map(|turn| words_of(&turn.text));
    let fits = texts.take_while(|text| {
        let length = text.chars().count();
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    fits.collect()
}

/// A day as people say it, so that "en mars" finds what was said in March.
fn spelled(day: NaiveDate, language: Language) -> String {
    let months = language.months();
    let month = usize::try_from(day.month0()).ok().and_then(|m| months.get(m));
    format!("{} {} {}", day.day(), month.unwrap_or(&""), day.year())
}

/// What a turn is found by: its words without the masks in them.
pub(crate) fn words_of(text: &str) -> String {
    text.replace(extract::HEALTH_MASK, " ")
        .replace(FORGOTTEN_MASK, " ")
}

/// The rows of a conversation. Turns without a word, and those that no event carried, are left out.
pub fn build<'a>(
    spoken: &[Spoken<'a>],
    vectors: &[Option<Vec<f32>>],
    language: Language,
    day: NaiveDate,
) -> Vec<NewWindow<'a>> {
    let day = spelled(day, language);
    let window = |(place, here): (usize, &Spoken<'a>)| {
        let own_words = words_of(&here.turn.text);
        if !own_words.chars().any(char::is_alphanumeric) {
            return None;
        }
        let mut other_words: Vec<String> = neighbours(place, spoken.len())
            .filter_map(|other| spoken.get(other).map(|s| words_of(&s.turn.text)))
            .collect();
        other_words.push(day.clone());
        Some(NewWindow {
            event: here.turn.event_id?,
            speaker: match here.turn.speaker {
                Speaker::Member => "member",
                Speaker::Assistant => "assistant",
            },
            said: &here.turn.text,
            own_words,
            other_words: other_words.join("\n"),
            said_at: here.at,
            tells_health: mask_health(&here.turn.text, language).spans > 0,
            embedding: direction(vectors, place),
        })
    };
    spoken.iter().enumerate().filter_map(window).collect()
}

/// The places of the turns that belong to a turn's window beside itself.
fn neighbours(place: usize, turns: usize) -> impl Iterator<Item = usize> {
    (place.saturating_sub(BEFORE)..(place + AFTER + 1).min(turns)).filter(move |other| *other != place)
}

/// The turn's vector and a part of its neighbours', unit length; none when it has none itself.
pub(crate) fn direction(vectors: &[Option<Vec<f32>>], place: usize) -> Option<Vec<f32>> {
    let of = |place: usize| vectors.get(place).and_then(Option::as_deref);
    let mut sum = of(place)?.to_vec();
    for other in neighbours(place, vectors.len()).filter_map(of) {
        for (x, y) in sum.iter_mut().zip(other) {
            *x += NEIGHBOURS * y;
        }
    }
    let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm <= 1e-6 {
        return None;
    }
    for x in &mut sum {
        *x /= norm;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jarvis_core::EventId;
    use uuid::Uuid;

    fn turn(number: u128, speaker: Speaker, text: &str) -> Turn {
        Turn {
            speaker,
            text: text.to_owned(),
            confidence: None,
            event_id: Some(EventId::from(Uuid::from_u128(number))),
        }
    }

    fn rows<'a>(turns: &'a [Turn], vectors: &[Option<Vec<f32>>]) -> Vec<NewWindow<'a>> {
        let at = DateTime::UNIX_EPOCH;
        let spoken: Vec<_> = turns.iter().map(|turn| Spoken { turn, at }).collect();
        let day = NaiveDate::from_ymd_opt(2026, 3, 18).unwrap();
        build(&spoken, vectors, Language::Fr, day)
    }

    #[test]
    fn a_window_has_two_turns_before_one_after_and_the_day() {
        let turns: Vec<Turn> = ["un", "deux", "trois", "quatre", "cinq"]
            .iter()
            .zip(1..)
            .map(|(text, n)| turn(n, Speaker::Member, text))
            .collect();
        let rows = rows(&turns, &[]);
        assert_eq!(rows[2].own_words, "trois");
        assert_eq!(rows[2].other_words, "un\ndeux\nquatre\n18 mars 2026");
        assert_eq!(rows[0].other_words, "deux\n18 mars 2026");
        assert_eq!(rows[4].other_words, "trois\nquatre\n18 mars 2026");
    }

    #[test]
    fn what_is_masked_or_silent_is_nothing_to_be_found_by() {
        let turns = [
            turn(1, Speaker::Member, extract::HEALTH_MASK),
            turn(2, Speaker::Assistant, "…"),
            turn(
                3,
                Speaker::Member,
                &format!("Je viens mardi, {}", extract::HEALTH_MASK),
            ),
        ];
        let rows = rows(&turns, &[]);
        assert_eq!(rows.len(), 1);
        assert!(!rows[0].own_words.contains(extract::HEALTH_MASK));
        assert!(!rows[0].other_words.contains(extract::HEALTH_MASK));
    }

    #[test]
    fn a_turn_points_where_it_and_its_neighbours_point() {
        let turns = [
            turn(1, Speaker::Member, "un"),
            turn(2, Speaker::Assistant, "deux"),
            turn(3, Speaker::Member, "trois"),
        ];
        let (x, y) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        let rows = rows(&turns, &[Some(x), Some(y), None]);
        let first = rows[0].embedding.clone().unwrap();
        assert!(
            (first[0] - 0.894).abs() < 1e-3 && (first[1] - 0.447).abs() < 1e-3,
            "{first:?}"
        );
        assert_eq!(rows[2].embedding, None, "no direction of its own");
    }
}
