//! Ridge regression in closed form.

use std::fmt;

/// One labelled vector.
#[derive(Clone, Copy)]
pub struct Example<'a> {
    /// The features.
    pub features: &'a [f32],
    /// The place of its class.
    pub class: usize,
}

impl fmt::Debug for Example<'_> {
    /// A vector can be turned back into words: only the class is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Example")
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

/// The weights of one class: one number a feature, then the bias.
pub type ClassWeights = Vec<f32>;

/// One linear score a class, fitted by ridge regression on targets of 1 (this class) and -1 (another):
///
/// `W = (Xᵀ D X + λ I)⁻¹ Xᵀ D Y`, solved by Cholesky's decomposition.
///
/// `D` weighs each example by `n / (classes · examples of its class)`, so that a rare class counts as much as a
/// frequent one; the bias, a last feature of 1, is not shrunk. The same examples in the same order give the same
/// numbers. `None` when a class has no example, the features differ in length, or `lambda` is not above 0.
pub fn fit(examples: &[Example<'_>], classes: usize, lambda: f64) -> Option<Vec<ClassWeights>> {
    let dimensions = examples.first()?.features.len();
    let mut counts = vec![0_u32; classes];
    for example in examples {
        *counts.get_mut(example.class)? += 1;
        if example.features.len() != dimensions {
            return None;
        }
    }
    if counts.contains(&0) || lambda.is_nan() || lambda <= 0.0 {
        return None;
    }
    let size = dimensions + 1;
    let mut gram = vec![0.0_f64; size * size];
    let mut right = vec![vec![0.0_f64; size]; classes];
    let all = as_f64(examples.len());
    for example in examples {
        let row: Vec<f64> = example
            .features
            .iter()
            .map(|x| f64::from(*x))
            .chain([1.0])
            .collect();
        let weight = all / (as_f64(classes) * f64::from(counts[example.class]));
        for (i, x) in row.iter().enumerate() {
            for (cell, y) in gram[i * size..=i * size + i].iter_mut().zip(&row) {
                *cell += weight * x * y;
            }
        }
        for (class, column) in right.iter_mut().enumerate() {
            let target = if class == example.class { weight } else { -weight };
            column.iter_mut().zip(&row).for_each(|(c, x)| *c += target * x);
        }
    }
    for i in 0..dimensions {
        gram[i * size + i] += lambda;
    }
    decompose(&mut gram, size)?;
    let solved = right.into_iter().map(|column| solve(&gram, size, column));
    Some(solved.collect())
}

/// The score of one class.
pub fn score(weights: &[f32], features: &[f32]) -> f64 {
    let (bias, slopes) = weights.split_last().map_or((0.0, weights), |(b, s)| (*b, s));
    let product: f64 = slopes
        .iter()
        .zip(features)
        .map(|(w, x)| f64::from(*w) * f64::from(*x))
        .sum();
    product + f64::from(bias)
}

/// Cholesky: the lower triangle becomes `L` with `L Lᵀ` as before; `None` when the matrix is not positive definite.
fn decompose(matrix: &mut [f64], size: usize) -> Option<()> {
    for i in 0..size {
        for j in 0..=i {
            let (row_i, row_j) = (&matrix[i * size..i * size + j], &matrix[j * size..j * size + j]);
            let below: f64 = row_i.iter().zip(row_j).map(|(a, b)| a * b).sum();
            let left = matrix[i * size + j] - below;
            matrix[i * size + j] = if i == j {
                if left <= 0.0 || left.is_nan() {
                    return None;
                }
                left.sqrt()
            } else {
                left / matrix[j * size + j]
            };
        }
    }
    Some(())
}

/// Forward, then backward substitution.
fn solve(lower: &[f64], size: usize, mut x: Vec<f64>) -> ClassWeights {
    for i in 0..size {
        let known: f64 = lower[i * size..i * size + i]
            .iter()
            .zip(&x)
            .map(|(l, x)| l * x)
            .sum();
        x[i] = (x[i] - known) / lower[i * size + i];
    }
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size).map(|k| lower[k * size + i] * x[k]).sum();
        x[i] = (x[i] - known) / lower[i * size + i];
    }
    x.into_iter().map(as_f32).collect()
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_possible_truncation, reason = "the file holds single precision")]
fn as_f32(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(points: &'static [([f32; 2], usize)]) -> Vec<Example<'static>> {
        let example = |(features, class): &'static ([f32; 2], usize)| Example {
            features,
            class: *class,
        };
        points.iter().map(example).collect()
    }

    #[test]
    fn the_solution_is_the_one_worked_out_by_hand() {
        // One feature x (the second is always 0), two classes, balanced: the weighted sums are Σx² = 2, Σx·y = 2,
        // Σx = Σy = 0, so that the slope is 2 / (2 + λ) and the bias 0.
        let told = fit(&examples(&[([1.0, 0.0], 0), ([-1.0, 0.0], 1)]), 2, 2.0).unwrap();
        assert!((told[0][0] - 0.5).abs() < 1e-6, "{told:?}");
        assert!((told[1][0] + 0.5).abs() < 1e-6 && told[0][1].abs() < 1e-6 && told[0][2].abs() < 1e-6);
        assert!((score(&told[0], &[3.0, 0.0]) - 1.5).abs() < 1e-6);
    }

    #[test]
    fn a_rare_class_weighs_as_much_as_a_frequent_one() {
        let told = fit(
            &examples(&[
                ([1.0, 0.0], 0),
                ([1.0, 0.0], 0),
                ([1.0, 0.0], 0),
                ([-1.0, 0.0], 1),
            ]),
            2,
            0.1,
        )
        .unwrap();
        assert!(told[0][2].abs() < 1e-6, "the bias leans to no side: {told:?}");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let one_class = [([1.0, 0.0], 0), ([0.5, 0.0], 0)];
        assert!(fit(&examples(Box::leak(Box::new(one_class))), 2, 1.0).is_none());
        assert!(fit(&examples(&[([1.0, 0.0], 0), ([0.0, 1.0], 2)]), 2, 1.0).is_none());
        assert!(fit(&examples(&[([1.0, 0.0], 0), ([0.0, 1.0], 1)]), 2, 0.0).is_none());
        assert!(fit(&examples(&[([f32::NAN, 0.0], 0), ([0.0, 1.0], 1)]), 2, 1.0).is_none());
        assert!(fit(&[], 2, 1.0).is_none());
    }
}
