//! What scores would have been worth, had they been given in the past: rolling origin, with rivals.
//!
//! On every 30th day a model is fitted on what was known by then and scores who is at risk; 30 days later it is known who
//! left. A day is fitted on only when its 30 days had passed (an embargo of one horizon), so that no outcome is used before
//! it was there. Source: Tashman, "Out-of-sample tests of forecasting accuracy", Int. J. Forecasting 2000.

use super::HORIZON_DAYS;
use super::btyd::{Btyd, Customer, Kind};
use super::counts::Counts;
use super::features::{Vector, raw};
use super::history::History;
use super::metrics::{Outcome, WithInterval, auc, calibration_error, log_loss, number, pr_auc, precision_at};
use super::model::{Level, Model, Prior, Row};
use super::trust::{Calibration, FAIR, calibration};
use chrono::{NaiveDate, TimeDelta};
use serde::Serialize;

/// Exits under which no AUC is told.
pub const EXITS_TO_JUDGE: usize = 20;
/// How far the model's AUC must lie above that of days of absence.
pub const ABOVE_RECENCY: f64 = 0.08;
/// Days of history before the first day that is tested.
const WARM_UP: i64 = 365;
/// Days of absence at which the simplest rule calls a member.
const RULE_DAYS: f64 = 14.0;
/// No alert under this probability, however low the base rate.
const ALERT_FLOOR: f64 = 0.08;
/// The share of members that a team can call in a month.
const CAPACITY: f64 = 0.02;

/// Who gives a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rival {
    /// Days of absence.
    Recency,
    /// Absent for 14 days or not.
    FourteenDays,
    /// One minus the probability to be alive, by MBG/NBD on visit days, fitted on the first day tested.
    MbgNbd,
    /// The built-in coefficients, never fitted.
    Prior,
    /// The model, fitted on the gym's own exits.
    Map,
}

impl Rival {
    /// All, ours last.
    pub const ALL: [Self; 5] = [
        Self::Recency,
        Self::FourteenDays,
        Self::MbgNbd,
        Self::Prior,
        Self::Map,
    ];

    /// The word in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recency => "recency",
            Self::FourteenDays => "14 days",
            Self::MbgNbd => "MBG/NBD",
            Self::Prior => "prior",
            Self::Map => "map",
        }
    }
}

/// How good the scores of a rival were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Whose.
    pub rival: Rival,
    /// Null under 20 exits.
    pub auc: Option<WithInterval>,
    /// The same for members whose term had not ended on the day, the harder question: a term that ended without renewal
    /// makes an exit by definition. Null under 20 exits of such members.
    pub auc_in_term: Option<WithInterval>,
    /// Average precision; null under 20 exits.
    pub pr_auc: Option<f64>,
    /// The share of leavers among the 2 % of members with the highest scores of each day; null under 20 exits.
    pub precision_at_capacity: Option<f64>,
    /// For probabilities only.
    pub log_loss: Option<f64>,
    /// Expected calibration error, for probabilities only.
    pub calibration_error: Option<f64>,
    /// Observed ÷ expected exits and Brier skill against the share that left; for probabilities only.
    pub calibration: Option<Calibration>,
    /// What calling members by this score comes to.
    pub alerts: Alerts,
}

/// What calling members would have come to. The model and the prior call at p ≥ max(2 × base rate, 8 %), the rule at 14
/// days; recency and MBG/NBD call as many a day as the model, those with the highest scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Alerts {
    /// Calls per 100 members at risk and 30 days.
    pub per_100_members: f64,
    /// The share of calls after which the member left within 30 days; null without a call.
    pub precision: Option<f64>,
    /// The share of exits that were called on the last day tested before; null without an exit.
    pub exits_called: Option<f64>,
    /// Median days from the first of an unbroken row of calls to the exit; null where no exit was called.
    pub lead_days: Option<f64>,
}

/// What came of a backtest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Days on which scores were given.
    pub origins: usize,
    /// Scores given.
    pub scores: usize,
    /// Exits within 30 days of a score.
    pub exits: usize,
    /// One for each rival; MBG/NBD is not among them where it could not be fitted.
    pub judged: Vec<Judged>,
    /// Whether to believe it.
    pub verdict: Verdict,
}

/// Whether the model is worth more than counting days, and honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Under 20 exits: nothing can be said.
    TooFewExits,
    /// AUC at least 0.08 above recency and observed ÷ expected in 0.8 to 1.25.
    Holds,
    /// One of the two is missed.
    Misses,
}

