//! Gyms that do not exist: members with visits, contracts, conversations and goals, for tests, demos and load.
//!
//! Who leaves is decided by what the model cannot see: a drive that wanders, slumps and grievances. Visits, contracts and
//! sentiment only show traces of it. Two effects are not among the model's features at all:
//!
//! * **season**: members leave more often in January, July and August ([`SEASON`]);
//! * **friends**: whoever trains with a friend leaves more often in the 60 days after that friend left ([`FRIEND_LEFT`]).
//!
//! The numbers are made up so that a gym loses some 3 % of its members in a month. They are no measurement of any gym, and a
//! model that does well here has only shown that it finds what was put in.

use crate::churn::history::{ContractEvent, ContractKind, Conversation, Goals, History, Visit};
use crate::churn::sigmoid;
use crate::random::Random;
use chrono::{Datelike, NaiveDate, TimeDelta};

/// How much more often members leave in January, July and August.
pub const SEASON: f64 = 1.6;
/// How much more often a member leaves in the 60 days after a friend did.
pub const FRIEND_LEFT: f64 = 2.5;
/// Days in which a gym fills before the days that were asked for, so that memberships of every age are there.
pub const FILLING: i64 = 365;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gym {
    /// Members at any moment; whoever leaves is replaced within a month.
    pub members: usize,
    /// Days after the gym has filled.
    pub days: i64,
    /// The first day after those simulated.
    pub end: NaiveDate,
    /// The same seed gives the same gym for ever.
    pub seed: u64,
}

impl Gym {
    /// Everybody who was ever a member, in the order of joining.
    pub fn simulate(&self) -> Vec<History> {
        let begin = self.end - TimeDelta::days(self.days + FILLING);
        let chance = Random::new(self.seed);
        let mut doors = chance.split(0);
        // For each place: the day on which somebody takes it, and who holds it.
        let mut places: Vec<(NaiveDate, Option<usize>)> = (0..self.members)
            .map(|_| (begin + TimeDelta::days(days(doors.below(365))), None))
            .collect();
        let mut people: Vec<Person> = Vec::new();
        let mut today = begin;
        while today < self.end {
            for place in &mut places {
                if place.1.is_none() && place.0 == today {
                    place.1 = Some(people.len());
                    let id = people.len() as u64 + 1;
                    let mut own = chance.split(id);
                    let friend = own.happens(0.4).then(|| own.below(people.len()));
                    people.push(Person::joins(today, own, friend));
                }
            }
            for place in &mut places {
                let Some(i) = place.1 else { continue };
                let friend_left = people[i].friend.and_then(|f| people.get(f)).is_some_and(|f| {
                    f.leaves
                        .is_some_and(|day| day <= today && day > today - TimeDelta::days(60))
                });
                people[i].live(today, friend_left);
                if people[i].leaves.is_some_and(|day| day <= today) {
                    *place = (today + TimeDelta::days(1 + days(doors.below(30))), None);
                }
            }
            today += TimeDelta::days(1);
        }
        people.into_iter().map(|p| p.history).collect()
    }
}

/// A member, with what nobody sees.
#[expect(
    clippy::struct_excessive_bools,
    reason = "traits of a person, each on its own"
)]
struct Person {
    history: History,
    chance: Random,
    /// Visits a week at drive 0.
    weekly: f64,
    /// Wanders around 0; below it the member comes less and thinks of leaving.
    drive: f64,
    slumped: bool,
    aggrieved_until: NaiveDate,
    group_class: bool,
    talks: bool,
    friend: Option<usize>,
    yearly: bool,
    /// End of the year that was agreed, and the day on which the member decides whether to go on.
    term: NaiveDate,
    decides: NaiveDate,
    stays_away_from: Option<NaiveDate>,
    rests_until: Option<NaiveDate>,
    pays_on: Option<NaiveDate>,
    unpaid: bool,
    leaves: Option<NaiveDate>,
}

impl Person {
    fn joins(today: NaiveDate, mut chance: Random, friend: Option<usize>) -> Self {
        let yearly = chance.happens(0.55);
        let mut person = Self {
            weekly: 1.8 * (0.5 * chance.normal()).exp(),
            drive: 0.3 + 0.5 * chance.normal(),
            slumped: false,
            aggrieved_until: today,
            group_class: chance.happens(0.3),
            talks: chance.happens(0.35),
            friend,
            yearly,
            term: today,
            decides: today,
            stays_away_from: None,
            rests_until: None,
            pays_on: None,
            unpaid: false,
            leaves: None,
            history: History {
                joined: today,
                visits: vec![],
                contract: vec![],
                conversations: vec![],
                goals: vec![],
            },
            chance,
        };
        person.agrees(ContractKind::Start, today, today);
        person
    }

