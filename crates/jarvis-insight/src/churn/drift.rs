//! Whether members still look as they did when the model was fitted.

use super::features::{FEATURES, Feature, Vector};
use super::metrics::number;
use serde::Serialize;

/// How far a feature moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// Under 0.1.
    None,
    /// 0.1 to 0.25.
    Some,
    /// Above 0.25: the model should be fitted again, and the inputs looked at.
    Much,
}

impl Drift {
    /// The usual bars, .1 and .25.
    pub fn of(psi: f64) -> Self {
        match psi {
            p if p < 0.1 => Self::None,
            p if p <= 0.25 => Self::Some,
            _ => Self::Much,
        }
    }
}

/// Population stability index Σ (a − e) ln(a ÷ e) over the tenths of what was expected; equal values stay in one bin and
/// an empty bin counts as half a row. Source: Siddiqi, "Credit risk scorecards", 2006.
pub fn psi(expected: &[f64], actual: &[f64]) -> f64 {
    if expected.is_empty() || actual.is_empty() {
        return 0.0;
    }
    let mut sorted = expected.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut edges: Vec<f64> = (1..10).map(|tenth| sorted[tenth * sorted.len() / 10]).collect();
    edges.dedup();
    // A value that most rows share gets a bin of its own: below it, itself, above it.
    let shares = |values: &[f64]| -> Vec<f64> {
        let mut bins = vec![0_usize; 2 * edges.len() + 1];
        for value in values {
            let below = edges.partition_point(|edge| edge < value);
            let on =
                below < edges.len() && edges[below].total_cmp(value).is_eq() && is_common(&sorted, *value);
            bins[2 * below + usize::from(on)] += 1;
        }
        bins.into_iter()
            .map(|n| number(n).max(0.5) / number(values.len()))
            .collect()
    };
    shares(expected)
        .iter()
        .zip(shares(actual))
        .filter(|(e, a)| **e > 0.5 / number(expected.len()) || *a > 0.5 / number(actual.len()))
        .map(|(e, a)| (a - e) * (a / e).ln())
        .sum()
}

/// Whether at least a tenth of the sorted values are this one.
fn is_common(sorted: &[f64], value: f64) -> bool {
    let from = sorted.partition_point(|v| *v < value);
    let to = sorted.partition_point(|v| *v <= value);
    10 * (to - from) >= sorted.len()
}

/// The index of every feature.
pub fn of_features(expected: &[Vector], actual: &[Vector]) -> Vec<(Feature, f64)> {
    let column = |rows: &[Vector], j: usize| -> Vec<f64> { rows.iter().map(|row| row[j]).collect() };
    (0..FEATURES)
        .map(|j| (Feature::ALL[j], psi(&column(expected, j), &column(actual, j))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn sample(shift: f64, seed: u64) -> Vec<f64> {
        let mut random = Random::new(seed);
        (0..5000).map(|_| random.normal() + shift).collect()
    }

    #[test]
    fn equal_members_do_not_drift_and_shifted_ones_do() {
        assert_eq!(Drift::of(psi(&sample(0.0, 1), &sample(0.0, 2))), Drift::None);
        assert_eq!(Drift::of(psi(&sample(0.0, 1), &sample(0.4, 2))), Drift::Some);
        assert_eq!(Drift::of(psi(&sample(0.0, 1), &sample(1.0, 2))), Drift::Much);
    }

    #[test]
    fn a_yes_or_no_feature_drifts_too() {
        let share = |yes: u32| -> Vec<f64> { (0..1000).map(|n| f64::from(u8::from(n < yes))).collect() };
        assert_eq!(Drift::of(psi(&share(100), &share(110))), Drift::None);
        // (.4 − .1) ln 4 + (.6 − .9) ln(.6 ÷ .9)
        let wanted = 0.3 * 4.0_f64.ln() - 0.3 * (0.6_f64 / 0.9).ln();
        assert!((psi(&share(100), &share(400)) - wanted).abs() < 1e-9);
        assert!(
            (psi(&share(30), &share(430)) - (0.4 * (43.0_f64 / 3.0).ln() - 0.4 * (57.0_f64 / 97.0).ln()))
                .abs()
                < 1e-9
        );
    }
}