impl Report {
    /// What is told of one of them.
    pub fn of(&self, rival: Rival) -> Option<&Judged> {
        self.judged.iter().find(|j| j.rival == rival)
    }

    /// How far the model's AUC lies above that of recency; null under 20 exits.
    pub fn above_recency(&self) -> Option<f64> {
        let value = |rival| self.of(rival).and_then(|j| j.auc).map(|a| a.value);
        Some(value(Rival::Map)? - value(Rival::Recency)?)
    }

    /// Exits observed ÷ expected by the model.
    pub fn observed_over_expected(&self) -> Option<f64> {
        self.of(Rival::Map)?.calibration?.observed_over_expected
    }
}

/// A member on a day that is tested, with every rival's score.
struct Scored {
    origin: usize,
    member: usize,
    exit: Option<NaiveDate>,
    in_term: bool,
    scores: [f64; 5],
    called: [bool; 5],
}

/// Tests on the history of one gym. `end` is the first day of which nothing is known; `base_rate` is what is believed of a
/// month before any exit is seen.
pub fn backtest(histories: &[History], end: NaiveDate, base_rate: f64) -> Report {
    let Some(begin) = histories.iter().map(|h| h.joined).min() else {
        return report(&[], &[], false);
    };
    let mut days: Vec<NaiveDate> = (1..=(end - begin).num_days() / HORIZON_DAYS)
        .map(|n| end - TimeDelta::days(n * HORIZON_DAYS))
        .filter(|day| *day > begin)
        .collect();
    days.reverse();
    let tested: Vec<NaiveDate> = days
        .iter()
        .copied()
        .filter(|day| (*day - begin).num_days() >= WARM_UP)
        .collect();
    let rows: Vec<Vec<(usize, Counts)>> = days.iter().map(|day| at_risk(histories, *day)).collect();
    let alive = tested
        .first()
        .and_then(|day| Btyd::fit(Kind::MbgNbd, &customers(histories, *day)));
    let mut scored = Vec::new();
    for (origin, day) in tested.iter().enumerate() {
        let known = days
            .iter()
            .zip(&rows)
            .filter(|(past, _)| **past + TimeDelta::days(HORIZON_DAYS) <= *day);
        let learnt: Vec<Row> = known
            .flat_map(|(past, rows)| rows.iter().map(move |(member, counts)| (*past, *member, counts)))
            .map(|(past, member, counts)| Row {
                member,
                features: raw(counts),
                left: histories[member].exit_within(past, HORIZON_DAYS, *day).is_some(),
            })
            .collect();
        let here = days.iter().position(|d| d == day).map_or(&[][..], |i| &rows[i]);
        scored.extend(score_day(
            histories,
            &Day {
                origin,
                date: *day,
                end,
            },
            here,
            &learnt,
            alive.as_ref(),
            base_rate,
        ));
    }
    report(&tested, &scored, alive.is_some())
}

/// A day that is tested.
struct Day {
    origin: usize,
    date: NaiveDate,
    end: NaiveDate,
}

fn at_risk(histories: &[History], day: NaiveDate) -> Vec<(usize, Counts)> {
    let there = histories.iter().enumerate().filter(|(_, h)| h.is_at_risk(day));
    there.map(|(i, h)| (i, Counts::of(h, day))).collect()
}

fn score_day(
    histories: &[History],
    day: &Day,
    here: &[(usize, Counts)],
    learnt: &[Row],
    alive: Option<&Btyd>,
    base_rate: f64,
) -> Vec<Scored> {
    let seen = learnt.iter().filter(|row| row.left).count();
    // What is believed before counts as much as 300 members watched for a month.
    let rate = (number(seen) + 300.0 * base_rate) / (number(learnt.len()) + 300.0);
    let population: Vec<Vector> = here.iter().map(|(_, counts)| raw(counts)).collect();
    let prior = Model::unfitted(&Prior::built_in(base_rate), &population);
    let map = Model::fit(learnt, &Prior::built_in(rate), Level::Gym);
    let mut scored: Vec<Scored> = here
        .iter()
        .zip(&population)
        .map(|((member, counts), features)| {
            let history = &histories[*member];
            let absent = counts.days_absent;
            let gone = alive
                .zip(customer(history, day.date))
                .map_or(0.0, |(model, c)| 1.0 - model.alive(&c));
            let by_rule = absent >= RULE_DAYS;
            let (p_prior, p) = (prior.probability(features), map.probability(features));
            Scored {
                origin: day.origin,
                member: *member,
                exit: history.exit_within(day.date, HORIZON_DAYS, day.end),
                in_term: counts.days_to_end.is_none_or(|days| days > 0.0),
                scores: [absent, f64::from(u8::from(by_rule)), gone, p_prior, p],
                called: [
                    false,
                    by_rule,
                    false,
                    p_prior >= threshold(base_rate),
                    p >= threshold(rate),
                ],
            }
        })
        .collect();
    let calls = scored.iter().filter(|s| s.called[4]).count();
    for rival in [0, 2] {
        let mut order: Vec<usize> = (0..scored.len()).collect();
        order.sort_by(|a, b| scored[*b].scores[rival].total_cmp(&scored[*a].scores[rival]));
        for i in order.into_iter().take(calls) {
            scored[i].called[rival] = true;
        }
    }
    scored
}