    /// A year that begins on `from`, or a contract from month to month.
    fn agrees(&mut self, kind: ContractKind, today: NaiveDate, from: NaiveDate) {
        let until = self.yearly.then(|| from + TimeDelta::days(365));
        if let Some(until) = until {
            self.term = until;
            self.decides = until + TimeDelta::days(days(self.chance.below(30)) - 20);
        }
        self.records(kind, today, today, until);
    }

    fn records(
        &mut self,
        kind: ContractKind,
        effective: NaiveDate,
        recorded: NaiveDate,
        until: Option<NaiveDate>,
    ) {
        self.history.contract.push(ContractEvent {
            kind,
            effective,
            recorded,
            until,
            committed: until.is_some(),
        });
    }

    fn live(&mut self, today: NaiveDate, friend_left: bool) {
        self.feel(today);
        self.decide(today, friend_left);
        if self.rests(today) || self.stays_away_from.is_some_and(|day| day <= today) {
            return;
        }
        let weekend = if today.weekday().num_days_from_monday() >= 5 {
            0.6
        } else {
            1.16
        };
        let rate = self.weekly / 7.0 * self.drive.exp() * weekend;
        if self.chance.happens(1.0 - (-rate).exp()) {
            self.visit(today);
        }
    }

    /// The drive returns to its level with a time of 60 days; a slump lowers that level by 1.5 and lasts 60 days on average.
    fn feel(&mut self, today: NaiveDate) {
        let slump = if self.slumped { 1.0 / 60.0 } else { 1.0 / 300.0 };
        if self.chance.happens(slump) {
            self.slumped = !self.slumped;
        }
        let level = if self.slumped { -1.5 } else { 0.0 };
        self.drive += (level - self.drive) / 60.0 + 0.07 * self.chance.normal();
        if self.chance.happens(1.0 / 500.0) {
            self.aggrieved_until = today + TimeDelta::days(40);
        }
    }

    /// How many times likelier than others this member is to leave today.
    fn urge(&self, today: NaiveDate, friend_left: bool) -> f64 {
        let factor = |holds: bool, by: f64| if holds { by } else { 1.0 };
        let young = (today - self.history.joined).num_days() < 90;
        factor(young, 1.5)
            * factor(self.group_class, 0.75)
            * factor(today < self.aggrieved_until, 2.0)
            * factor(matches!(today.month(), 1 | 7 | 8), SEASON)
            * factor(friend_left, FRIEND_LEFT)
    }

    fn decide(&mut self, today: NaiveDate, friend_left: bool) {
        if self.stays_away_from.is_some() || self.rests_until.is_some() || self.leaves.is_some() {
            return;
        }
        let urge = self.urge(today, friend_left);
        if self.pays(today) {
            return;
        }
        // A year binds, except for those who move away.
        let (monthly, drive) = if self.yearly { (0.003, 0.0) } else { (0.022, -1.2) };
        if self
            .chance
            .happens(monthly / 30.0 * (drive * self.drive).exp() * urge)
        {
            let end = today + TimeDelta::days(days(self.chance.below(31)));
            self.records(ContractKind::CancelRequest, today, today, None);
            self.records(ContractKind::Cancelled, end, today, None);
            self.leaves = Some(end);
            self.stays_away_from = Some(end);
        } else if self.yearly && today == self.decides {
            let stops = sigmoid(-0.85 - 1.3 * self.drive + urge.ln());
            if self.chance.happens(stops) {
                let gone = self.term.max(today);
                self.stays_away_from = Some(gone);
                self.leaves = Some(self.term + TimeDelta::days(30));
            } else {
                self.agrees(ContractKind::Renew, today, self.term);
            }
        } else if self.chance.happens(0.005 / 30.0) {
            self.records(ContractKind::Freeze, today, today, None);
            self.rests_until = Some(today + TimeDelta::days(14 + days(self.chance.below(30))));
        }
    }

