//! Days and moments, as French and English write them.

use super::period::Period;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;
use jarvis_core::Language;

const DAYS_FR: [&str; 7] = [
    "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche",
];
const DAYS_EN: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

fn french(language: Language) -> bool {
    language.message_language() == Language::Fr
}

fn month(date: NaiveDate, language: Language) -> &'static str {
    language.months()[date.month0() as usize]
}

fn weekday(day: Weekday, language: Language) -> &'static str {
    let names = if french(language) { &DAYS_FR } else { &DAYS_EN };
    names[day.num_days_from_monday() as usize]
}

/// `2 mars 2026`, `1er mars 2026`, `2 March 2026`.
fn date(date: NaiveDate, language: Language) -> String {
    let ordinal = if french(language) && date.day() == 1 {
        "er"
    } else {
        ""
    };
    format!(
        "{}{ordinal} {} {}",
        date.day(),
        month(date, language),
        date.year()
    )
}

/// A period: `lundi 2 mars 2026`, `du 2 mars 2026 au 8 mars 2026`, `mars 2026`.
pub fn period(period: Period, language: Language) -> String {
    let Period { first, last } = period;
    let whole_month = first.day() == 1 && (last + Days::new(1)).day() == 1 && first.month() == last.month();
    if first == last {
        format!("{} {}", weekday(first.weekday(), language), date(first, language))
    } else if whole_month {
        format!("{} {}", month(first, language), first.year())
    } else if french(language) {
        format!("du {} au {}", date(first, language), date(last, language))
    } else {
        format!("{} to {}", date(first, language), date(last, language))
    }
}

/// A moment, by the clocks of a zone: `9 mars 2026 à 07:00`, `9 March 2026 at 07:00`.
pub fn moment(at: DateTime<Utc>, zone: Tz, language: Language) -> String {
    let local = at.with_timezone(&zone);
    let between = if french(language) { "à" } else { "at" };
    format!(
        "{} {between} {}",
        date(local.date_naive(), language),
        local.format("%H:%M")
    )
}

/// A day on an axis: `lun. 2`, `Mon 2`.
pub fn short_day(date: NaiveDate, language: Language) -> String {
    let name: String = weekday(date.weekday(), language).chars().take(3).collect();
    let point = if french(language) { "." } else { "" };
    format!("{name}{point} {}", date.day())
}

/// How long: in hours below two days, in days from there.
pub fn age(age: TimeDelta, language: Language) -> String {
    let (hours, days) = (age.num_hours(), age.num_days());
    let (count, one, many) = match (days < 2, french(language)) {
        (true, true) => (hours, "heure", "heures"),
        (true, false) => (hours, "hour", "hours"),
        (false, true) => (days, "jour", "jours"),
        (false, false) => (days, "day", "days"),
    };
    // French counts nothing and one alike.
    let single = count == 1 || french(language) && count == 0;
    format!("{count} {}", if single { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::Kind;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn periods_are_written_as_people_say_them() {
        let of = |kind: Kind, date: &str, language| period(kind.around(day(date)), language);
        assert_eq!(
            of(Kind::DailySummary, "2026-03-01", Language::Fr),
            "dimanche 1er mars 2026"
        );
        assert_eq!(
            of(Kind::DailySummary, "2026-03-02", Language::En),
            "Monday 2 March 2026"
        );
        assert_eq!(
            of(Kind::WeeklyDigest, "2026-03-01", Language::Fr),
            "du 23 février 2026 au 1er mars 2026"
        );
        assert_eq!(
            of(Kind::MonthlyAnalysis, "2026-12-31", Language::En),
            "December 2026"
        );
    }

    #[test]
    fn moments_follow_the_clocks_of_the_gym() {
        let at: DateTime<Utc> = "2026-07-31T22:30:00Z".parse().unwrap();
        assert_eq!(
            moment(at, Tz::Europe__Paris, Language::Fr),
            "1er août 2026 à 00:30"
        );
        assert_eq!(moment(at, Tz::UTC, Language::En), "31 July 2026 at 22:30");
    }

    #[test]
    fn ages_are_told_in_hours_then_days() {
        assert_eq!(age(TimeDelta::minutes(59), Language::Fr), "0 heure");
        assert_eq!(age(TimeDelta::minutes(59), Language::En), "0 hours");
        assert_eq!(age(TimeDelta::hours(47), Language::Fr), "47 heures");
        assert_eq!(age(TimeDelta::hours(48), Language::En), "2 days");
    }
}
