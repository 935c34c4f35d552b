//! When a probability may be shown, and when a new model may replace an old one.

use super::metrics::{Outcome, brier_skill, log_loss, loss, number, observed_over_expected};
use crate::random::Random;
use jarvis_core::Language;
use serde::Serialize;
use std::collections::BTreeMap;

/// Exits under which nothing is called calibrated.
pub const EXITS_TO_CALIBRATE: usize = 30;
/// Observed ÷ expected exits must lie here.
pub const FAIR: std::ops::RangeInclusive<f64> = 0.8..=1.25;
/// The probability that a new model is better which it needs to replace the old one.
pub const TO_PROMOTE: f64 = 0.9;

/// Whether a model's probabilities may be shown as percentages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Exits that were observed.
    pub exits: usize,
    /// Exits observed ÷ expected; null where none was expected.
    pub observed_over_expected: Option<f64>,
    /// Above 0 is better than always saying the base rate.
    pub brier_skill: f64,
    /// At least 30 exits, observed ÷ expected in 0.8 to 1.25, and skill.
    pub calibrated: bool,
}

/// Judges probabilities given before it was known who left.
pub fn calibration(outcomes: &[Outcome], base_rate: f64) -> Calibration {
    let exits = outcomes.iter().filter(|o| o.left).count();
    let ratio = observed_over_expected(outcomes);
    let skill = brier_skill(outcomes, base_rate);
    Calibration {
        exits,
        observed_over_expected: ratio,
        brier_skill: skill,
        calibrated: exits >= EXITS_TO_CALIBRATE && ratio.is_some_and(|r| FAIR.contains(&r)) && skill > 0.0,
    }
}

/// What stands beside a score without a percentage.
pub fn unverified(language: Language) -> &'static str {
    match language.message_language() {
        Language::Fr => "estimation non vérifiée sur votre salle",
        _ => "estimate not verified on your gym",
    }
}

/// Whether a candidate replaces the model in force, on outcomes later than all that it was fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Promotion {
    /// The candidate's log-loss.
    pub candidate: f64,
    /// That of the model in force.
    pub incumbent: f64,
    /// The probability that the candidate is better, by bootstrap over members.
    pub probability_better: f64,
    /// Whether it is promoted.
    pub promoted: bool,
}

/// Compares the probabilities of two models for the same rows. Members are drawn, not rows, since rows of one member
/// depend on each other. Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993; for clusters Field and
/// Welsh, JRSS B 2007.
pub fn promotion(candidate: &[Outcome], incumbent: &[Outcome], seed: u64) -> Promotion {
    const DRAWS: usize = 1000;
    let mut gains: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for (new, old) in candidate.iter().zip(incumbent) {
        let gain = gains.entry(new.member).or_default();
        gain.0 += loss(old.score, old.left) - loss(new.score, new.left);
        gain.1 += 1;
    }
    let gains: Vec<(f64, usize)> = gains.into_values().collect();
    let mut random = Random::new(seed);
    let better = (0..DRAWS)
        .filter(|_| {
            (0..gains.len())
                .map(|_| gains[random.below(gains.len())].0)
                .sum::<f64>()
                > 0.0
        })
        .count();
    let probability_better = number(better) / number(DRAWS);
    let (new, old) = (log_loss(candidate), log_loss(incumbent));
    Promotion {
        candidate: new,
        incumbent: old,
        probability_better,
        promoted: new < old && probability_better >= TO_PROMOTE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(n: usize, p: impl Fn(f64) -> f64, seed: u64) -> Vec<Outcome> {
        let mut random = Random::new(seed);
        (0..n)
            .map(|member| {
                let truth = random.unit() * 0.3;
                Outcome {
                    member,
                    score: p(truth),
                    left: random.happens(truth),
                }
            })
            .collect()
    }

    #[test]
    fn a_percentage_needs_exits_fairness_and_skill() {
        let fair = outcomes(600, |p| p, 1);
        let verdict = calibration(&fair, 0.15);
        assert!(verdict.calibrated, "{verdict:?}");
        assert!(!calibration(&fair[..100], 0.15).calibrated, "too few exits");
        assert!(
            !calibration(&outcomes(600, |p| p * 1.5, 1), 0.15).calibrated,
            "too many foretold"
        );
        assert!(
            !calibration(&outcomes(600, |p| 0.3 - p, 1), 0.15).calibrated,
            "no skill"
        );
        assert!(!calibration(&[], 0.15).calibrated);
    }

    /// Half of those at 50 % leave and nobody of those at 0 %: as fair as can be, and far better than one rate.
    #[test]
    fn twenty_five_fair_exits_are_not_enough_and_thirty_are() {
        let fair = |exits: usize| -> Vec<Outcome> {
            (0..exits * 2)
                .map(|member| Outcome {
                    member,
                    score: 0.5,
                    left: member % 2 == 0,
                })
                .chain((0..exits * 20).map(|member| Outcome {
                    member: 10_000 + member,
                    score: 0.0,
                    left: false,
                }))
                .collect()
        };
        for (exits, calibrated) in [(25, false), (29, false), (30, true)] {
            let outcomes = fair(exits);
            let share = number(exits) / number(outcomes.len());
            let verdict = calibration(&outcomes, share);
            assert_eq!(verdict.exits, exits);
            assert!(
                (verdict.observed_over_expected.unwrap() - 1.0).abs() < 1e-9 && verdict.brier_skill > 0.4,
                "{verdict:?}"
            );
            assert_eq!(verdict.calibrated, calibrated, "{verdict:?}");
        }
    }

    #[test]
    fn a_better_model_is_promoted_and_an_equal_or_worse_one_is_not() {
        let good = outcomes(2000, |p| p, 2);
        let blunt = outcomes(2000, |_| 0.15, 2);
        assert!(promotion(&good, &blunt, 1).promoted);
        assert!(!promotion(&blunt, &good, 1).promoted);
        assert!(!promotion(&good, &good, 1).promoted);
    }

    #[test]
    fn rows_of_one_member_are_no_proof() {
        let better = |member: usize, score: f64| Outcome {
            member,
            score,
            left: true,
        };
        let new: Vec<Outcome> = (0..300)
            .map(|_| better(1, 0.9))
            .chain([better(2, 0.1), better(3, 0.1)])
            .collect();
        let old: Vec<Outcome> = (0..300)
            .map(|_| better(1, 0.8))
            .chain([better(2, 0.5), better(3, 0.5)])
            .collect();
        let verdict = promotion(&new, &old, 1);
        assert!(
            verdict.candidate < verdict.incumbent && !verdict.promoted,
            "{verdict:?}"
        );
    }
}
