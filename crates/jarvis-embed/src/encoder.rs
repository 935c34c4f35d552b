//! The forward pass: BERT encoder (Devlin et al. 2018) with post-layer normalisation and exact GELU.

use crate::error::FormatError;
use crate::format::{Directory, Sizes};
use crate::matrix::{Activations, Matrix};
use crate::numeric::{dot, exp, gelu};

struct Linear {
    weights: Matrix,
    bias: Vec<f32>,
}

struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_out: Linear,
    attention_norm: Norm,
    expand: Linear,
    contract: Linear,
    norm: Norm,
}

/// The network that turns token ids into one vector.
pub(crate) struct Encoder {
    sizes: Sizes,
    words: Matrix,
    positions: Vec<f32>,
    first_type: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

impl Linear {
    fn read(tensors: &Directory, name: &str, rows: usize, columns: usize) -> Result<Self, FormatError> {
        Ok(Self {
            weights: tensors.matrix(&format!("{name}.w"), rows, columns)?,
            bias: tensors.vector(&format!("{name}.b"), rows)?,
        })
    }

    fn apply(&self, rows: &Activations) -> Vec<f32> {
        self.weights.multiply(rows, &self.bias)
    }
}

impl Norm {
    fn read(tensors: &Directory, name: &str, sizes: &Sizes) -> Result<Self, FormatError> {
        Ok(Self {
            gain: tensors.vector(&format!("{name}.w"), sizes.width)?,
            bias: tensors.vector(&format!("{name}.b"), sizes.width)?,
            epsilon: sizes.epsilon,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "a width of a few hundred")]
    fn apply(&self, rows: &mut [f32]) {
        let width = self.gain.len();
        for row in rows.chunks_exact_mut(width) {
            let mean = row.iter().sum::<f32>() / width as f32;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width as f32;
            let inverse = 1.0 / (variance + self.epsilon).sqrt();
            for ((x, gain), bias) in row.iter_mut().zip(&self.gain).zip(&self.bias) {
                *x = (*x - mean) * inverse * gain + bias;
            }
        }
    }
}

impl Layer {
    fn read(tensors: &Directory, index: usize, sizes: &Sizes) -> Result<Self, FormatError> {
        let Sizes {
            width, feed_forward, ..
        } = *sizes;
        let linear = |name, rows, columns| Linear::read(tensors, &format!("l{index}.{name}"), rows, columns);
        Ok(Self {
            query: linear("q", width, width)?,
            key: linear("k", width, width)?,
            value: linear("v", width, width)?,
            attention_out: linear("ao", width, width)?,
            attention_norm: Norm::read(tensors, &format!("l{index}.aln"), sizes)?,
            expand: linear("fi", feed_forward, width)?,
            contract: linear("fo", width, feed_forward)?,
            norm: Norm::read(tensors, &format!("l{index}.oln"), sizes)?,
        })
    }

    fn apply(&self, rows: &mut [f32], sizes: &Sizes) {
        let input = Activations::quantise(rows);
        let attended = attend(
            &self.query.apply(&input),
            &self.key.apply(&input),
            &self.value.apply(&input),
            sizes,
        );
        add(rows, &self.attention_out.apply(&Activations::quantise(&attended)));
        self.attention_norm.apply(rows);
        let mut middle = self.expand.apply(&Activations::quantise(rows));
        for x in &mut middle {
            *x = gelu(*x);
        }
        add(rows, &self.contract.apply(&Activations::quantise(&middle)));
        self.norm.apply(rows);
    }
}

fn add(left: &mut [f32], right: &[f32]) {
    left.iter_mut()
        .zip(right)
        .for_each(|(left, right)| *left += right);
}

/// Scaled dot-product attention of every token over every token, head by head.
#[expect(clippy::cast_precision_loss, reason = "a head is a few dozen wide")]
fn attend(queries: &[f32], keys: &[f32], values: &[f32], sizes: &Sizes) -> Vec<f32> {
    let width = sizes.width;
    let head_width = width / sizes.heads;
    let scale = 1.0 / (head_width as f32).sqrt();
    let mut out = vec![0.0; queries.len()];
    let mut weights = vec![0.0; queries.len() / width];
    for head in (0..width)
        .step_by(head_width)
        .map(|start| start..start + head_width)
    {
        for (query, out) in queries.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let query = &query[head.clone()];
            for (weight, key) in weights.iter_mut().zip(keys.chunks_exact(width)) {
                *weight = dot(query, &key[head.clone()]) * scale;
            }
            softmax(&mut weights);
            let out = &mut out[head.clone()];
            for (weight, value) in weights.iter().zip(values.chunks_exact(width)) {
                for (out, value) in out.iter_mut().zip(&value[head.clone()]) {
                    *out += weight * value;
                }
            }
        }
    }
    out
}

fn softmax(weights: &mut [f32]) {
    let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for x in weights.iter_mut() {
        *x = exp(*x - largest);
    }
    let inverse = 1.0 / weights.iter().sum::<f32>();
    for x in weights {
        *x *= inverse;
    }
}

impl Encoder {
    pub(crate) fn read(tensors: &Directory, sizes: Sizes) -> Result<Self, FormatError> {
        let mut first_type = tensors.vector("emb.type", sizes.types * sizes.width)?;
        first_type.truncate(sizes.width);
        Ok(Self {
            words: tensors.matrix("emb.word", sizes.vocabulary, sizes.width)?,
            positions: tensors.vector("emb.pos", sizes.positions * sizes.width)?,
            first_type,
            norm: Norm::read(tensors, "emb.ln", &sizes)?,
            layers: (0..sizes.layers)
                .map(|index| Layer::read(tensors, index, &sizes))
                .collect::<Result<_, _>>()?,
            sizes,
        })
    }

    /// Tokens in one pass at most, opening and closing ones included.
    pub(crate) fn positions(&self) -> usize {
        self.sizes.positions
    }

    /// Adds to `sum` the mean of the last layer over `ids`, times `weight`. `ids` is not empty, and fits one pass.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred tokens")]
    pub(crate) fn add_mean(&self, ids: &[u32], weight: f32, sum: &mut [f32]) {
        let width = self.sizes.width;
        let mut rows = vec![0.0; ids.len() * width];
        let positions = self.positions.chunks_exact(width);
        for ((row, id), position) in rows.chunks_exact_mut(width).zip(ids).zip(positions) {
            self.words.add_row(*id as usize, row);
            add(row, position);
            add(row, &self.first_type);
        }
        self.norm.apply(&mut rows);
        for layer in &self.layers {
            layer.apply(&mut rows, &self.sizes);
        }
        let weight = weight / ids.len() as f32;
        for row in rows.chunks_exact(width) {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * weight);
        }
    }
}
