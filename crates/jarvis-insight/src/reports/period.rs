//! Which reports there are, and which days each is about.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use jarvis_db::queries::report::{Chart, Figure};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A kind of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Yesterday, compared with the same day of the week before.
    DailySummary,
    /// Monday to Sunday, compared with the week before.
    WeeklyDigest,
    /// A calendar month, compared with the month before.
    MonthlyAnalysis,
    /// Who may leave, monthly.
    ChurnForecast,
    /// What members say, monthly.
    MemberSatisfaction,
}

/// A word that names no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no report `{0}`; there are daily_summary, weekly_digest, monthly_analysis, churn_forecast and member_satisfaction"
)]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let folded = word.trim().to_lowercase().replace('-', "_");
        let kind = Self::ALL.iter().find(|kind| kind.as_str() == folded);
        kind.copied().ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::DailySummary,
        Self::WeeklyDigest,
        Self::MonthlyAnalysis,
        Self::ChurnForecast,
        Self::MemberSatisfaction,
    ];

    /// Its name, as `insights_reports.report_type` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DailySummary => "daily_summary",
            Self::WeeklyDigest => "weekly_digest",
            Self::MonthlyAnalysis => "monthly_analysis",
            Self::ChurnForecast => "churn_forecast",
            Self::MemberSatisfaction => "member_satisfaction",
        }
    }

    /// The period that `day` lies in.
    pub fn around(self, day: NaiveDate) -> Period {
        match self {
            Self::DailySummary => Period {
                first: day,
                last: day,
            },
            Self::WeeklyDigest => {
                let first = day - TimeDelta::days(i64::from(day.weekday().num_days_from_monday()));
                Period {
                    first,
                    last: first + Days::new(6),
                }
            }
            Self::MonthlyAnalysis | Self::ChurnForecast | Self::MemberSatisfaction => {
                let first = day - TimeDelta::days(i64::from(day.day0()));
                Period {
                    first,
                    last: first + Months::new(1) - Days::new(1),
                }
            }
        }
    }

    /// The last period that was over when `today` began.
    pub fn last_before(self, today: NaiveDate) -> Period {
        self.around(self.around(today).first - Days::new(1))
    }

    /// What a period is compared with: for a day the same day of the week before, since Sundays are not Mondays; else the
    /// period right before.
    pub fn before(self, period: Period) -> Period {
        match self {
            Self::DailySummary => self.around(period.first - Days::new(7)),
            _ => self.around(period.first - Days::new(1)),
        }
    }

    /// Its numbers, in their order.
    pub fn figures(self) -> &'static [Figure] {
        use Figure::{
            AlertHours, AlertsOpen, AlertsPressing, AlertsRaised, AlertsResolved, AtRisk, Away, Complaints,
            Conversations, Engagement, FailedConversations, KiosksSilent, Members, Mood, NegativeShare,
            NewMembers, PositiveShare, Speakers, Visitors, Visits, VisitsPerVisitor,
        };
        match self {
            Self::DailySummary => &[
                Visits,
                Visitors,
                Conversations,
                Speakers,
                NegativeShare,
                FailedConversations,
                KiosksSilent,
                AlertsRaised,
                AlertsResolved,
                AlertsPressing,
                AlertsOpen,
                AtRisk,
            ],
            Self::WeeklyDigest => &[
                Visits,
                Visitors,
                VisitsPerVisitor,
                NewMembers,
                Members,
                Away,
                AtRisk,
                Conversations,
                Speakers,
                Mood,
                NegativeShare,
                FailedConversations,
                AlertsRaised,
                AlertsResolved,
                AlertHours,
                AlertsPressing,
                AlertsOpen,
            ],
            Self::MonthlyAnalysis => &[
                Visits,
                Visitors,
                VisitsPerVisitor,
                NewMembers,
                Members,
                Away,
                AtRisk,
                Engagement,
                Conversations,
                Speakers,
                Mood,
                NegativeShare,
                PositiveShare,
                FailedConversations,
                AlertsRaised,
                AlertsResolved,
                AlertHours,
                AlertsOpen,
            ],
            Self::ChurnForecast => &[Members, AtRisk, Away, Engagement, NewMembers, Visitors],
            Self::MemberSatisfaction => &[
                Conversations,
                Speakers,
                Mood,
                PositiveShare,
                NegativeShare,
                Complaints,
            ],
        }
    }

    /// Its charts, in their order.
    pub fn charts(self) -> &'static [Chart] {
        match self {
            Self::DailySummary => &[Chart::VisitsByHour],
            Self::WeeklyDigest => &[Chart::VisitsByDay, Chart::Topics],
            Self::MonthlyAnalysis => &[Chart::VisitsByDay, Chart::VisitsByHour, Chart::Topics],
            Self::ChurnForecast => &[Chart::Bands],
            Self::MemberSatisfaction => &[Chart::Topics],
        }
    }
}

