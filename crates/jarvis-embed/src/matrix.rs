//! 4-bit matrices times 8-bit activations, in whole numbers.
//!
//! A row of weights is cut in blocks of 32, each with its own scale (Q4_0: 32 values in −8…7). Activations are cut
//! the same way (Q8_0: 32 values in −127…127). The dot product of two blocks is exact in integers; only the product
//! of the two scales is a float. Integers are widened to 16 bits because compilers turn a sum of 16-bit products
//! into one instruction on every 64-bit machine, with no processor-specific flag.

use std::ops::Range;
use std::sync::Arc;

/// Values that share a scale.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a block on disk: an f16 scale, then byte `j` holds value `j` (low) and `j + 16` (high).
pub(crate) const BLOCK_BYTES: usize = 18;

type Block = [i16; BLOCK];

/// A quantised matrix: a view into the file it came from.
pub(crate) struct Matrix {
    file: Arc<Vec<u8>>,
    range: Range<usize>,
    columns: usize,
}

/// Rows of activations, quantised.
pub(crate) struct Activations {
    blocks: Vec<Block>,
    scales: Vec<f32>,
}

/// The value of half-precision bits. Infinities do not occur in weights and become large numbers.
pub(crate) fn half_to_f32(bits: u16) -> f32 {
    /// 2^112: moves an exponent biased by 15 to one biased by 127, subnormal numbers included.
    const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
    // No branch on the sign: it is as good as random from block to block.
    let magnitude = f32::from_bits(u32::from(bits & 0x7FFF) << 13) * REBIAS;
    f32::from_bits(magnitude.to_bits() | u32::from(bits & 0x8000) << 16)
}

fn unpack(packed: &[u8; BLOCK_BYTES], values: &mut Block) -> f32 {
    let (scale, nibbles) = packed.split_at(2);
    let (low, high) = values.split_at_mut(BLOCK / 2);
    for ((byte, low), high) in nibbles.iter().zip(low).zip(high) {
        *low = i16::from(byte & 0x0F) - 8;
        *high = i16::from(byte >> 4) - 8;
    }
    half_to_f32(u16::from_le_bytes([scale[0], scale[1]]))
}

impl Activations {
    /// Quantises rows laid end to end; their width is a multiple of [`BLOCK`].
    pub(crate) fn quantise(rows: &[f32]) -> Self {
        let (chunks, rest) = rows.as_chunks::<BLOCK>();
        debug_assert!(rest.is_empty(), "rows are whole blocks");
        let mut blocks = Vec::with_capacity(chunks.len());
        let mut scales = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let (block, scale) = quantise_block(chunk);
            blocks.push(block);
            scales.push(scale);
        }
        Self { blocks, scales }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low 16 bits hold the rounded value"
)]
fn quantise_block(values: &[f32; BLOCK]) -> (Block, f32) {
    /// 1.5 × 2²³: adding it rounds half to even and leaves the integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let mut largest = 0.0_f32;
    for value in values {
        let magnitude = value.abs();
        largest = if magnitude > largest { magnitude } else { largest };
    }
    let scale = largest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    (
        values.map(|value| (value * inverse + ROUND).to_bits() as i16),
        scale,
    )
}

impl Matrix {
    pub(crate) fn new(file: Arc<Vec<u8>>, range: Range<usize>, columns: usize) -> Self {
        Self { file, range, columns }
    }

    fn packed_rows(&self) -> impl Iterator<Item = &[[u8; BLOCK_BYTES]]> {
        let (blocks, _) = self.file[self.range.clone()].as_chunks::<BLOCK_BYTES>();
        blocks.chunks_exact(self.columns / BLOCK)
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.range.len() / (self.columns / BLOCK * BLOCK_BYTES)
    }

    /// Adds row `index` to `out`.
    pub(crate) fn add_row(&self, index: usize, out: &mut [f32]) {
        let width = self.columns / BLOCK;
        let (blocks, _) = self.file[self.range.clone()].as_chunks::<BLOCK_BYTES>();
        let mut values = [0; BLOCK];
        for (packed, out) in blocks[index * width..(index + 1) * width]
            .iter()
            .zip(out.chunks_exact_mut(BLOCK))
        {
            let scale = unpack(packed, &mut values);
            for (out, value) in out.iter_mut().zip(values) {
                *out += f32::from(value) * scale;
            }
        }
    }

