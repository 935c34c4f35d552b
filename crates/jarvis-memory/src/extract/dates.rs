//! Relative dates in French and English, resolved at the day of the session.
//!
//! The answer keeps the precision of what was said: `2026`, `2026-01` or `2026-01-05`.

use super::number;
use super::token::Token;
use chrono::{Datelike, Days, Months, NaiveDate};

/// Month names by number; "may" and "march" are months only where a preposition announces them.
const MONTHS: &[(&str, u32)] = &[
    ("janvier", 1),
    ("fevrier", 2),
    ("mars", 3),
    ("avril", 4),
    ("mai", 5),
    ("juin", 6),
    ("juillet", 7),
    ("aout", 8),
    ("septembre", 9),
    ("octobre", 10),
    ("novembre", 11),
    ("decembre", 12),
    ("january", 1),
    ("february", 2),
    ("march", 3),
    ("april", 4),
    ("may", 5),
    ("june", 6),
    ("july", 7),
    ("august", 8),
    ("september", 9),
    ("october", 10),
    ("november", 11),
    ("december", 12),
];
const WEEKDAYS: &[(&str, u32)] = &[
    ("lundi", 0),
    ("mardi", 1),
    ("mercredi", 2),
    ("jeudi", 3),
    ("vendredi", 4),
    ("samedi", 5),
    ("dimanche", 6),
    ("monday", 0),
    ("tuesday", 1),
    ("wednesday", 2),
    ("thursday", 3),
    ("friday", 4),
    ("saturday", 5),
    ("sunday", 6),
];
/// Days of the year that people name: first days of seasons, holidays, back to school.
const NAMED: &[(&str, u32, u32)] = &[
    ("ete", 6, 21),
    ("summer", 6, 21),
    ("automne", 9, 22),
    ("autumn", 9, 22),
    ("hiver", 12, 21),
    ("winter", 12, 21),
    ("printemps", 3, 20),
    ("spring", 3, 20),
    ("noel", 12, 25),
    ("christmas", 12, 25),
    ("xmas", 12, 25),
    ("halloween", 10, 31),
    ("rentree", 9, 1),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Back,
    Ahead,
}

/// Since when, as in "depuis janvier", "il y a trois semaines", "for two months", "since Monday".
pub(crate) fn since(tokens: &[Token], today: NaiveDate) -> Option<String> {
    (0..tokens.len()).find_map(|i| {
        let rest = &tokens[i..];
        let ago = amount(&rest[1..])
            .filter(|(_, used)| word(rest, used + 1) == "ago" && i == 0)
            .or_else(|| amount(rest).filter(|(_, used)| word(rest, *used) == "ago"));
        if let Some((span, _)) = ago {
            return span.from(today, Direction::Back);
        }
        let skip = match word(rest, 0) {
            "depuis" | "since" => 1,
            "il" if word(rest, 1) == "y" && word(rest, 2) == "a" => 3,
            "ca" if word(rest, 1) == "fait" => 2,
            "for" => return amount(&rest[1..]).and_then(|(span, _)| span.from(today, Direction::Back)),
            "hier" | "yesterday" if i == 0 || tokens[i - 1].text != "d" => {
                return shifted(today, 1, Direction::Back);
            }
            _ => return None,
        };
        point(&rest[skip..], today, Direction::Back)
    })
}

/// Until when, as in "avant l'été", "d'ici trois mois", "en juin", "by Christmas", "cette année".
pub(crate) fn deadline(tokens: &[Token], today: NaiveDate) -> Option<String> {
    (0..tokens.len()).find_map(|i| {
        let rest = &tokens[i..];
        let skip = match word(rest, 0) {
            "avant" | "pour" | "before" | "by" | "until" | "dans" | "en" | "in" | "for" | "d" => 1,
            "au" if word(rest, 1) == "mois" => 3,
            "cet" | "cette" | "this" | "next" => 0,
            "la" | "le" | "l" | "au" if matches!(word(rest, 2), "prochain" | "prochaine") => 0,
            _ => return None,
        };
        let skip = skip + usize::from(matches!(word(rest, skip), "ici" | "the" | "end"));
        point(&rest[skip.min(rest.len())..], today, Direction::Ahead)
    })
}

fn word(tokens: &[Token], index: usize) -> &str {
    tokens.get(index).map_or("", |t| t.text.as_str())
}

/// A stretch of time: a number of days, or of calendar months.
#[derive(Clone, Copy)]
enum Stretch {
    Days(u64),
    Months(u32),
}