/// Days, the first and the last included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first day.
    pub first: NaiveDate,
    /// The last day.
    pub last: NaiveDate,
}

impl Period {
    /// From its first moment until the first moment after it. A day is 23 or 25 hours long when the clocks change.
    pub fn bounds(self, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
        (begin(zone, self.first), begin(zone, self.last + Days::new(1)))
    }
}

/// The first moment of a day: midnight, or what the clocks showed next where they skipped it.
fn begin(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let shown = (0..=4)
        .map(|half_hours| midnight + TimeDelta::minutes(30 * half_hours))
        .find_map(|shown| zone.from_local_datetime(&shown).earliest());
    shown.map_or_else(|| midnight.and_utc(), |shown| shown.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn period(kind: Kind, today: &str) -> (String, String) {
        let period = kind.last_before(day(today));
        (period.first.to_string(), period.last.to_string())
    }

    #[test]
    fn a_report_is_about_the_last_period_that_is_over() {
        for (kind, today, first, last) in [
            (Kind::DailySummary, "2026-03-01", "2026-02-28", "2026-02-28"),
            (Kind::WeeklyDigest, "2026-03-09", "2026-03-02", "2026-03-08"),
            (Kind::WeeklyDigest, "2026-03-08", "2026-02-23", "2026-03-01"),
            (Kind::MonthlyAnalysis, "2026-01-01", "2025-12-01", "2025-12-31"),
            (Kind::ChurnForecast, "2028-03-31", "2028-02-01", "2028-02-29"),
        ] {
            assert_eq!(
                period(kind, today),
                (first.to_owned(), last.to_owned()),
                "{kind:?} {today}"
            );
        }
    }

    #[test]
    fn a_day_is_compared_with_the_same_day_of_the_week_before() {
        let sunday = Kind::DailySummary.around(day("2026-03-08"));
        assert_eq!(Kind::DailySummary.before(sunday).first, day("2026-03-01"));
        let march = Kind::MonthlyAnalysis.around(day("2026-03-31"));
        assert_eq!(Kind::MonthlyAnalysis.before(march).last, day("2026-02-28"));
    }

    #[test]
    fn days_have_23_or_25_hours_when_the_clocks_change_and_begin_where_midnight_was_skipped() {
        let hours = |zone: Tz, date: &str| {
            let (from, until) = Kind::DailySummary.around(day(date)).bounds(zone);
            (until - from).num_hours()
        };
        assert_eq!(hours(Tz::Europe__Paris, "2026-03-29"), 23);
        assert_eq!(hours(Tz::Europe__Paris, "2026-10-25"), 25);
        assert_eq!(hours(Tz::Europe__Paris, "2026-06-01"), 24);
        // Beirut puts its clocks forward at midnight.
        assert_eq!(hours(Tz::Asia__Beirut, "2022-03-27"), 23);
    }

    #[test]
    fn kinds_have_the_names_of_the_table() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!("weekly-digest".parse(), Ok(Kind::WeeklyDigest));
        assert!(
            "weekly"
                .parse::<Kind>()
                .unwrap_err()
                .to_string()
                .contains("weekly_digest")
        );
    }
}
