//! `POST /embeddings`, in batches, as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::wire::{self, EmbeddingList, Numbers};
use super::{OpenAi, Received};
use crate::error::{LlmError, LlmErrorKind};
use crate::registry::{ModelEntry, Role};
use crate::seam::{BoxFuture, Embed, EmbedReply, Usage};

/// OpenAI takes 300 000 tokens per request; a token is at least one byte, so this many bytes always fit.
const LARGEST_BATCH_BYTES: usize = 300_000;

impl Embed for OpenAi {
    fn embed<'a>(&'a self, inputs: &'a [String]) -> BoxFuture<'a, Result<EmbedReply, LlmError>> {
        Box::pin(async move {
            let model = self.model(Role::Embedding)?;
            if inputs.iter().any(String::is_empty) {
                let kind = LlmErrorKind::InvalidRequest("an empty text cannot be embedded");
                return Err(LlmError::new(kind));
            }
            let mut usage = Usage::default();
            let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(inputs.len());
            for batch in batches(inputs, self.config.batch_inputs) {
                let dimensions = model.dimensions.or_else(|| vectors.first().map(Vec::len));
                match self.embed_batch(model, batch, dimensions).await {
                    Ok((found, cost)) => {
                        vectors.extend(found);
                        usage += cost;
                    }
                    Err(mut error) => {
                        // The batches before this one were billed too.
                        usage += error.usage.take().map(|cost| *cost).unwrap_or_default();
                        return Err(error.billed((usage != Usage::default()).then_some(usage)));
                    }
                }
            }
            Ok(EmbedReply {
                vectors,
                model: model.id.clone(),
                usage,
            })
        })
    }
}

impl OpenAi {
    async fn embed_batch(
        &self,
        model: &ModelEntry,
        batch: &[String],
        dimensions: Option<usize>,
    ) -> Result<(Vec<Vec<f32>>, Usage), LlmError> {
        let body = json!({ "model": model.id, "input": batch, "encoding_format": "base64" });
        let received = self.post(&["embeddings"], &body).await?;
        read_reply(&received, batch.len(), dimensions, self.config.most_dimensions)
    }
}

/// Cuts the inputs by number and by size; a single text over the size goes alone.
fn batches(inputs: &[String], most: usize) -> Vec<&[String]> {
    let mut found = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, input) in inputs.iter().enumerate() {
        if index > start && (index - start == most || bytes + input.len() > LARGEST_BATCH_BYTES) {
            found.push(&inputs[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += input.len();
    }
    if start < inputs.len() {
        found.push(&inputs[start..]);
    }
    found
}

fn read_reply(
    received: &Received,
    expected: usize,
    dimensions: Option<usize>,
    most: usize,
) -> Result<(Vec<Vec<f32>>, Usage), LlmError> {
    let list: EmbeddingList = serde_json::from_slice(&received.body)
        .map_err(|_| received.fails(LlmErrorKind::BadReply("not a list of embeddings")))?;
    let usage = wire::read_usage(list.usage.as_ref());
    let known_usage = usage.as_ref().ok().copied();
    let vectors = read_vectors(list, expected, dimensions, most)
        .map_err(|kind| received.fails(kind).billed(known_usage))?;
    Ok((vectors, usage.map_err(|kind| received.fails(kind))?))
}

fn read_vectors(
    list: EmbeddingList,
    expected: usize,
    dimensions: Option<usize>,
    most: usize,
) -> Result<Vec<Vec<f32>>, LlmErrorKind> {
    let mut slots: Vec<Option<Vec<f32>>> = vec![None; expected];
    let mut dimensions = dimensions;
    for item in list.data {
        let vector = read_vector(item.embedding)?;
        let expected = *dimensions.get_or_insert(vector.len());
        if vector.len() != expected {
            return Err(LlmErrorKind::WrongDimension {
                expected,
                actual: vector.len(),
            });
        }
        if vector.len() > most {
            return Err(LlmErrorKind::BadReply(
                "a vector has more numbers than can be kept",
            ));
        }
        let slot = slots
            .get_mut(item.index)
            .ok_or(LlmErrorKind::BadReply("a vector belongs to no input"))?;
        if slot.replace(vector).is_some() {
            return Err(LlmErrorKind::BadReply("two vectors belong to one input"));
        }
    }
    slots
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or(LlmErrorKind::BadReply("an input has no vector"))
}

fn read_vector(numbers: Numbers) -> Result<Vec<f32>, LlmErrorKind> {
    let vector = match numbers {
        Numbers::List(list) => list,
        Numbers::Base64(text) => {
            let bytes = STANDARD
                .decode(text)
                .map_err(|_| LlmErrorKind::BadReply("a vector is not base64"))?;
            let (words, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(LlmErrorKind::BadReply("a vector ends within a number"));
            }
            words.iter().map(|word| f32::from_le_bytes(*word)).collect()
        }
    };
    // A zero vector has no direction: the cosine with it is not a number.
    if vector.iter().all(|number| *number == 0.0) || !vector.iter().all(|number| number.is_finite()) {
        return Err(LlmErrorKind::BadReply("a vector has no direction"));
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_the_order_and_lose_nothing() {
        let long = "x".repeat(LARGEST_BATCH_BYTES + 1);
        let inputs: Vec<String> = ["a", "b", "c", &long, "d"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        let sizes = |most| {
            batches(&inputs, most)
                .iter()
                .map(|batch| batch.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(2), [2, 1, 1, 1]);
        assert_eq!(sizes(128), [3, 1, 1]);
        assert_eq!(batches(&inputs, 2).concat(), inputs);
        assert!(batches(&[], 2).is_empty());
    }

    #[test]
    fn a_vector_that_is_too_long_to_be_kept_is_a_bad_reply() {
        let list = |length: usize| EmbeddingList {
            data: vec![wire::Embedding {
                index: 0,
                embedding: Numbers::List(vec![0.1; length]),
            }],
            usage: None,
        };
        assert!(read_vectors(list(4), 1, None, 4).is_ok());
        let refused = read_vectors(list(5), 1, None, 4);
        assert!(matches!(refused, Err(LlmErrorKind::BadReply(_))), "{refused:?}");
    }

    #[test]
    fn a_vector_without_direction_is_refused() {
        for list in [vec![], vec![0.0, 0.0], vec![1.0, f32::NAN], vec![f32::INFINITY]] {
            assert!(read_vector(Numbers::List(list)).is_err());
        }
        assert_eq!(read_vector(Numbers::List(vec![0.0, 1.0])), Ok(vec![0.0, 1.0]));
    }

    #[test]
    fn base64_is_little_endian_floats() {
        assert_eq!(
            read_vector(Numbers::Base64("AACAPwAAAMA=".to_owned())),
            Ok(vec![1.0, -2.0])
        );
        assert!(read_vector(Numbers::Base64("AACAPwA=".to_owned())).is_err());
        assert!(read_vector(Numbers::Base64("?".to_owned())).is_err());
    }
}
