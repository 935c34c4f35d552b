//! Text to token ids: the model's character map, then the most probable cut into pieces (SentencePiece unigram,
//! Kudo 2018, found by the Viterbi algorithm).

use std::ops::Range;
use std::sync::Arc;

use crate::error::FormatError;
use crate::format::Reader;

/// SentencePiece writes a space as U+2581.
const SPACE_MARK: char = '\u{2581}';
/// How much less probable than the rarest piece an unknown character is (SentencePiece's own constant).
const UNKNOWN_PENALTY: f32 = 10.0;

/// The tokenizer tables of a weight file.
pub(crate) struct Tokenizer {
    file: Arc<Vec<u8>>,
    text: Range<usize>,
    starts: Vec<u32>,
    scores: Vec<f32>,
    /// Open addressing: piece + 1, or 0 for an empty place. The length is a power of two.
    places: Vec<u32>,
    longest: usize,
    unknown_score: f32,
    character_map: CharacterMap,
    /// Opens every sequence.
    pub begin: u32,
    /// Closes every sequence.
    pub end: u32,
    unknown: u32,
}

/// Code points that the model reads as others (width, ligatures, control characters…), sorted.
struct CharacterMap {
    from: Vec<char>,
    starts: Vec<usize>,
    to: Vec<char>,
}

/// One step of FNV-1a, 64 bits (Fowler, Noll, Vo); the hash of a longer piece continues that of a shorter one.
fn hash_byte(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
}
const HASH_START: u64 = 0xCBF2_9CE4_8422_2325;

fn character(code: u32) -> Result<char, FormatError> {
    char::from_u32(code).ok_or_else(|| FormatError::value("character map entry", "a code point", code))
}

impl CharacterMap {
    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        const WHAT: &str = "the character map";
        let count = reader.count("number of mapped characters", 0..200_001)?;
        let length = reader.count("length of the character map", 0..1 << 30)?;
        let mut table = Reader::new(reader.take(length, WHAT)?);
        let mut map = Self {
            from: Vec::with_capacity(count),
            starts: vec![0],
            to: Vec::new(),
        };
        for _ in 0..count {
            let from = character(table.u32(WHAT)?)?;
            if map.from.last().is_some_and(|last| *last >= from) {
                return Err(FormatError::value(
                    "character map",
                    "sorted",
                    format!("unsorted at {from:?}"),
                ));
            }
            map.from.push(from);
            for _ in 0..table.byte(WHAT)? {
                map.to.push(character(table.u32(WHAT)?)?);
            }
            map.starts.push(map.to.len());
        }
        Ok(map)
    }

    fn apply(&self, text: &str) -> Vec<char> {
        let mut out: Vec<char> = Vec::with_capacity(text.len());
        let mut push = |found: char| {
            if found != ' ' || out.last() != Some(&' ') {
                out.push(found);
            }
        };
        for found in text.chars() {
            match self.from.binary_search(&found) {
                Ok(at) => self.to[self.starts[at]..self.starts[at + 1]]
                    .iter()
                    .for_each(|to| push(*to)),
                Err(_) => push(found),
            }
        }
        out
    }
}

impl Tokenizer {
    /// Reads the tables and indexes the pieces.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        file: &Arc<Vec<u8>>,
        vocabulary: usize,
    ) -> Result<Self, FormatError> {
        let pieces = reader.count("number of pieces", 4..vocabulary + 1)?;
        let mut special = |what| reader.count(what, 0..pieces);
        let [begin, end, _padding, unknown] = [
            special("<s>")?,
            special("</s>")?,
            special("<pad>")?,
            special("<unk>")?,
        ]
        .map(id);
        let length = reader.u64("the length of the piece text")?;
        let starts = reader.take((pieces + 1) * 4, "the piece starts")?;
        let starts: Vec<u32> = starts
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| u32::from_le_bytes(*four))
            .collect();
        let scores = reader.floats(pieces, "the piece scores")?;
        let length = usize::try_from(length).map_err(|_| FormatError::Truncated("the piece text"))?;
        let text = reader.skip(length, "the piece text")?;
        if !starts.is_sorted() || starts.last().is_some_and(|last| *last as usize > length) {
            return Err(FormatError::value(
                "piece starts",
                format!("sorted, up to {length}"),
                "out of order",
            ));
        }
        let lowest = scores.iter().copied().fold(f32::INFINITY, f32::min);
        if !lowest.is_finite() {
            return Err(FormatError::value(
                "lowest piece score",
                "a finite number",
                lowest,
            ));
        }
        let mut tokenizer = Self {
            file: Arc::clone(file),
            text,
            longest: starts
                .windows(2)
                .map(|pair| (pair[1] - pair[0]) as usize)
                .max()
                .unwrap_or(0),
            starts,
            scores,
            places: Vec::new(),
            unknown_score: lowest - UNKNOWN_PENALTY,
            character_map: CharacterMap::read(reader)?,
            begin,
            end,
            unknown,
        };
        tokenizer.index_pieces();
        Ok(tokenizer)
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
        &self.file[self.text.clone()][self.starts[piece] as usize..self.starts[piece + 1] as usize]
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

    /// The token ids of a text, without the opening and closing tokens.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let characters = self.character_map.apply(text);
        let mut text = String::with_capacity(characters.len() * 2 + 3);
        if characters.first() != Some(&' ') {
            text.push(SPACE_MARK);
        }
        text.extend(
            characters
                .iter()
                .map(|found| if *found == ' ' { SPACE_MARK } else { *found }),
        );
        self.best_cut(&text)
    }

    fn best_cut(&self, text: &str) -> Vec<u32> {
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

fn id(piece: usize) -> u32 {
    u32::try_from(piece).expect("the vocabulary was checked to hold at most a million pieces")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a hash is masked to the size of the table"
)]
fn place(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}
