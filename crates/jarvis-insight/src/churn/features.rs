//! The numbers that the model reads, made of [`Counts`].

use super::counts::Counts;
use serde::{Deserialize, Serialize};

/// How many features there are.
pub const FEATURES: usize = 13;

/// One number per feature, in the order of [`Feature::ALL`].
pub type Vector = [f64; FEATURES];

/// A feature. Injury is health data and stays out; so do age and sex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// `ln(1 + days since the last visit)`.
    Absence,
    /// `ln(days since the last visit ÷ the member's own gap)` within ±3; 0 without a habit.
    AbsenceByHabit,
    /// `ln(1 + visit days in 28 days)`.
    Visits,
    /// `ln((1 + visit days in 28 days) ÷ (1 + in the 28 days before))`; 0 for members of less than 56 days.
    Trend,
    /// 1 in the first 90 days.
    FirstQuarter,
    /// 1 in the first 28 days.
    FirstMonth,
    /// `ln(days of membership)`.
    Tenure,
    /// 1 when the term ends within 30 days or has ended.
    ContractEnds,
    /// 1 when the member is bound to a term.
    Committed,
    /// Negative conversations in 30 days, at most 5.
    Negative,
    /// 1 after a conversation in 28 days.
    Conversations,
    /// Goals that progress, at most 5.
    Goals,
    /// 1 after a group class in 90 days.
    GroupClass,
}

impl Feature {
    /// All, in the order of every vector.
    pub const ALL: [Self; FEATURES] = [
        Self::Absence,
        Self::AbsenceByHabit,
        Self::Visits,
        Self::Trend,
        Self::FirstQuarter,
        Self::FirstMonth,
        Self::Tenure,
        Self::ContractEnds,
        Self::Committed,
        Self::Negative,
        Self::Conversations,
        Self::Goals,
        Self::GroupClass,
    ];

    /// The coefficient before any data: change of the log-odds per unit of the feature. Judged by the house from what is
    /// published on gyms' members, and corrected by the gym's own exits; a starting point and no measurement.
    pub fn built_in(self) -> f64 {
        match self {
            Self::Absence | Self::AbsenceByHabit => 0.35,
            Self::Visits => -0.25,
            Self::Trend | Self::GroupClass => -0.30,
            Self::FirstQuarter => 0.45,
            Self::FirstMonth => 0.20,
            Self::Tenure => -0.15,
            Self::ContractEnds => 1.1,
            Self::Committed => -0.5,
            Self::Negative => 0.3,
            Self::Conversations | Self::Goals => -0.1,
        }
    }

    /// Whether the coefficient may not be negative: a longer absence must never make a score better.
    pub fn only_raises(self) -> bool {
        matches!(self, Self::Absence | Self::AbsenceByHabit)
    }

    /// Its value, raw.
    pub fn of(self, c: &Counts) -> f64 {
        let yes = |holds: bool| f64::from(u8::from(holds));
        match self {
            Self::Absence => c.days_absent.ln_1p(),
            Self::AbsenceByHabit => c.own_gap.map_or(0.0, |gap| {
                (c.days_absent.max(1.0) / gap.max(1.0)).ln().clamp(-3.0, 3.0)
            }),
            Self::Visits => f64::from(c.visits_28d).ln_1p(),
            Self::Trend => c.visits_before.map_or(0.0, |before| {
                (f64::from(1 + c.visits_28d) / f64::from(1 + before)).ln()
            }),
            Self::FirstQuarter => yes(c.tenure_days < 90.0),
            Self::FirstMonth => yes(c.tenure_days < 28.0),
            Self::Tenure => c.tenure_days.max(1.0).ln(),
            Self::ContractEnds => yes(c.days_to_end.is_some_and(|days| days <= 30.0)),
            Self::Committed => yes(c.committed),
            Self::Negative => f64::from(c.negative_30d.min(5)),
            Self::Conversations => yes(c.conversations_28d > 0),
            Self::Goals => f64::from(c.goals_progressing.min(5)),
            Self::GroupClass => yes(c.group_class),
        }
    }
}

/// All features, raw.
pub fn raw(counts: &Counts) -> Vector {
    Feature::ALL.map(|feature| feature.of(counts))
}

/// Where raw features lie, to put them on one scale: z = (x − mean) ÷ sd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Mean of each feature.
    pub mean: Vector,
    /// Standard deviation of each; 1 where a feature never varied.
    pub sd: Vector,
}

impl Scale {
    /// That of these rows; of no rows, the raw scale.
    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    pub fn of(rows: &[Vector]) -> Self {
        let n = rows.len().max(1) as f64;
        let mut scale = Self {
            mean: [0.0; FEATURES],
            sd: [1.0; FEATURES],
        };
        for j in 0..FEATURES {
            let mean = rows.iter().map(|r| r[j]).sum::<f64>() / n;
            let variance = rows.iter().map(|r| (r[j] - mean).powi(2)).sum::<f64>() / n;
            scale.mean[j] = mean;
            scale.sd[j] = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
        }
        scale
    }

    /// A row, standardised.
    pub fn standardise(&self, row: &Vector) -> Vector {
        std::array::from_fn(|j| (row[j] - self.mean[j]) / self.sd[j])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standardised_rows_have_mean_0_and_deviation_1_and_a_constant_stays_harmless() {
        let rows: Vec<Vector> = (0..50_u8)
            .map(|n| std::array::from_fn(|j| if j == 3 { 2.0 } else { f64::from(n) * 1.5 - 3.0 }))
            .collect();
        let scale = Scale::of(&rows);
        let z: Vec<Vector> = rows.iter().map(|r| scale.standardise(r)).collect();
        let again = Scale::of(&z);
        assert!(again.mean.iter().all(|m| m.abs() < 1e-12));
        assert!((again.sd[0] - 1.0).abs() < 1e-12);
        assert!(z.iter().all(|r| r[3].abs() < 1e-12) && (scale.sd[3] - 1.0).abs() < 1e-12);
    }
}
