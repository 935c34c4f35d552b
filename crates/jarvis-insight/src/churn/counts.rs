//! What was known of a member on a day, counted. SQL counts the same for members in the database.

use super::history::{ContractKind, History};
use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};

/// A sentiment below this is negative. The same step decides the trend of sentiment.
pub const NEGATIVE_BELOW: f64 = -0.15;

/// Visit days that a habit needs: fewer give no gap of the member's own.
pub const DAYS_FOR_A_HABIT: usize = 4;

/// Everything the model reads, in units a person understands. Only what happened and was recorded strictly before
/// `as_of` counts; days are whole days of the gym's zone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Days since the last visit, at least 1; since the beginning of the membership where there was none.
    pub days_absent: f64,
    /// Whether there was any visit.
    pub ever_visited: bool,
    /// Median days between visit days of the last 180 days; null under four visit days.
    pub own_gap: Option<f64>,
    /// Visit days of the last 28 days.
    pub visits_28d: u32,
    /// Visit days of the 28 days before these; null for members of less than 56 days.
    pub visits_before: Option<u32>,
    /// Days since the membership began, at least 1.
    pub tenure_days: f64,
    /// Days until the paid or agreed term ends, negative after it; null where none is known.
    pub days_to_end: Option<f64>,
    /// Whether the member is bound to a term that has not ended.
    pub committed: bool,
    /// Conversations of the last 30 days that were negative.
    pub negative_30d: u32,
    /// Conversations of the last 28 days.
    pub conversations_28d: u32,
    /// Goals that progress.
    pub goals_progressing: u32,
    /// Whether a visit of the last 90 days was for a group class.
    pub group_class: bool,
}

impl Counts {
    /// What was known on `as_of`.
    pub fn of(history: &History, as_of: NaiveDate) -> Self {
        let since = |days: i64| as_of - TimeDelta::days(days);
        let mut days: Vec<NaiveDate> = Vec::new();
        let mut group_class = false;
        for visit in &history.visits {
            if visit.on < as_of && visit.recorded < as_of {
                days.push(visit.on);
                group_class |= visit.group_class && visit.on >= since(90);
            }
        }
        days.sort_unstable();
        days.dedup();
        let tenure = (as_of - history.joined).num_days().max(1);
        let visits =
            |from: i64, to: i64| count(days.iter().filter(|d| **d >= since(from) && **d < since(to)));
        let conversations = || {
            history
                .conversations
                .iter()
                .filter(|c| c.on < as_of && c.recorded < as_of)
        };
        let (until, committed) = term(history, as_of);
        let last = days.last().copied();
        Self {
            days_absent: whole(last.map_or(tenure, |day| (as_of - day).num_days())),
            ever_visited: last.is_some(),
            own_gap: median_gap(days.iter().copied().filter(|d| *d >= since(180))),
            visits_28d: visits(28, 0),
            visits_before: (tenure >= 56).then(|| visits(56, 28)),
            tenure_days: whole(tenure),
            days_to_end: until.map(|day| whole((day - as_of).num_days())),
            committed: committed && until.is_some_and(|day| day > as_of),
            negative_30d: count(
                conversations()
                    .filter(|c| c.on >= since(30) && c.sentiment.is_some_and(|s| s < NEGATIVE_BELOW)),
            ),
            conversations_28d: count(conversations().filter(|c| c.on >= since(28))),
            goals_progressing: history
                .goals
                .iter()
                .filter(|g| g.on < as_of && g.recorded < as_of)
                .max_by_key(|g| (g.on, g.recorded))
                .map_or(0, |g| g.progressing),
            group_class,
        }
    }
}

/// The end of the term that was known, and whether it binds: that of the start or renewal recorded last.
fn term(history: &History, as_of: NaiveDate) -> (Option<NaiveDate>, bool) {
    history
        .contract
        .iter()
        .filter(|e| matches!(e.kind, ContractKind::Start | ContractKind::Renew))
        .filter(|e| e.recorded < as_of && e.until.is_some())
        .max_by_key(|e| (e.recorded, e.effective))
        .map_or((None, false), |e| (e.until, e.committed))
}