fn threshold(base_rate: f64) -> f64 {
    (2.0 * base_rate).max(ALERT_FLOOR)
}

/// Visit days as transactions, in weeks; null without a visit.
fn customer(history: &History, day: NaiveDate) -> Option<Customer> {
    let known = history.visits.iter().filter(|v| v.on < day && v.recorded < day);
    let mut days: Vec<NaiveDate> = known.map(|v| v.on).collect();
    days.sort_unstable();
    days.dedup();
    let (first, last) = (*days.first()?, *days.last()?);
    Some(Customer {
        repeats: number(days.len() - 1),
        last: weeks(last - first),
        watched: weeks(day - first),
    })
}

fn customers(histories: &[History], day: NaiveDate) -> Vec<Customer> {
    histories.iter().filter_map(|h| customer(h, day)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "days of a calendar")]
fn weeks(time: TimeDelta) -> f64 {
    time.num_days() as f64 / 7.0
}

fn report(tested: &[NaiveDate], scored: &[Scored], mbg_nbd: bool) -> Report {
    let exits = scored.iter().filter(|s| s.exit.is_some()).count();
    let judged: Vec<Judged> = Rival::ALL
        .into_iter()
        .enumerate()
        .filter(|(_, rival)| mbg_nbd || *rival != Rival::MbgNbd)
        .map(|(i, rival)| judge(i, rival, tested, scored, exits))
        .collect();
    let mut report = Report {
        origins: tested.len(),
        scores: scored.len(),
        exits,
        judged,
        verdict: Verdict::TooFewExits,
    };
    if exits >= EXITS_TO_JUDGE {
        let apart = report.above_recency().is_some_and(|a| a >= ABOVE_RECENCY);
        let fair = report.observed_over_expected().is_some_and(|r| FAIR.contains(&r));
        report.verdict = if apart && fair {
            Verdict::Holds
        } else {
            Verdict::Misses
        };
    }
    report
}

fn judge(i: usize, rival: Rival, tested: &[NaiveDate], scored: &[Scored], exits: usize) -> Judged {
    let outcomes: Vec<Outcome> = scored
        .iter()
        .map(|s| Outcome {
            member: s.member,
            score: s.scores[i],
            left: s.exit.is_some(),
        })
        .collect();
    let in_term: Vec<Outcome> = outcomes
        .iter()
        .zip(scored)
        .filter(|(_, s)| s.in_term)
        .map(|(o, _)| *o)
        .collect();
    let enough_in_term = in_term.iter().filter(|o| o.left).count() >= EXITS_TO_JUDGE;
    let enough = exits >= EXITS_TO_JUDGE;
    let gives_probability = matches!(rival, Rival::Prior | Rival::Map) && !outcomes.is_empty();
    let share = number(exits) / number(outcomes.len()).max(1.0);
    Judged {
        rival,
        auc: auc(&outcomes).filter(|_| enough),
        auc_in_term: auc(&in_term).filter(|_| enough_in_term),
        pr_auc: pr_auc(&outcomes).filter(|_| enough),
        precision_at_capacity: at_capacity(&outcomes, scored, tested.len()).filter(|_| enough),
        log_loss: gives_probability.then(|| log_loss(&outcomes)),
        calibration_error: gives_probability.then(|| calibration_error(&outcomes)),
        calibration: gives_probability.then(|| calibration(&outcomes, share)),
        alerts: alerts(i, tested, scored, exits),
    }
}

