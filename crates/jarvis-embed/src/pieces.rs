//! The vocabulary of a SentencePiece unigram model (Kudo 2018) and the most probable cut of a text into its pieces,
//! found by the Viterbi algorithm.

use std::ops::Range;
use std::sync::Arc;

use crate::error::FormatError;

/// SentencePiece writes a space as U+2581.
pub(crate) const SPACE_MARK: char = '\u{2581}';
/// How much less probable than the rarest piece an unknown character is (SentencePiece's own constant).
const UNKNOWN_PENALTY: f32 = 10.0;

/// The pieces, in the order of their ids.
pub(crate) struct Pieces {
    file: Arc<Vec<u8>>,
    texts: Vec<Range<usize>>,
    scores: Vec<f32>,
    /// Open addressing: piece + 1, or 0 for an empty place. The length is a power of two.
    places: Vec<u32>,
    longest: usize,
    unknown_score: f32,
    unknown: u32,
}

/// One step of FNV-1a, 64 bits (Fowler, Noll, Vo); the hash of a longer piece continues that of a shorter one.
fn hash_byte(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
}
const HASH_START: u64 = 0xCBF2_9CE4_8422_2325;

impl Pieces {
    /// Indexes pieces: where the text of each lies in `file`, and its log-probability. `unknown` is the piece that stands
    /// for any character of no piece.
    pub(crate) fn new(
        file: Arc<Vec<u8>>,
        texts: Vec<Range<usize>>,
        scores: Vec<f32>,
        unknown: u32,
    ) -> Result<Self, FormatError> {
        let lowest = scores.iter().copied().fold(f32::INFINITY, f32::min);
        if !lowest.is_finite() {
            return Err(FormatError::value(
                "lowest piece score",
                "a finite number",
                lowest,
            ));
        }
        let mut pieces = Self {
            file,
            longest: texts.iter().map(Range::len).max().unwrap_or(0),
            texts,
            scores,
            places: Vec::new(),
            unknown_score: lowest - UNKNOWN_PENALTY,
            unknown,
        };
        pieces.index_pieces();
        Ok(pieces)
    }

    fn index_pieces(&mut self) {
        let mask = (self.scores.len() * 2).next_power_of_two() - 1;
        let mut places = vec![0; mask + 1];
        for piece in (0..self.scores.len()).filter(|piece| *piece != self.unknown as usize) {
            let bytes = self.piece(piece);
            if bytes.is_empty() {
                continue;
            }
            let mut at = place(
                bytes.iter().fold(HASH_START, |hash, byte| hash_byte(hash, *byte)),
                mask,
            );
            while places[at] != 0 {
                at = (at + 1) & mask;
            }
            places[at] = id(piece) + 1;
        }
        self.places = places;
    }

    fn piece(&self, piece: usize) -> &[u8] {
        &self.file[self.texts[piece].clone()]
    }

    fn find_piece(&self, bytes: &[u8], hash: u64) -> Option<u32> {
        let mask = self.places.len() - 1;
        let mut at = place(hash, mask);
        loop {
            let piece = self.places[at].checked_sub(1)?;
            if self.piece(piece as usize) == bytes {
                return Some(piece);
            }
            at = (at + 1) & mask;
        }
    }

    /// The ids of the most probable pieces of a text, in order. An empty text has none.
    pub(crate) fn best_cut(&self, text: &str) -> Vec<u32> {
        let bytes = text.as_bytes();
        // Indexed by byte; only character boundaries are ever reached.
        let mut best = vec![
            Step {
                score: f32::NEG_INFINITY,
                piece: self.unknown,
                from: 0
            };
            bytes.len() + 1
        ];
        best[0].score = 0.0;
        for (from, character) in text.char_indices() {
            let score = best[from].score;
            let mut hash = HASH_START;
            for (length, byte) in bytes[from..].iter().take(self.longest).enumerate() {
                hash = hash_byte(hash, *byte);
                let to = from + length + 1;
                if !text.is_char_boundary(to) {
                    continue;
                }
                if let Some(piece) = self.find_piece(&bytes[from..to], hash) {
                    best[to].improve(score + self.scores[piece as usize], piece, from);
                }
            }
            best[from + character.len_utf8()].improve(score + self.unknown_score, self.unknown, from);
        }
        let mut ids = Vec::new();
        let mut at = bytes.len();
        while at > 0 {
            ids.push(best[at].piece);
            at = best[at].from;
        }
        ids.reverse();
        ids
    }
}

#[derive(Clone, Copy)]
struct Step {
    score: f32,
    piece: u32,
    from: usize,
}

impl Step {
    fn improve(&mut self, score: f32, piece: u32, from: usize) {
        if score > self.score {
            *self = Self { score, piece, from };
        }
    }
}

/// A place in the vocabulary as an id.
pub(crate) fn id(piece: usize) -> u32 {
    u32::try_from(piece).expect("the vocabulary was checked to hold at most a million pieces")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a hash is masked to the size of the table"
)]
fn place(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}
