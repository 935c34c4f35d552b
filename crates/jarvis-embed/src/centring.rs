//! Mean-centring and padding.
//!
//! Vectors of e5 all point roughly the same way: two unrelated texts have a cosine near .8. Taking the common part
//! away spreads them (Mu and Viswanath 2018, "All-but-the-Top", first step). Queries and passages differ by a constant
//! part too (their means have a cosine of .96), so each kind has its own mean.

use std::sync::LazyLock;

use crate::numeric::normalise;
use crate::{DIMENSIONS, Kind};

/// Numbers in a vector as stored: the width of the `vector(1536)` columns.
pub const PADDED_DIMENSIONS: usize = 1536;

static MEANS: LazyLock<[[f32; DIMENSIONS]; 2]> = LazyLock::new(|| {
    let bytes: &[u8; DIMENSIONS * 4 * 2] = include_bytes!("../data/means.f32");
    let (numbers, _) = bytes.as_chunks::<4>();
    [0, DIMENSIONS].map(|start| std::array::from_fn(|at| f32::from_le_bytes(numbers[start + at])))
});

/// The mean vector of the lines of `data/utterances.txt` read as one kind of text. Written by the example `means`.
pub fn mean(kind: Kind) -> &'static [f32; DIMENSIONS] {
    let [queries, passages] = &*MEANS;
    match kind {
        Kind::Query => queries,
        Kind::Passage => passages,
    }
}

/// Takes [`mean`] away from a vector of [`crate::E5`] and makes it unit length again.
pub fn centre(kind: Kind, vector: &mut [f32]) {
    vector.iter_mut().zip(mean(kind)).for_each(|(x, mean)| *x -= mean);
    normalise(vector);
}

/// The vector followed by zeros, [`PADDED_DIMENSIONS`] numbers: cosines stay what they were.
pub fn pad_1536(vector: &[f32]) -> Vec<f32> {
    let mut padded = vector.to_vec();
    padded.resize(PADDED_DIMENSIONS, 0.0);
    padded
}