/// The median of the days between sorted visit days, the mean of the middle two for an even number.
fn median_gap(days: impl Iterator<Item = NaiveDate>) -> Option<f64> {
    let days: Vec<NaiveDate> = days.collect();
    if days.len() < DAYS_FOR_A_HABIT {
        return None;
    }
    let mut gaps: Vec<i64> = days.windows(2).map(|w| (w[1] - w[0]).num_days()).collect();
    gaps.sort_unstable();
    let middle = gaps.len() / 2;
    Some(if gaps.len() % 2 == 1 {
        whole(gaps[middle])
    } else {
        whole(gaps[middle - 1] + gaps[middle]) / 2.0
    })
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "days of a calendar")]
fn whole(days: i64) -> f64 {
    days as f64
}

#[cfg(test)]
mod tests {
    use super::super::history::{ContractEvent, Conversation, Goals, Visit};
    use super::*;
    use proptest::prelude::*;

    fn day(n: i64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + TimeDelta::days(n)
    }

    fn visit(on: i64, recorded: i64) -> Visit {
        Visit {
            on: day(on),
            recorded: day(recorded),
            group_class: true,
        }
    }

    fn regular() -> History {
        History {
            joined: day(0),
            visits: (0..25).map(|n| visit(n * 4, n * 4)).collect(),
            contract: vec![ContractEvent {
                kind: ContractKind::Start,
                effective: day(0),
                recorded: day(0),
                until: Some(day(130)),
                committed: true,
            }],
            conversations: vec![Conversation {
                on: day(90),
                recorded: day(90),
                sentiment: Some(-0.4),
            }],
            goals: vec![Goals {
                on: day(10),
                recorded: day(10),
                progressing: 2,
            }],
        }
    }

    #[test]
    fn a_member_who_comes_every_four_days_is_counted() {
        assert_eq!(
            Counts::of(&regular(), day(119)),
            Counts {
                days_absent: 23.0,
                ever_visited: true,
                own_gap: Some(4.0),
                visits_28d: 2,
                visits_before: Some(7),
                tenure_days: 119.0,
                days_to_end: Some(11.0),
                committed: true,
                negative_30d: 1,
                conversations_28d: 0,
                goals_progressing: 2,
                group_class: true,
            }
        );
    }

    #[test]
    fn a_badge_only_member_and_one_who_never_came_are_counted() {
        let mut history = regular();
        history.conversations.clear();
        history.goals.clear();
        history.contract.clear();
        let badge_only = Counts::of(&history, day(100));
        assert_eq!((badge_only.days_absent, badge_only.conversations_28d), (4.0, 0));
        history.visits.clear();
        let never = Counts::of(&history, day(10));
        assert_eq!(
            (never.days_absent, never.ever_visited, never.own_gap),
            (10.0, false, None)
        );
        assert_eq!(never.visits_before, None);
    }

    proptest! {
        /// What is recorded on `as_of` or later changes nothing, whatever day it is about.
        #[test]
        fn an_event_recorded_later_changes_nothing(on in -10_i64..200, late in 0_i64..60, as_of in 20_i64..140) {
            let known = regular();
            let as_of = day(as_of);
            let mut later = known.clone();
            let (on, recorded) = (day(on), as_of + TimeDelta::days(late));
            later.visits.push(Visit { on, recorded, group_class: true });
            later.conversations.push(Conversation { on, recorded, sentiment: Some(-1.0) });
            later.goals.push(Goals { on, recorded, progressing: 9 });
            for kind in [ContractKind::Renew, ContractKind::Cancelled, ContractKind::Freeze, ContractKind::PaymentFailed] {
                later.contract.push(ContractEvent { kind, effective: on, recorded, until: Some(day(999)), committed: false });
            }
            prop_assert_eq!(Counts::of(&known, as_of), Counts::of(&later, as_of));
            prop_assert_eq!(known.exit(as_of), later.exit(as_of));
            prop_assert_eq!(known.is_at_risk(as_of), later.is_at_risk(as_of));
        }
    }
}
