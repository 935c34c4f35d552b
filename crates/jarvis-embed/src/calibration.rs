//! From a cosine to "how likely is this relevant", so that a threshold means the same for every model.

use crate::numeric::dot;

/// Steepness of [`similarity`]. Fitted together with [`CALIBRATION_C`] by the example `calibrate`.
pub const CALIBRATION_A: f32 = 28.33;
/// Cosine at which [`similarity`] is one half.
///
/// Logistic regression (Newton's method, both classes weighing as much) on the project's labelled French and English
/// recall set: 42 questions against the five summaries of their member, and 13 that nothing answers against all 30; 42
/// relevant pairs and 558 others. On that same set 0.7 (cosine 0.231) keeps 35 of the 42 and 34 of the 558, 0.3
/// (cosine 0.171) keeps 40 and 102.
pub const CALIBRATION_C: f32 = 0.2008;

/// The cosine of two vectors of one model, −1 to 1; 0 when either is null.
pub fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let norms = dot(left, left).sqrt() * dot(right, right).sqrt();
    if norms > 1e-12 {
        (dot(left, right) / norms).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// The calibrated score of a cosine between centred vectors, 0 to 1: 0.7 and more is "likely relevant".
pub fn similarity(cosine: f32) -> f32 {
    1.0 / (1.0 + (-CALIBRATION_A * (cosine - CALIBRATION_C)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_grows_with_the_cosine_and_stays_between_zero_and_one() {
        let scores: Vec<f32> = (-10_i16..=10)
            .map(|step| similarity(f32::from(step) / 10.0))
            .collect();
        assert!(scores.is_sorted());
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
        assert!((similarity(CALIBRATION_C) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_default_threshold_of_seven_tenths_is_the_documented_cosine() {
        assert!((similarity(0.231) - 0.7).abs() < 0.01);
        assert!((similarity(0.171) - 0.3).abs() < 0.01);
    }

    #[test]
    fn padding_with_zeros_does_not_change_a_cosine() {
        let left: Vec<f32> = (0..crate::DIMENSIONS)
            .map(|i| f32::from(u8::try_from(i % 7).unwrap()) - 3.0)
            .collect();
        let right: Vec<f32> = (0..crate::DIMENSIONS)
            .map(|i| f32::from(u8::try_from(i % 5).unwrap()) - 1.0)
            .collect();
        let padded = cosine(&crate::pad_1536(&left), &crate::pad_1536(&right));
        assert!((padded - cosine(&left, &right)).abs() < 1e-6);
    }

    #[test]
    fn a_null_vector_resembles_nothing() {
        assert_eq!(cosine(&[0.0; 4], &[1.0; 4]).to_bits(), 0.0_f32.to_bits());
    }
}