    /// `activations · selfᵀ + bias`, rows laid end to end.
    pub(crate) fn multiply(&self, activations: &Activations, bias: &[f32]) -> Vec<f32> {
        let (width, rows) = (self.columns / BLOCK, self.rows());
        let mut out = vec![0.0; activations.blocks.len() / width * rows];
        let mut weights = vec![[0; BLOCK]; width];
        let mut scales = vec![0.0; width];
        for (row, (packed, bias)) in self.packed_rows().zip(bias).enumerate() {
            for ((packed, weights), scale) in packed.iter().zip(&mut weights).zip(&mut scales) {
                *scale = unpack(packed, weights);
            }
            let tokens = activations
                .blocks
                .chunks_exact(width)
                .zip(activations.scales.chunks_exact(width));
            for ((blocks, activation_scales), out) in tokens.zip(out.chunks_exact_mut(rows)) {
                out[row] = bias + dot(blocks, activation_scales, &weights, &scales);
            }
        }
        out
    }
}

fn dot(left: &[Block], left_scales: &[f32], right: &[Block], right_scales: &[f32]) -> f32 {
    let scales = left_scales.iter().zip(right_scales);
    left.iter()
        .zip(right)
        .zip(scales)
        .map(|((left, right), (a, b))| dot_block(left, right) * (a * b))
        .sum()
}

#[expect(clippy::cast_precision_loss, reason = "at most 32 × 127 × 8, far below 2^24")]
fn dot_block(left: &Block, right: &Block) -> f32 {
    // Wrapping, because an overflow check would keep the loop from becoming vector instructions.
    left.iter().zip(right).fold(0_i32, |sum, (a, b)| {
        sum.wrapping_add(i32::from(*a) * i32::from(*b))
    }) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_numbers_are_read_exactly() {
        let cases = [
            (0x0000, 0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7BFF, 65_504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
        ];
        for (bits, value) in cases {
            assert_eq!(half_to_f32(bits).to_bits(), f32::to_bits(value), "{bits:#06x}");
        }
    }

    #[test]
    fn a_block_unpacks_low_nibbles_first_then_high_ones() {
        let mut packed = [0x80; BLOCK_BYTES];
        packed[..2].copy_from_slice(&0x3C00_u16.to_le_bytes());
        packed[2] = 0xF1;
        let mut values = [0; BLOCK];
        assert!((unpack(&packed, &mut values) - 1.0).abs() < f32::EPSILON);
        assert_eq!((values[0], values[16], values[1], values[17]), (-7, 7, -8, 0));
    }

    #[test]
    fn activations_round_half_to_even_and_keep_their_sign() {
        let mut row = [0.0; BLOCK];
        row[..6].copy_from_slice(&[127.0, -127.0, 0.5, 1.5, -2.5, -0.4]);
        let (block, scale) = quantise_block(&row);
        assert!((scale - 1.0).abs() < f32::EPSILON);
        assert_eq!(block[..6], [127, -127, 0, 2, -2, 0]);
    }

    #[test]
    fn a_row_of_zeros_quantises_to_zeros() {
        let (block, scale) = quantise_block(&[0.0; BLOCK]);
        assert_eq!((block, scale.to_bits()), ([0; BLOCK], 0));
    }

    #[test]
    fn a_product_equals_the_one_computed_in_plain_floats() {
        let (rows, columns, tokens) = (5, 64, 3);
        let mut packed = Vec::new();
        for block in 0..rows * columns / BLOCK {
            packed.extend([0x34, 0x12 + u8::try_from(block).unwrap()].map(|byte: u8| byte & 0x3B));
            packed.extend((0..16).map(|j| u8::try_from((block * 37 + j * 11) % 256).unwrap()));
        }
        let length = packed.len();
        let matrix = Matrix::new(Arc::new(packed), 0..length, columns);
        let input: Vec<f32> = (0..tokens * columns)
            .map(|i| f32::from(i16::try_from(i * 29 % 41).unwrap()) - 20.0)
            .collect();
        let bias: Vec<f32> = (0..rows).map(|i| f32::from(u8::try_from(i).unwrap())).collect();
        let found = matrix.multiply(&Activations::quantise(&input), &bias);
        assert_eq!((matrix.rows(), found.len()), (rows, rows * tokens));
        for token in 0..tokens {
            for row in 0..rows {
                let mut weights = vec![0.0; columns];
                matrix.add_row(row, &mut weights);
                let input = &input[token * columns..(token + 1) * columns];
                let exact = bias[row] + weights.iter().zip(input).map(|(w, x)| w * x).sum::<f32>();
                let size = weights.iter().zip(input).map(|(w, x)| (w * x).abs()).sum::<f32>();
                assert!(
                    (found[token * rows + row] - exact).abs() <= 0.01 * size + 1e-6,
                    "{token} {row}"
                );
            }
        }
    }
}
