//! What is known of a member: visits, contract, conversations, goals; and when they left.
//!
//! Days are those of the gym's time zone. Each thing has the day it counts for and the day it was recorded, so that what
//! was known on a day can be told from what came in later.

use chrono::{Days, NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};

/// What happened to a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractKind {
    /// It began.
    Start,
    /// It goes on, or was paid again.
    Renew,
    /// It rests.
    Freeze,
    /// It rests no longer.
    Unfreeze,
    /// The member asked to end it.
    CancelRequest,
    /// It ends on the effective day.
    Cancelled,
    /// It ran out.
    Expired,
    /// A payment failed.
    PaymentFailed,
}

/// One event of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractEvent {
    /// What happened.
    pub kind: ContractKind,
    /// The day it counts for.
    pub effective: NaiveDate,
    /// The day it was recorded.
    pub recorded: NaiveDate,
    /// For a start and a renewal: the first day after the paid or agreed term.
    pub until: Option<NaiveDate>,
    /// For a start and a renewal: whether the member is bound to the term.
    pub committed: bool,
}

/// A visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The day of the visit.
    pub on: NaiveDate,
    /// The day it was recorded.
    pub recorded: NaiveDate,
    /// Whether it was for a group class.
    pub group_class: bool,
}

/// A conversation with the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The day it took place.
    pub on: NaiveDate,
    /// The day it was read.
    pub recorded: NaiveDate,
    /// Below −0.15 is negative; absent where nobody may or could read it.
    pub sentiment: Option<f64>,
}

/// How many goals a member was getting on with, from a day on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goals {
    /// From this day.
    pub on: NaiveDate,
    /// The day it was recorded.
    pub recorded: NaiveDate,
    /// So many goals that progress.
    pub progressing: u32,
}

/// All that is known of one member. The lists are in no particular order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The first day of the membership.
    pub joined: NaiveDate,
    /// Visits.
    pub visits: Vec<Visit>,
    /// The contract's events.
    pub contract: Vec<ContractEvent>,
    /// Conversations.
    pub conversations: Vec<Conversation>,
    /// Goals.
    pub goals: Vec<Goals>,
}

/// Days without renewal after a contract ran out that make an exit.
pub const DAYS_AFTER_EXPIRY: u64 = 30;
/// Days without payment that make an exit.
pub const DAYS_UNPAID: u64 = 60;

impl History {
    /// The day of exit by what was recorded before `known`: the first of cancellation effective, expiry + 30 days without
    /// renewal, 60 days without payment. A freeze is no exit: frozen days do not count towards either.
    ///
    /// A start after an exit begins a new membership; the exit meant is then the last one's.
    pub fn exit(&self, known: NaiveDate) -> Option<NaiveDate> {
        exit_by(
            self.contract.iter().filter(|e| e.recorded < known).collect(),
            known,
        )
    }

    /// The day of exit from `as_of` on and within so many days, by what was recorded before `known`. What took effect after
    /// those days changes nothing: who came back later had left.
    pub fn exit_within(&self, as_of: NaiveDate, days: i64, known: NaiveDate) -> Option<NaiveDate> {
        let end = as_of + TimeDelta::days(days);
        let near = |e: &&ContractEvent| e.recorded < known && e.effective < end;
        exit_by(self.contract.iter().filter(near).collect(), end.min(known))
            .filter(|day| *day >= as_of && *day < end)
    }

    /// Whether the contract rests on this day, by what was recorded before it.
    pub fn is_frozen(&self, as_of: NaiveDate) -> bool {
        self.contract
            .iter()
            .filter(|e| e.recorded < as_of && e.effective < as_of)
            .filter(|e| e.kind != ContractKind::PaymentFailed && e.kind != ContractKind::CancelRequest)
            .max_by_key(|e| e.effective)
            .is_some_and(|e| e.kind == ContractKind::Freeze)
    }

    /// Whether it was known before this day that the member leaves: such a member is no longer predicted.
    pub fn has_announced(&self, as_of: NaiveDate) -> bool {
        let said = |e: &&ContractEvent| {
            matches!(e.kind, ContractKind::CancelRequest | ContractKind::Cancelled) && e.recorded < as_of
        };
        let last = self.contract.iter().filter(said).map(|e| e.recorded).max();
        last.is_some_and(|said| {
            !self.contract.iter().any(|e| {
                matches!(e.kind, ContractKind::Start | ContractKind::Renew)
                    && e.recorded > said
                    && e.recorded < as_of
            })
        })
    }

    /// Whether the member may leave in the days from `as_of`: joined before, not gone, not frozen, not announced.
    pub fn is_at_risk(&self, as_of: NaiveDate) -> bool {
        self.joined < as_of
            && !self.is_frozen(as_of)
            && !self.has_announced(as_of)
            && self.exit(as_of).is_none_or(|day| day > as_of)
    }
}

fn exit_by(mut events: Vec<&ContractEvent>, known: NaiveDate) -> Option<NaiveDate> {
    events.sort_by_key(|e| (e.effective, e.kind != ContractKind::Unfreeze));
    let mut clock = ExitClock::default();
    for event in events {
        clock.hear(event);
    }
    clock.end(known)
}

/// Walks through a contract's events in the order of their effect.
#[derive(Default)]
struct ExitClock {
    cancelled: Option<NaiveDate>,
    expiry: Option<NaiveDate>,
    unpaid_since: Option<NaiveDate>,
    frozen_since: Option<NaiveDate>,
    left: Option<NaiveDate>,
}

