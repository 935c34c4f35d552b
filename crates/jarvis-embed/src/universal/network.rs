//! The forward pass: word vectors, three convolutions over two, three and five words, a deep averaging network.

use crate::error::FormatError;
use crate::numeric::dot;

use super::UNIVERSAL_DIMENSIONS as WIDTH;
use super::archive::Archive;

/// Width of each convolution.
const BRANCH: usize = 256;
/// The convolutions: words read at once, and how many of them stand before the word itself.
const BRANCHES: [(usize, usize); 3] = [(2, 0), (3, 1), (5, 2)];
/// Word vectors and convolutions side by side.
const FEATURES: usize = WIDTH + BRANCHES.len() * BRANCH;
/// Width of the averaging network's inner layers.
const INNER: usize = 320;
/// The word vectors are stored in this many tables, each with its own scale; word `i` is row `i / TABLES` of table
/// `i % TABLES`.
const TABLES: usize = 17;
/// Rows of each table.
const ROWS: usize = 7530;
/// Keeps a variance away from zero.
const EPSILON: f32 = 1e-12;
/// Outputs computed at once, and rows: what fits the registers of a processor without wide vectors.
const TILE: usize = 8;
const ROW_BLOCK: usize = 2;

/// A matrix of `inputs` × `outputs`, kept as strips of [`TILE`] outputs so that a product reads it in order.
struct Dense {
    inputs: usize,
    outputs: usize,
    strips: Vec<[f32; TILE]>,
}

impl Dense {
    fn new(rows: &[f32], outputs: usize) -> Self {
        let inputs = rows.len() / outputs;
        let strip = |first: usize| {
            rows.chunks_exact(outputs)
                .map(move |row| std::array::from_fn(|i| row[first + i]))
        };
        Self {
            inputs,
            outputs,
            strips: (0..outputs).step_by(TILE).flat_map(strip).collect(),
        }
    }

    fn read(archive: &mut Archive, name: &str, inputs: usize, outputs: usize) -> Result<Self, FormatError> {
        Ok(Self::new(&archive.floats(name, inputs * outputs)?, outputs))
    }

    /// Each row times the matrix, plus `bias`.
    fn multiply(&self, rows: &[f32], bias: &[f32]) -> Vec<f32> {
        let count = rows.len() / self.inputs;
        let mut out = vec![0.0; count * self.outputs];
        for (strip, weights) in self.strips.chunks_exact(self.inputs).enumerate() {
            let columns = strip * TILE..(strip + 1) * TILE;
            let bias: [f32; TILE] =
                std::array::from_fn(|i| bias.get(columns.start + i).copied().unwrap_or(0.0));
            let blocks = rows.chunks(self.inputs * ROW_BLOCK);
            for (block, out) in blocks.zip(out.chunks_mut(self.outputs * ROW_BLOCK)) {
                let mut sums = [bias; ROW_BLOCK];
                let (first, second) = block.split_at(self.inputs);
                if second.is_empty() {
                    for (weights, x) in weights.iter().zip(first) {
                        add_scaled(&mut sums[0], weights, *x);
                    }
                } else {
                    for ((weights, x), y) in weights.iter().zip(first).zip(second) {
                        add_scaled(&mut sums[0], weights, *x);
                        add_scaled(&mut sums[1], weights, *y);
                    }
                }
                for (out, sums) in out.chunks_exact_mut(self.outputs).zip(&sums) {
                    out[columns.clone()].copy_from_slice(sums);
                }
            }
        }
        out
    }
}

fn add_scaled(sums: &mut [f32; TILE], weights: &[f32; TILE], x: f32) {
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum += weight * x;
    }
}

struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    #[expect(clippy::cast_precision_loss, reason = "a width of about a thousand")]
    fn apply(&self, rows: &mut [f32]) {
        let width = self.gain.len();
        for row in rows.chunks_exact_mut(width) {
            let mean = row.iter().sum::<f32>() / width as f32;
            for x in row.iter_mut() {
                *x -= mean;
            }
            let inverse = 1.0 / (dot(row, row) / width as f32 + EPSILON).sqrt();
            for ((x, gain), bias) in row.iter_mut().zip(&self.gain).zip(&self.bias) {
                *x = *x * inverse * gain + bias;
            }
        }
    }
}

