//! The embedder that needs no key and no network.

use std::path::Path;

use crate::{E5, Kind, LoadError, centre, pad_1536};

/// The whole local model: e5, centred, unit length, padded to 1536 numbers. Vectors are stored under
/// [`crate::MODEL`] and compared by cosine; [`crate::similarity`] turns a cosine into a score.
#[derive(Debug)]
pub struct LocalEmbedder {
    model: E5,
}

impl LocalEmbedder {
    /// Reads the weights; blocking, see [`E5::load`].
    ///
    /// # Errors
    /// See [`E5::load`].
    pub fn load(weights: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            model: E5::load(weights)?,
        })
    }

    /// The vector of what one searches with. Blocking, see [`E5::embed`].
    pub fn embed_query(&self, text: &str) -> Vec<f32> {
        self.embed(Kind::Query, text)
    }

    /// The vector of a stored text. Blocking, see [`E5::embed`].
    pub fn embed_passage(&self, text: &str) -> Vec<f32> {
        self.embed(Kind::Passage, text)
    }

    /// The vector of a text of some kind. Blocking, see [`E5::embed`].
    pub fn embed(&self, kind: Kind, text: &str) -> Vec<f32> {
        let mut vector = self.model.embed(kind, text);
        centre(kind, &mut vector);
        pad_1536(&vector)
    }

    /// Tokens in the text as the model reads it, opening and closing ones included.
    pub fn count_tokens(&self, kind: Kind, text: &str) -> usize {
        self.model.token_ids(kind, text).len() + 2
    }
}
