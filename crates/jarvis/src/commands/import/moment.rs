//! A moment as another system wrote it, in the gym's time zone unless it names its own.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::Tz;

/// Why a text is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NoMoment {
    #[error("the moment is not written as 2026-02-03 18:05 or 03/02/2026 18:05")]
    Unreadable,
    #[error("there is no time of day: name its column with --time, or say --days-only")]
    NoTimeOfDay,
    #[error("the clocks went forward over that time: it never was")]
    NeverWas,
}

/// With an offset of their own.
const WITH_OFFSET: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
/// In the gym's time zone. Days come before months.
const LOCAL: [&str; 12] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %Hh%M",
    "%d/%m/%Y à %H:%M",
    "%d/%m/%Y à %Hh%M",
    "%d-%m-%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
];
const DAYS: [&str; 4] = ["%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y"];

/// Reads a moment. Of a time that the clocks showed twice it is the first. `days_only` takes noon where there is only a day.
pub(super) fn read(text: &str, zone: Tz, days_only: bool) -> Result<DateTime<Utc>, NoMoment> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Some(at) = WITH_OFFSET
        .iter()
        .find_map(|form| DateTime::parse_from_str(text, form).ok())
    {
        return Ok(at.to_utc());
    }
    let local = LOCAL
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let local = match local.filter(|at| plausible(at.date())) {
        Some(local) => local,
        None => day(text, days_only)?,
    };
    let at = local
        .and_local_timezone(zone)
        .earliest()
        .ok_or(NoMoment::NeverWas)?;
    Ok(at.to_utc())
}

/// Whether a text is a day without a time.
pub(super) fn is_day(text: &str) -> bool {
    day(text, true).is_ok()
}

fn day(text: &str, days_only: bool) -> Result<NaiveDateTime, NoMoment> {
    let day = DAYS
        .iter()
        .find_map(|form| NaiveDate::parse_from_str(text, form).ok());
    let day = day.filter(|day| plausible(*day)).ok_or(NoMoment::Unreadable)?;
    if !days_only {
        return Err(NoMoment::NoTimeOfDay);
    }
    let noon = NaiveTime::from_hms_opt(12, 0, 0).ok_or(NoMoment::Unreadable)?;
    Ok(day.and_time(noon))
}

/// `%Y` reads `26` as the year 26.
fn plausible(day: NaiveDate) -> bool {
    use chrono::Datelike as _;
    day.year() >= 1970
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Paris;

    fn utc(text: &str) -> Result<String, NoMoment> {
        read(text, Paris, false).map(|at| at.format("%Y-%m-%d %H:%M").to_string())
    }

    #[test]
    fn moments_are_read_in_the_zone_of_the_gym() {
        for text in [
            "2026-02-03T17:05:00Z",
            "2026-02-03 18:05:00+01",
            "2026-02-03 18:05",
            "03/02/2026 18:05",
            "03/02/2026 18:05:00",
            "03/02/2026 18h05",
            "03/02/2026 à 18h05",
            "03.02.2026 18:05",
        ] {
            assert_eq!(utc(text).as_deref(), Ok("2026-02-03 17:05"), "{text}");
        }
        assert_eq!(utc("03/07/2026 18:05").as_deref(), Ok("2026-07-03 16:05"));
    }

    #[test]
    fn the_nights_on_which_the_clocks_change_have_their_own_answers() {
        assert_eq!(utc("29/03/2026 02:30"), Err(NoMoment::NeverWas));
        assert_eq!(utc("25/10/2026 02:30").as_deref(), Ok("2026-10-25 00:30"));
    }

    #[test]
    fn what_is_no_moment_is_told() {
        for text in [
            "",
            "hier",
            "31/02/2026 10:00",
            "03/02/26 18:05",
            "02/23/2026 18:05",
        ] {
            assert_eq!(utc(text), Err(NoMoment::Unreadable), "{text}");
        }
        assert_eq!(utc("03/02/2026"), Err(NoMoment::NoTimeOfDay));
        let noon = read("03/02/2026", Paris, true).unwrap();
        assert_eq!(noon.to_string(), "2026-02-03 11:00:00 UTC");
    }
}