/// One convolution: two layers, each with a rectifier and a short cut.
struct Branch {
    words: usize,
    before: usize,
    layers: [(Dense, Vec<f32>); 2],
}

impl Branch {
    fn read(archive: &mut Archive, words: usize, before: usize) -> Result<Self, FormatError> {
        let mut layer = |number: u8| -> Result<(Dense, Vec<f32>), FormatError> {
            let weights = Dense::read(archive, &format!("w{number}_{words}"), words * BRANCH, BRANCH)?;
            Ok((weights, archive.floats(&format!("b{number}_{words}"), BRANCH)?))
        };
        Ok(Self {
            words,
            before,
            layers: [layer(1)?, layer(2)?],
        })
    }

    fn apply(&self, mut rows: Vec<f32>) -> Vec<f32> {
        for (weights, bias) in &self.layers {
            let mut next = weights.multiply(&self.windows(&rows), bias);
            for (x, short_cut) in next.iter_mut().zip(&rows) {
                *x = x.max(0.0) + short_cut;
            }
            rows = next;
        }
        rows
    }

    /// Each word with its neighbours side by side; beyond the text there are zeros.
    fn windows(&self, rows: &[f32]) -> Vec<f32> {
        let count = rows.len() / BRANCH;
        let mut windows = vec![0.0; count * self.words * BRANCH];
        for (at, window) in windows.chunks_exact_mut(self.words * BRANCH).enumerate() {
            for (place, slot) in window.chunks_exact_mut(BRANCH).enumerate() {
                let word = (at + place).checked_sub(self.before);
                if let Some(word) = word.filter(|word| *word < count) {
                    slot.copy_from_slice(&rows[word * BRANCH..(word + 1) * BRANCH]);
                }
            }
        }
        windows
    }
}

/// The whole network.
pub(crate) struct Network {
    words: Vec<u8>,
    scales: Vec<f32>,
    lowest: Vec<f32>,
    projections: Vec<(Dense, Vec<f32>)>,
    projected_norm: Norm,
    branches: Vec<Branch>,
    norm: Norm,
    output: (Dense, Vec<f32>),
    averaging: [Dense; 6],
}

impl Network {
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, FormatError> {
        let archive = &mut Archive::open(bytes)?;
        let mut words = Vec::with_capacity(TABLES * ROWS * WIDTH);
        for table in 1..=TABLES {
            words.extend(archive.bytes(&format!("q{table}"), ROWS * WIDTH)?);
        }
        let mut projected_norm = Norm {
            gain: Vec::new(),
            bias: Vec::new(),
        };
        let (mut projections, mut branches) = (Vec::new(), Vec::new());
        for (words, before) in BRANCHES {
            let projection = Dense::read(archive, &format!("proj{words}"), WIDTH, BRANCH)?;
            projections.push((projection, archive.floats(&format!("proj_b{words}"), BRANCH)?));
            projected_norm
                .gain
                .extend(archive.floats(&format!("ln_g{words}"), BRANCH)?);
            projected_norm
                .bias
                .extend(archive.floats(&format!("ln_b{words}"), BRANCH)?);
            branches.push(Branch::read(archive, words, before)?);
        }
        Ok(Self {
            words,
            scales: archive.floats("scale", TABLES)?,
            lowest: archive.floats("lo", TABLES)?,
            projections,
            projected_norm,
            branches,
            norm: Norm {
                gain: archive.floats("ln_g", FEATURES)?,
                bias: archive.floats("ln_b", FEATURES)?,
            },
            output: (
                Dense::read(archive, "cnn_W", FEATURES, WIDTH)?,
                archive.floats("cnn_b", WIDTH)?,
            ),
            averaging: [
                Dense::read(archive, "d0", WIDTH, INNER)?,
                Dense::read(archive, "p1", WIDTH, INNER)?,
                Dense::read(archive, "d1", INNER, INNER)?,
                Dense::read(archive, "d2", INNER, WIDTH)?,
                Dense::read(archive, "p3", INNER, WIDTH)?,
                Dense::read(archive, "d3", WIDTH, WIDTH)?,
            ],
        })
    }

    /// How many token ids it knows.
    pub(crate) fn tokens(&self) -> usize {
        self.words.len() / WIDTH
    }

