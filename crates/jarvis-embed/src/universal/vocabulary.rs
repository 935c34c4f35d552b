//! Text to token ids: SentencePiece's character normalisation, then the most probable cut into pieces.
//!
//! The file is a SentencePiece `ModelProto` of the old layout: the pieces (1: text, 2: log-probability) as field 1, and
//! in field 3 the precompiled character map as field 2.

use std::ops::Range;
use std::sync::Arc;

use crate::error::FormatError;
use crate::pieces::{Pieces, SPACE_MARK};

const UNKNOWN: u32 = 0;
const BEGIN: u32 = 1;
const END: u32 = 2;

/// The pieces and the character map.
pub(crate) struct Vocabulary {
    pieces: Pieces,
    length: usize,
    character_map: CharacterMap,
}

impl Vocabulary {
    /// Reads the bytes of a model file.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, FormatError> {
        let file = Arc::new(bytes);
        let (mut texts, mut scores, mut map) = (Vec::new(), Vec::new(), None);
        let mut message = Message::whole(&file);
        while let Some((number, at)) = message.next()? {
            match number {
                1 => {
                    let (text, score) = piece(&file, at)?;
                    texts.push(text);
                    scores.push(score);
                }
                3 => map = find(&file, at, 2)?,
                _ => {}
            }
        }
        let map = map.ok_or_else(|| FormatError::MissingTensor("the character map".to_owned()))?;
        if texts.len() <= END as usize {
            return Err(FormatError::value("number of pieces", "more than 3", texts.len()));
        }
        Ok(Self {
            length: texts.len(),
            character_map: CharacterMap::parse(&file[map])?,
            pieces: Pieces::new(file, texts, scores, UNKNOWN)?,
        })
    }

    /// How many pieces there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The ids of a text between the opening and the closing token, `most` in all; an empty text is one unknown token.
    pub(crate) fn encode(&self, text: &str, most: usize) -> Vec<u32> {
        let text = self.character_map.apply(text);
        let mut cut = self.pieces.best_cut(&text);
        if cut.is_empty() {
            cut.push(UNKNOWN);
        }
        let mut ids = vec![BEGIN];
        ids.extend(cut.into_iter().take(most - 2));
        ids.push(END);
        ids
    }
}

fn piece(file: &[u8], at: Range<usize>) -> Result<(Range<usize>, f32), FormatError> {
    let text = find(file, at.clone(), 1)?.ok_or(FormatError::Truncated("a piece"))?;
    std::str::from_utf8(&file[text.clone()])
        .map_err(|_| FormatError::value("piece", "UTF-8", "other bytes"))?;
    let score = find(file, at, 2)?.and_then(|at| file[at].try_into().ok());
    Ok((text, score.map_or(0.0, f32::from_le_bytes)))
}

/// The last value of a field of a message.
fn find(file: &[u8], at: Range<usize>, number: u64) -> Result<Option<Range<usize>>, FormatError> {
    let mut message = Message { file, at };
    let mut found = None;
    while let Some((field, at)) = message.next()? {
        if field == number {
            found = Some(at);
        }
    }
    Ok(found)
}

/// The fields of a protocol buffer message, one after the other.
struct Message<'a> {
    file: &'a [u8],
    at: Range<usize>,
}

impl<'a> Message<'a> {
    fn whole(file: &'a [u8]) -> Self {
        Self {
            file,
            at: 0..file.len(),
        }
    }

    /// The next field: its number, and where its value lies.
    fn next(&mut self) -> Result<Option<(u64, Range<usize>)>, FormatError> {
        if self.at.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let length = match tag & 7 {
            0 => {
                let start = self.at.start;
                self.varint()?;
                return Ok(Some((tag >> 3, start..self.at.start)));
            }
            1 => 8,
            2 => usize::try_from(self.varint()?).map_err(|_| FormatError::Truncated("a field"))?,
            5 => 4,
            other => return Err(FormatError::value("wire type of a field", "0, 1, 2 or 5", other)),
        };
        let end = self
            .at
            .start
            .checked_add(length)
            .filter(|end| *end <= self.at.end);
        let end = end.ok_or(FormatError::Truncated("a field"))?;
        let value = self.at.start..end;
        self.at.start = end;
        Ok(Some((tag >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, FormatError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.file[self.at.clone()]
                .first()
                .ok_or(FormatError::Truncated("a number"))?;
            self.at.start += 1;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FormatError::value("number", "at most 64 bits", "a longer one"))
    }
}

/// SentencePiece's normalisation (`nmt_nfkc`): a double-array trie (Aoe 1989, in the layout of darts-clone) from byte
/// sequences to replacements, each of which ends with a zero byte.
struct CharacterMap {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

impl CharacterMap {
    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        const WHAT: FormatError = FormatError::Truncated("the character map");
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(WHAT)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| WHAT)?;
        let (units, replacements) = rest.split_at_checked(length).ok_or(WHAT)?;
        let units = units
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| u32::from_le_bytes(*four));
        Ok(Self {
            units: units.collect(),
            replacements: replacements.to_vec(),
        })
    }

    /// The longest beginning of a text that is replaced, in bytes, and by what.
    fn longest_match(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & 0x200) >> 6)) as usize;
        let mut at = offset(*self.units.first()?);
        let mut found = None;
        for (index, byte) in text.iter().enumerate() {
            at ^= usize::from(*byte);
            let Some(&unit) = self.units.get(at) else { break };
            if unit & 0x8000_00FF != u32::from(*byte) {
                break;
            }
            at ^= offset(unit);
            if unit & 0x100 != 0 {
                let value = self.units.get(at).map(|unit| (unit & 0x7FFF_FFFF) as usize);
                let start = value.and_then(|value| self.replacements.get(value..));
                found = start.map(|start| (index + 1, start)).or(found);
            }
        }
        let (length, start) = found?;
        let end = start.iter().position(|byte| *byte == 0).unwrap_or(start.len());
        Some((length, &start[..end]))
    }

    /// The text as the model reads it: replaced characters, one mark for each run of spaces, one at the beginning and
    /// none at the end.
    fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 3);
        let mut rest = text;
        let mut after_space = true;
        while let Some(character) = rest.chars().next() {
            let longest = self.longest_match(rest.as_bytes());
            // A match ends where a character does, or the map is not one of characters.
            let matched = longest.filter(|(length, _)| rest.is_char_boundary(*length));
            let (length, to) = match matched {
                Some((length, to)) => (length, String::from_utf8_lossy(to)),
                None => (character.len_utf8(), rest[..character.len_utf8()].into()),
            };
            rest = &rest[length..];
            for character in to.chars() {
                if character != ' ' {
                    if after_space {
                        out.push(SPACE_MARK);
                    }
                    out.push(character);
                }
                after_space = character == ' ';
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        assert!(Vocabulary::parse(Vec::new()).is_err());
        assert!(Vocabulary::parse(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec()).is_err());
        assert!(Vocabulary::parse(b"\x0f".to_vec()).is_err());
        assert!(Vocabulary::parse(vec![0x80; 12]).is_err());
        assert!(CharacterMap::parse(&[9, 0, 0, 0, 1]).is_err());
    }

    #[test]
    fn a_map_that_points_nowhere_leaves_the_text_as_it_is() {
        let map = CharacterMap::parse(&[4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F]).unwrap();
        assert_eq!(map.apply("  déjà   vu "), "▁déjà▁vu");
        assert_eq!(map.apply("   "), "");
    }
}