impl Stretch {
    fn from(self, today: NaiveDate, direction: Direction) -> Option<String> {
        match self {
            Self::Days(days) => shifted(today, days, direction),
            Self::Months(months) => {
                let month = Months::new(months);
                let date = match direction {
                    Direction::Back => today.checked_sub_months(month),
                    Direction::Ahead => today.checked_add_months(month),
                }?;
                let text = match (direction, months >= 12) {
                    (Direction::Back, true) => date.format("%Y"),
                    (Direction::Back, false) => date.format("%Y-%m"),
                    (Direction::Ahead, _) => date.format("%Y-%m-%d"),
                };
                Some(text.to_string())
            }
        }
    }
}

fn shifted(today: NaiveDate, days: u64, direction: Direction) -> Option<String> {
    let date = match direction {
        Direction::Back => today.checked_sub_days(Days::new(days)),
        Direction::Ahead => today.checked_add_days(Days::new(days)),
    };
    date.map(|d| d.to_string())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded to 0..=1200 just before"
)]
fn amount(tokens: &[Token]) -> Option<(Stretch, usize)> {
    let (value, used) = match word(tokens, 0) {
        "quelques" | "plusieurs" | "few" | "several" => return None,
        _ => number::parse(tokens)?,
    };
    let count = value.clamp(0.0, 1200.0).ceil() as u32;
    let stretch = match word(tokens, used) {
        "jour" | "jours" | "day" | "days" => Stretch::Days(u64::from(count)),
        "semaine" | "semaines" | "week" | "weeks" => Stretch::Days(u64::from(count) * 7),
        "mois" | "month" | "months" => Stretch::Months(count),
        "an" | "ans" | "annee" | "annees" | "year" | "years" => Stretch::Months(count * 12),
        _ => return None,
    };
    Some((stretch, used + 1))
}

/// A point in time at the start of `tokens`, after small words.
fn point(tokens: &[Token], today: NaiveDate, direction: Direction) -> Option<String> {
    let idle = |w: &str| {
        matches!(
            w,
            "le" | "la"
                | "les"
                | "l"
                | "cet"
                | "cette"
                | "ce"
                | "mois"
                | "de"
                | "d"
                | "debut"
                | "fin"
                | "the"
                | "of"
                | "this"
                | "about"
                | "environ"
                | "presque"
                | "early"
                | "late"
                | "au"
        )
    };
    if let Some((stretch, _)) = amount(tokens) {
        return stretch.from(today, direction);
    }
    let end_of_year = tokens
        .iter()
        .take(4)
        .any(|t| matches!(t.text.as_str(), "fin" | "end" | "cette" | "this"))
        && tokens
            .iter()
            .take(5)
            .any(|t| matches!(t.text.as_str(), "annee" | "year"));
    if end_of_year && direction == Direction::Ahead {
        return NaiveDate::from_ymd_opt(today.year(), 12, 31).map(|d| d.to_string());
    }
    let start = (0..tokens.len().min(4))
        .find(|i| !idle(word(tokens, *i)))
        .unwrap_or(0);
    let rest = &tokens[start..];
    if let Some((stretch, _)) = amount(rest) {
        return stretch.from(today, direction);
    }
    relative_unit(rest, today, direction).or_else(|| calendar(rest, today, direction))
}

/// "la semaine dernière", "last month", "l'année prochaine", "hier", "demain", "ce matin".
fn relative_unit(tokens: &[Token], today: NaiveDate, direction: Direction) -> Option<String> {
    let shift = |w: &str| {
        matches!(
            w,
            "dernier" | "derniere" | "passe" | "passee" | "last" | "prochain" | "prochaine" | "next"
        )
    };
    let (first, second) = (word(tokens, 0), word(tokens, 1));
    let unit = if shift(first) { second } else { first };
    match first {
        "hier" | "yesterday" => return shifted(today, 1, Direction::Back),
        "demain" | "tomorrow" => return shifted(today, 1, Direction::Ahead),
        "matin" | "morning" if direction == Direction::Back => return shifted(today, 0, direction),
        "aujourd" | "today" => return shifted(today, 0, direction),
        _ if !(shift(first) || shift(second)) => return None,
        _ => {}
    }
    match unit {
        "semaine" | "week" => shifted(today, 7, direction),
        "mois" | "month" => {
            let one = Months::new(1);
            let date = match direction {
                Direction::Back => today.checked_sub_months(one),
                Direction::Ahead => today.checked_add_months(one),
            };
            date.map(|d| d.format("%Y-%m").to_string())
        }
        "an" | "annee" | "year" => {
            let year = today.year() + if direction == Direction::Back { -1 } else { 1 };
            Some(year.to_string())
        }
        _ => calendar(&tokens[usize::from(shift(first))..], today, direction),
    }
}

