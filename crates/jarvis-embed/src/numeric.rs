//! Functions of numbers written so that a compiler makes vector instructions of a loop over them: no branch, no call.

/// The dot product of two vectors; what one has more than the other is ignored.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (left, right) in left.iter().zip(right) {
        for ((sum, a), b) in sums.iter_mut().zip(left).zip(right) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Divides a vector by its Euclidean norm; a null vector stays null.
pub(crate) fn normalise(vector: &mut [f32]) {
    let norm = dot(vector, vector).sqrt();
    if norm > 1e-12 {
        for x in vector {
            *x /= norm;
        }
    }
}

/// e to the power `x`, within 3e-7 of its value for −87 ≤ x ≤ 88; beyond, the value at the bound.
///
/// 2^n · e^r with n the nearest integer to x / ln 2, and the Taylor series of e^r for |r| ≤ ln 2 / 2.
pub(crate) fn exp(x: f32) -> f32 {
    /// 1.5 × 2²³: adding it leaves the rounded integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, so that n × the first is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let series = r * (1.0 / 720.0) + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = (series * r + 1.0) * r + 1.0;
    series * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3F80_0000))
}

/// The error function, within 5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
fn erf(x: f32) -> f32 {
    let magnitude = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * magnitude);
    let series = 1.061_405_4 * t - 1.453_152;
    let series = (series * t + 1.421_413_7) * t - 0.284_496_74;
    let series = (series * t + 0.254_829_6) * t;
    (1.0 - series * exp(-magnitude * magnitude)).copysign(x)
}

/// Gaussian error linear unit, exact form: x · Φ(x) (Hendrycks and Gimpel 2016).
pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_agrees_with_the_standard_library() {
        for step in -870_i16..=880 {
            let x = f32::from(step) / 10.0 + 0.013;
            let (found, exact) = (exp(x), x.clamp(-87.0, 88.0).exp());
            assert!(
                (found / exact - 1.0).abs() < 4e-7,
                "exp({x}) = {found}, not {exact}"
            );
        }
        assert!((exp(0.0) - 1.0).abs() < f32::EPSILON);
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn the_error_function_agrees_with_published_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, value) in [
            (0.0, 0.0),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (1.5, 0.966_105_1),
            (2.0, 0.995_322_3),
        ] {
            assert!((erf(x) - value).abs() < 5e-7, "erf({x})");
            assert!((erf(-x) + value).abs() < 5e-7, "erf(-{x})");
        }
    }

    #[test]
    fn a_normalised_vector_has_norm_one_and_a_null_one_stays_null() {
        let mut vector: Vec<f32> = (1_i16..=13).map(f32::from).collect();
        normalise(&mut vector);
        assert!((dot(&vector, &vector) - 1.0).abs() < 1e-6);
        let mut null = [0.0; 13];
        normalise(&mut null);
        assert!(null.iter().all(|x| x.to_bits() == 0));
    }
}