impl ExitClock {
    fn hear(&mut self, event: &ContractEvent) {
        let day = event.effective;
        if self.left.is_none() {
            self.left = self
                .due()
                .filter(|due| *due <= day && self.frozen_since.is_none());
        }
        match event.kind {
            ContractKind::Start => {
                *self = Self {
                    expiry: event.until,
                    ..Self::default()
                };
            }
            ContractKind::Renew => {
                self.expiry = event.until.or(self.expiry);
                self.unpaid_since = None;
                self.cancelled = None;
            }
            ContractKind::Freeze => self.frozen_since = self.frozen_since.or(Some(day)),
            ContractKind::Unfreeze => self.thaw(day),
            ContractKind::CancelRequest => {}
            ContractKind::Cancelled => self.cancelled = Some(day),
            ContractKind::Expired => self.expiry = Some(self.expiry.map_or(day, |e| e.min(day))),
            ContractKind::PaymentFailed => self.unpaid_since = self.unpaid_since.or(Some(day)),
        }
    }

    /// Frozen days are added to both clocks.
    fn thaw(&mut self, day: NaiveDate) {
        if let Some(since) = self.frozen_since.take() {
            let rested = Days::new(u64::try_from((day - since).num_days()).unwrap_or(0));
            self.expiry = self.expiry.map(|d| d + rested);
            self.unpaid_since = self.unpaid_since.map(|d| d + rested);
        }
    }

    fn due(&self) -> Option<NaiveDate> {
        let expiry = self.expiry.map(|d| d + Days::new(DAYS_AFTER_EXPIRY));
        let unpaid = self.unpaid_since.map(|d| d + Days::new(DAYS_UNPAID));
        [self.cancelled, expiry, unpaid].into_iter().flatten().min()
    }

    fn end(self, known: NaiveDate) -> Option<NaiveDate> {
        if self.left.is_some() {
            return self.left;
        }
        if self.frozen_since.is_some() {
            return self.cancelled;
        }
        // A cancellation is known ahead; that nobody renewed or paid is known when the day has passed.
        self.due()
            .filter(|due| *due < known || self.cancelled == Some(*due))
            .or(self.cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContractKind::{CancelRequest, Cancelled, Expired, Freeze, PaymentFailed, Renew, Start, Unfreeze};

    fn day(n: i64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + chrono::TimeDelta::days(n)
    }

    fn event(kind: ContractKind, on: i64, until: Option<i64>) -> ContractEvent {
        ContractEvent {
            kind,
            effective: day(on),
            recorded: day(on),
            until: until.map(day),
            committed: false,
        }
    }

    fn history(contract: Vec<ContractEvent>) -> History {
        History {
            joined: day(0),
            visits: vec![],
            contract,
            conversations: vec![],
            goals: vec![],
        }
    }

    #[test]
    fn a_member_leaves_by_the_first_of_cancellation_expiry_and_arrears() {
        for (name, events, exit) in [
            ("running", vec![event(Start, 0, Some(365))], None),
            (
                "cancelled",
                vec![event(Start, 0, Some(365)), event(Cancelled, 40, None)],
                Some(40),
            ),
            (
                "asked only",
                vec![event(Start, 0, Some(365)), event(CancelRequest, 40, None)],
                None,
            ),
            ("ran out", vec![event(Start, 0, Some(100))], Some(130)),
            (
                "said to have run out",
                vec![event(Start, 0, None), event(Expired, 100, None)],
                Some(130),
            ),
            (
                "renewed late",
                vec![event(Start, 0, Some(100)), event(Renew, 120, Some(500))],
                None,
            ),
            (
                "renewed too late",
                vec![event(Start, 0, Some(100)), event(Renew, 140, Some(500))],
                Some(130),
            ),
            (
                "unpaid",
                vec![event(Start, 0, None), event(PaymentFailed, 50, None)],
                Some(110),
            ),
            (
                "unpaid twice",
                vec![
                    event(Start, 0, None),
                    event(PaymentFailed, 50, None),
                    event(PaymentFailed, 80, None),
                ],
                Some(110),
            ),
            (
                "paid",
                vec![
                    event(Start, 0, None),
                    event(PaymentFailed, 50, None),
                    event(Renew, 60, None),
                ],
                None,
            ),
            (
                "frozen",
                vec![event(Start, 0, Some(100)), event(Freeze, 90, None)],
                None,
            ),
            (
                "thawed",
                vec![
                    event(Start, 0, Some(100)),
                    event(Freeze, 90, None),
                    event(Unfreeze, 120, None),
                ],
                Some(160),
            ),
            (
                "came back",
                vec![event(Start, 0, Some(100)), event(Start, 150, Some(900))],
                None,
            ),
        ] {
            assert_eq!(history(events).exit(day(200)), exit.map(day), "{name}");
        }
    }

    #[test]
    fn an_exit_is_known_when_its_day_has_passed_and_a_cancellation_when_it_is_recorded() {
        let ran_out = history(vec![event(Start, 0, Some(100))]);
        assert_eq!(ran_out.exit(day(130)), None);
        assert_eq!(ran_out.exit(day(131)), Some(day(130)));
        let mut cancelled = event(Cancelled, 60, None);
        cancelled.recorded = day(30);
        let cancelled = history(vec![event(Start, 0, Some(100)), cancelled]);
        assert_eq!(cancelled.exit(day(30)), None);
        assert_eq!(cancelled.exit(day(31)), Some(day(60)));
        assert!(cancelled.is_at_risk(day(30)) && !cancelled.is_at_risk(day(31)));
    }

    #[test]
    fn who_is_frozen_is_not_at_risk() {
        let frozen = history(vec![
            event(Start, 0, Some(300)),
            event(Freeze, 50, None),
            event(Unfreeze, 80, None),
        ]);
        assert!(frozen.is_at_risk(day(50)), "the freeze begins on this day");
        assert!(!frozen.is_at_risk(day(51)));
        assert!(frozen.is_at_risk(day(81)));
    }
}