/// "janvier", "le 3 mars", "lundi", "Noël", "l'été", "2019".
fn calendar(tokens: &[Token], today: NaiveDate, direction: Direction) -> Option<String> {
    let first = word(tokens, 0);
    if let Some((_, weekday)) = WEEKDAYS.iter().find(|(name, _)| *name == first) {
        let current = today.weekday().num_days_from_monday();
        let days = match direction {
            Direction::Back => (current + 7 - weekday) % 7,
            Direction::Ahead => (weekday + 7 - current) % 7,
        };
        return shifted(today, u64::from(if days == 0 { 7 } else { days }), direction);
    }
    if let Some((_, month, day)) = NAMED.iter().find(|(name, _, _)| *name == first) {
        return dated(today, *month, *day, direction).map(|d| d.to_string());
    }
    if let Some(month) = month(first) {
        let said = word(tokens, 1)
            .parse::<i32>()
            .ok()
            .filter(|year| (1950..=2100).contains(year));
        let year = said.or_else(|| Some(dated(today, month, 1, direction)?.year()))?;
        return Some(format!("{year:04}-{month:02}"));
    }
    if let (Ok(day), Some(month)) = (first.parse::<u32>(), month(word(tokens, 1))) {
        return dated(today, month, day, direction).map(|d| d.to_string());
    }
    let year = first
        .parse::<i32>()
        .ok()
        .filter(|year| (1950..=2100).contains(year))?;
    Some(year.to_string())
}

fn month(word: &str) -> Option<u32> {
    MONTHS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, month)| *month)
}

/// The nearest such day in the direction. A month that runs now counts as this year's, ahead and back.
fn dated(today: NaiveDate, month: u32, day: u32, direction: Direction) -> Option<NaiveDate> {
    let this_year = NaiveDate::from_ymd_opt(today.year(), month, day)?;
    let year = match direction {
        Direction::Back if this_year > today => today.year() - 1,
        Direction::Ahead if this_year < today && month != today.month() => today.year() + 1,
        _ => today.year(),
    };
    NaiveDate::from_ymd_opt(year, month, day)
}

#[cfg(test)]
mod tests {
    use super::super::token::tokenize;
    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 3, 18).unwrap()
    }

    #[test]
    fn beginnings_resolve_backwards_from_the_session() {
        let cases = [
            ("mal au genou depuis janvier", "2026-01"),
            ("depuis novembre", "2025-11"),
            ("depuis trois semaines", "2026-02-25"),
            ("depuis hier soir", "2026-03-17"),
            ("depuis lundi", "2026-03-16"),
            ("depuis la semaine dernière", "2026-03-11"),
            ("depuis l'été dernier", "2025-06-21"),
            ("depuis l'année dernière", "2025"),
            ("il y a deux ans", "2024"),
            ("since last month", "2026-02"),
            ("three weeks ago", "2026-02-25"),
            ("for two months", "2026-01"),
            ("depuis 2019", "2019"),
            ("depuis le 3 mars", "2026-03-03"),
        ];
        for (text, date) in cases {
            assert_eq!(since(&tokenize(text), today()).as_deref(), Some(date), "{text}");
        }
        for none in [
            "j'ai mal au dos",
            "depuis longtemps",
            "huit kilos",
            "il y a du monde",
        ] {
            assert_eq!(since(&tokenize(none), today()), None, "{none}");
        }
    }

    #[test]
    fn deadlines_resolve_forwards_from_the_session() {
        let cases = [
            ("cinq kilos avant l'été", "2026-06-21"),
            ("un trail en juin", "2026-06"),
            ("d'ici Noël", "2026-12-25"),
            ("d'ici trois mois", "2026-06-18"),
            ("before summer", "2026-06-21"),
            ("by the end of the year", "2026-12-31"),
            ("cette année", "2026-12-31"),
            ("in two months", "2026-05-18"),
            ("avant janvier", "2027-01"),
            ("la semaine prochaine", "2026-03-25"),
            ("next month", "2026-04"),
        ];
        for (text, date) in cases {
            assert_eq!(
                deadline(&tokenize(text), today()).as_deref(),
                Some(date),
                "{text}"
            );
        }
        for none in [
            "pour le mariage",
            "deux fois par semaine",
            "le matin",
            "en musique",
            "dix kilos",
        ] {
            assert_eq!(deadline(&tokenize(none), today()), None, "{none}");
        }
    }
}