    /// A payment fails now and then; most are made good in ten days. Whether one is outstanding.
    fn pays(&mut self, today: NaiveDate) -> bool {
        if self.pays_on == Some(today) {
            self.pays_on = None;
            self.unpaid = false;
            let term = self.yearly.then_some(self.term);
            self.records(ContractKind::Renew, today, today, term);
        } else if !self.unpaid && self.chance.happens(0.004 / 30.0) {
            self.unpaid = true;
            self.records(ContractKind::PaymentFailed, today, today, None);
            if self.chance.happens(0.8) {
                self.pays_on = Some(today + TimeDelta::days(10));
            } else {
                self.stays_away_from = Some(today + TimeDelta::days(5));
                self.leaves = Some(today + TimeDelta::days(60));
            }
        }
        self.unpaid
    }

    fn rests(&mut self, today: NaiveDate) -> bool {
        let Some(until) = self.rests_until else {
            return false;
        };
        if until > today {
            return true;
        }
        self.rests_until = None;
        self.records(ContractKind::Unfreeze, today, today, None);
        if self.yearly {
            let since = self
                .history
                .contract
                .iter()
                .rev()
                .find(|e| e.kind == ContractKind::Freeze);
            let rested = since.map_or(TimeDelta::zero(), |e| today - e.effective);
            self.term += rested;
            self.decides = (self.decides + rested).max(today + TimeDelta::days(1));
        }
        false
    }

    fn visit(&mut self, today: NaiveDate) {
        // A turnstile hands on some visits a day or two late.
        let late = if self.chance.happens(0.02) {
            1 + self.chance.below(2)
        } else {
            0
        };
        let group_class = self.group_class && self.chance.happens(0.5);
        self.history.visits.push(Visit {
            on: today,
            recorded: today + TimeDelta::days(days(late)),
            group_class,
        });
        if !self.talks || !self.chance.happens(0.3) {
            return;
        }
        let grievance = if today < self.aggrieved_until { 0.6 } else { 0.0 };
        let sentiment = 0.2 + 0.2 * self.drive - grievance + 0.25 * self.chance.normal();
        self.history.conversations.push(Conversation {
            on: today,
            recorded: today,
            sentiment: Some(sentiment.clamp(-1.0, 1.0)),
        });
        let progressing = u32::from(self.drive > -0.5) + u32::from(self.drive > 0.5);
        self.history.goals.push(Goals {
            on: today,
            recorded: today,
            progressing,
        });
    }
}

#[expect(clippy::cast_possible_wrap, reason = "some days")]
fn days(n: usize) -> i64 {
    n as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gym(seed: u64) -> Gym {
        Gym {
            members: 300,
            days: 365,
            end: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(),
            seed,
        }
    }

    #[test]
    fn a_seed_is_a_gym_for_ever_and_another_seed_another_gym() {
        let first = gym(1).simulate();
        assert_eq!(first, gym(1).simulate());
        assert_ne!(first, gym(2).simulate());
    }

    #[test]
    fn a_gym_keeps_its_size_and_loses_some_members_every_month_by_our_definition_of_an_exit() {
        for seed in 1..=5 {
            let gym = gym(seed);
            let people = gym.simulate();
            let mut lost = 0;
            for month in 1..=12 {
                let day = gym.end - TimeDelta::days(30 * month);
                let there = people
                    .iter()
                    .filter(|h| h.joined <= day && h.exit(gym.end).is_none_or(|exit| exit > day))
                    .count();
                assert!((270..=300).contains(&there), "{there} on {day}");
                lost += people
                    .iter()
                    .filter_map(|h| h.exit(gym.end))
                    .filter(|exit| *exit >= day && *exit < day + TimeDelta::days(30))
                    .count();
            }
            let monthly = f64::from(u32::try_from(lost).unwrap()) / 300.0 / 12.0;
            assert!((0.02..0.05).contains(&monthly), "{monthly} with seed {seed}");
        }
    }

    #[test]
    fn nobody_visits_after_the_exit_nor_during_a_freeze_and_everything_has_happened_before_the_end() {
        let gym = gym(3);
        for person in gym.simulate() {
            let exit = person.exit(gym.end);
            for visit in &person.visits {
                assert!(visit.on >= person.joined && visit.on < gym.end);
                assert!(exit.is_none_or(|exit| visit.on <= exit), "{visit:?} {exit:?}");
                let after = visit.on + TimeDelta::days(1);
                assert!(!person.is_frozen(after), "{visit:?}");
            }
        }
    }
}
