//! Text to token ids for e5: the model's character map, then the most probable cut into pieces.

use std::sync::Arc;

use crate::error::FormatError;
use crate::format::Reader;
use crate::pieces::{Pieces, SPACE_MARK, id};

/// The tokenizer tables of a weight file.
pub(crate) struct Tokenizer {
    pieces: Pieces,
    character_map: CharacterMap,
    /// Opens every sequence.
    pub begin: u32,
    /// Closes every sequence.
    pub end: u32,
}

/// Code points that the model reads as others (width, ligatures, control characters…), sorted.
struct CharacterMap {
    from: Vec<char>,
    starts: Vec<usize>,
    to: Vec<char>,
}

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
        let texts = starts
            .windows(2)
            .map(|pair| text.start + pair[0] as usize..text.start + pair[1] as usize)
            .collect();
        Ok(Self {
            pieces: Pieces::new(Arc::clone(file), texts, scores, unknown)?,
            character_map: CharacterMap::read(reader)?,
            begin,
            end,
        })
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
        self.pieces.best_cut(&text)
    }
}