/// Mean over the days of the precision among the highest 2 % of the day.
#[expect(clippy::cast_possible_truncation, reason = "2 % of some members")]
#[expect(clippy::cast_sign_loss, reason = "2 % of some members")]
fn at_capacity(outcomes: &[Outcome], scored: &[Scored], origins: usize) -> Option<f64> {
    let of_day = |origin: usize| -> Vec<Outcome> {
        let pairs = outcomes.iter().zip(scored);
        pairs
            .filter(|(_, s)| s.origin == origin)
            .map(|(o, _)| *o)
            .collect()
    };
    let days: Vec<f64> = (0..origins)
        .map(of_day)
        .filter_map(|day| precision_at(&day, ((number(day.len()) * CAPACITY).ceil()) as usize))
        .collect();
    (!days.is_empty()).then(|| days.iter().sum::<f64>() / number(days.len()))
}

fn alerts(i: usize, tested: &[NaiveDate], scored: &[Scored], exits: usize) -> Alerts {
    let called: std::collections::HashSet<(usize, usize)> = scored
        .iter()
        .filter(|s| s.called[i])
        .map(|s| (s.member, s.origin))
        .collect();
    let mut leads: Vec<f64> = scored
        .iter()
        .filter(|s| s.called[i])
        .filter_map(|s| {
            let mut first = s.origin;
            while first > 0 && called.contains(&(s.member, first - 1)) {
                first -= 1;
            }
            Some(weeks(s.exit? - *tested.get(first)?) * 7.0)
        })
        .collect();
    let right = number(leads.len());
    Alerts {
        per_100_members: 100.0 * number(called.len()) / number(scored.len()).max(1.0),
        precision: (!called.is_empty()).then(|| right / number(called.len())),
        exits_called: (exits > 0).then(|| right / number(exits)),
        lead_days: median(&mut leads),
    }
}

/// The middle one, or the mean of the middle two; null of none.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::churn::history::{ContractEvent, ContractKind, Visit};
    use crate::simulate::Gym;

    fn end() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap()
    }

    fn gym(members: usize, seed: u64) -> Vec<History> {
        Gym {
            members,
            days: 365,
            end: end(),
            seed,
        }
        .simulate()
    }

    #[test]
    fn a_small_gym_gets_no_auc_but_a_verdict_that_says_so() {
        let report = backtest(&gym(20, 1), end(), 0.034);
        assert!(report.exits < EXITS_TO_JUDGE && report.scores > 100, "{report:?}");
        assert_eq!(report.verdict, Verdict::TooFewExits);
        assert!(
            report
                .judged
                .iter()
                .all(|j| j.auc.is_none() && j.pr_auc.is_none())
        );
        let nobody = backtest(&[], end(), 0.034);
        assert_eq!((nobody.exits, nobody.verdict), (0, Verdict::TooFewExits));
    }

    #[test]
    fn a_rival_that_could_not_be_fitted_is_not_judged() {
        let mut unseen = gym(20, 1);
        for history in &mut unseen {
            history.visits.clear();
        }
        let report = backtest(&unseen, end(), 0.034);
        assert!(report.scores > 100, "{report:?}");
        assert!(report.of(Rival::MbgNbd).is_none() && report.of(Rival::Recency).is_some());
        assert!(backtest(&gym(20, 1), end(), 0.034).of(Rival::MbgNbd).is_some());
    }

    #[test]
    fn what_is_recorded_after_the_end_changes_nothing_and_the_future_of_a_day_does_not_reach_its_scores() {
        let known = gym(150, 2);
        let first = backtest(&known, end(), 0.034);
        let mut later = known.clone();
        for history in &mut later {
            history.visits.push(Visit {
                on: end(),
                recorded: end(),
                group_class: true,
            });
            history.contract.push(ContractEvent {
                kind: ContractKind::Cancelled,
                effective: end() - TimeDelta::days(40),
                recorded: end(),
                until: None,
                committed: false,
            });
        }
        assert_eq!(first, backtest(&later, end(), 0.034));
    }

    #[test]
    fn the_exit_of_a_returner_counts_on_the_day_it_was_near() {
        let day = |n: i64| end() + TimeDelta::days(n);
        let event = |kind, on| ContractEvent {
            kind,
            effective: day(on),
            recorded: day(on),
            until: None,
            committed: false,
        };
        let history = History {
            joined: day(0),
            visits: vec![],
            contract: vec![
                event(ContractKind::Start, 0),
                event(ContractKind::Cancelled, 50),
                event(ContractKind::Start, 100),
            ],
            conversations: vec![],
            goals: vec![],
        };
        assert_eq!(history.exit(day(200)), None);
        assert_eq!(history.exit_within(day(30), 30, day(200)), Some(day(50)));
        assert_eq!(
            history.exit_within(day(20), 30, day(200)),
            None,
            "the 30 days end before"
        );
        assert_eq!(history.exit_within(day(30), 30, day(50)), None, "not known yet");
    }
}
