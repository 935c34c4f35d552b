//! Symmetric systems of the model's size.

use super::features::FEATURES;

/// The intercept and the features.
pub const SIZE: usize = FEATURES + 1;
/// A column.
pub type Column = [f64; SIZE];
/// A square matrix by rows.
pub type Matrix = [Column; SIZE];

/// The lower factor of a positive definite matrix. Source: Golub and Van Loan, "Matrix Computations", 4.2.
pub fn cholesky(a: &Matrix) -> Option<Matrix> {
    let mut l = [[0.0; SIZE]; SIZE];
    for i in 0..SIZE {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            let rest = a[i][j] - known;
            l[i][j] = if i != j {
                rest / l[j][j]
            } else if rest > 0.0 {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    Some(l)
}

/// Solves `L Lᵀ x = b`.
pub fn solve(l: &Matrix, b: &Column) -> Column {
    let mut x = *b;
    for i in 0..SIZE {
        let known: f64 = (0..i).map(|k| l[i][k] * x[k]).sum();
        x[i] = (x[i] - known) / l[i][i];
    }
    for i in (0..SIZE).rev() {
        let known: f64 = (i + 1..SIZE).map(|k| l[k][i] * x[k]).sum();
        x[i] = (x[i] - known) / l[i][i];
    }
    x
}

/// The inverse of `L Lᵀ`.
pub fn inverse(l: &Matrix) -> Matrix {
    let columns: [Column; SIZE] = std::array::from_fn(|j| {
        let mut unit = [0.0; SIZE];
        unit[j] = 1.0;
        solve(l, &unit)
    });
    columns
}