    /// The vector of a text, not of unit length. `ids` is not empty, and every id is below [`Network::tokens`].
    pub(crate) fn run(&self, ids: &[u32]) -> Vec<f32> {
        let features = self.features(ids);
        let mut sum = vec![0.0; FEATURES];
        for row in features.chunks_exact(FEATURES) {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        self.average(&sum, ids.len())
    }

    fn features(&self, ids: &[u32]) -> Vec<f32> {
        let mut words = vec![0.0; ids.len() * WIDTH];
        for (row, id) in words.chunks_exact_mut(WIDTH).zip(ids) {
            self.read_word(*id as usize, row);
        }
        let parts: Vec<Vec<f32>> = self
            .projections
            .iter()
            .map(|(weights, bias)| weights.multiply(&words, bias))
            .collect();
        let mut projected = side_by_side(&parts, ids.len());
        self.projected_norm.apply(&mut projected);
        let mut parts = vec![words];
        for (index, branch) in self.branches.iter().enumerate() {
            let own = projected
                .chunks_exact(BRANCHES.len() * BRANCH)
                .flat_map(|row| &row[index * BRANCH..(index + 1) * BRANCH])
                .copied()
                .collect();
            parts.push(branch.apply(own));
        }
        let mut features = side_by_side(&parts, ids.len());
        self.norm.apply(&mut features);
        features
    }

    fn read_word(&self, id: usize, row: &mut [f32]) {
        let table = id % TABLES;
        let start = (table * ROWS + id / TABLES) * WIDTH;
        let (scale, lowest) = (self.scales[table], self.lowest[table]);
        for (x, step) in row.iter_mut().zip(&self.words[start..start + WIDTH]) {
            *x = f32::from(*step) * scale + lowest;
        }
    }

    /// The averaging network. The sum over the tokens may be projected instead of every token: the projection is linear.
    #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
    fn average(&self, sum: &[f32], tokens: usize) -> Vec<f32> {
        let tokens = tokens as f32;
        let (output, bias) = &self.output;
        let mut mean = output.multiply(sum, &[]);
        for (x, bias) in mean.iter_mut().zip(bias) {
            *x = (*x + tokens * bias) / tokens.sqrt();
        }
        let [first, short_first, second, third, short_last, last] = &self.averaging;
        let inner = rectified(first.multiply(&mean, &[]));
        let inner = rectified(second.multiply(&inner, &short_first.multiply(&mean, &[])));
        let outer = rectified(third.multiply(&inner, &[]));
        let mut vector = last.multiply(&outer, &short_last.multiply(&inner, &[]));
        for x in &mut vector {
            *x = x.tanh();
        }
        vector
    }
}

fn rectified(mut row: Vec<f32>) -> Vec<f32> {
    for x in &mut row {
        *x = x.max(0.0);
    }
    row
}

/// The rows of several matrices joined; each matrix has `count` rows.
fn side_by_side(parts: &[Vec<f32>], count: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for at in 0..count {
        for part in parts {
            let width = part.len() / count;
            rows.extend_from_slice(&part[at * width..(at + 1) * width]);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_the_sum_of_the_products() {
        let number = |i: usize| f32::from(u8::try_from(i % 11).unwrap()) - 5.0;
        let weights: Vec<f32> = (0..24 * 16).map(number).collect();
        let rows: Vec<f32> = (0..3 * 24).map(|i| number(i + 3)).collect();
        let bias: Vec<f32> = (0..16).map(number).collect();
        let product = Dense::new(&weights, 16).multiply(&rows, &bias);
        for row in 0..3 {
            for column in 0..16 {
                let exact = (0..24).map(|k| rows[row * 24 + k] * weights[k * 16 + column]);
                let exact = bias[column] + exact.sum::<f32>();
                assert!(
                    (product[row * 16 + column] - exact).abs() < 1e-4,
                    "{row} {column}"
                );
            }
        }
    }

    #[test]
    fn a_window_beyond_the_text_holds_zeros() {
        let branch = Branch {
            words: 3,
            before: 1,
            layers: std::array::from_fn(|_| (Dense::new(&[0.0; 8], 8), Vec::new())),
        };
        let rows = [vec![1.0; BRANCH], vec![2.0; BRANCH]].concat();
        let firsts: Vec<f32> = branch.windows(&rows).into_iter().step_by(BRANCH).collect();
        assert_eq!(firsts, [0.0, 1.0, 2.0, 1.0, 2.0, 0.0]);
    }
}
