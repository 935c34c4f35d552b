//! Reading the weight file: header, tokenizer tables, tensor directory. Little-endian throughout.
//!
//! ```text
//! "E5S1"  u32 version = 1
//! i32 ×7  width, layers, heads, feed-forward width, vocabulary, positions, token types
//! f32     layer-norm epsilon        i32  quantisation block = 32
//! i32 ×5  pieces, <s>, </s>, <pad>, <unk>        u64  bytes of piece text
//! u32 × (pieces + 1) piece starts   f32 × pieces log-probabilities   piece text
//! i32 n, u32 bytes; n × (u32 code point, u8 m, m × u32 replacement)
//! i32 n; n × (u16 length, name, u8 type, u32 values, u64 offset, u64 bytes)
//! tensors: type 0 = f32, type 1 = Q4_0 blocks (f16 scale, 16 bytes of nibbles)
//! ```

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::error::FormatError;
use crate::matrix::{BLOCK, BLOCK_BYTES, Matrix};

/// First bytes of the format.
pub(crate) const MAGIC: &[u8; 4] = b"E5S1";
const VERSION: u64 = 1;

/// The sizes of a model, checked against each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sizes {
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub feed_forward: usize,
    pub vocabulary: usize,
    pub positions: usize,
    pub types: usize,
    pub epsilon: f32,
}

/// A position in bytes that may end anywhere.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], FormatError> {
        let range = self.skip(length, what)?;
        Ok(&self.bytes[range])
    }

    /// Moves over `length` bytes and says where they are.
    pub(crate) fn skip(&mut self, length: usize, what: &'static str) -> Result<Range<usize>, FormatError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(FormatError::Truncated(what))?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        let bytes = self.take(N, what)?;
        Ok(bytes.try_into().expect("take returns as many bytes as asked"))
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, FormatError> {
        Ok(self.array::<1>(what)?[0])
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn f32(&mut self, what: &'static str) -> Result<f32, FormatError> {
        Ok(f32::from_le_bytes(self.array(what)?))
    }

    /// A count stored on four bytes, inside `allowed`.
    pub(crate) fn count(&mut self, what: &'static str, allowed: Range<usize>) -> Result<usize, FormatError> {
        let found = self.u32(what)?;
        let count = usize::try_from(found).ok().filter(|n| allowed.contains(n));
        count.ok_or_else(|| {
            FormatError::value(what, format!("{} to {}", allowed.start, allowed.end - 1), found)
        })
    }

    pub(crate) fn floats(&mut self, count: usize, what: &'static str) -> Result<Vec<f32>, FormatError> {
        Ok(floats(self.take(count.saturating_mul(4), what)?))
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|four| f32::from_le_bytes(*four))
        .collect()
}

/// Reads the magic, the version and the sizes.
pub(crate) fn read_sizes(reader: &mut Reader<'_>) -> Result<Sizes, FormatError> {
    if reader.take(4, "the magic").ok() != Some(MAGIC.as_slice()) {
        return Err(FormatError::Magic);
    }
    let version = u64::from(reader.u32("the version")?);
    if version != VERSION {
        return Err(FormatError::value("version", VERSION.to_string(), version));
    }
    let width = reader.count("vector width", crate::DIMENSIONS..crate::DIMENSIONS + 1)?;
    let layers = reader.count("number of layers", 1..129)?;
    let heads = reader.count("number of heads", 1..width + 1)?;
    if width % heads != 0 {
        return Err(FormatError::value(
            "number of heads",
            format!("a divisor of {width}"),
            heads,
        ));
    }
    let feed_forward = reader.count("feed-forward width", BLOCK..65_537)?;
    if feed_forward % BLOCK != 0 {
        return Err(FormatError::value(
            "feed-forward width",
            "a multiple of 32",
            feed_forward,
        ));
    }
    let vocabulary = reader.count("vocabulary", 4..1_000_001)?;
    let positions = reader.count("number of positions", 3..8_193)?;
    let types = reader.count("number of token types", 1..17)?;
    let epsilon = reader.f32("the epsilon")?;
    if !(epsilon > 0.0 && epsilon < 1e-3) {
        return Err(FormatError::value("epsilon", "between 0 and 0.001", epsilon));
    }
    reader.count("quantisation block", BLOCK..BLOCK + 1)?;
    Ok(Sizes {
        width,
        layers,
        heads,
        feed_forward,
        vocabulary,
        positions,
        types,
        epsilon,
    })
}

struct Entry {
    kind: u8,
    values: usize,
    range: Range<usize>,
}

/// The named tensors of a file.
pub(crate) struct Directory {
    file: Arc<Vec<u8>>,
    entries: HashMap<String, Entry>,
}

const KIND_F32: u8 = 0;
const KIND_Q4: u8 = 1;

impl Directory {
    /// Reads the directory; every tensor must lie inside the file.
    pub(crate) fn read(reader: &mut Reader<'_>, file: &Arc<Vec<u8>>) -> Result<Self, FormatError> {
        const WHAT: &str = "the tensor directory";
        let count = reader.count("number of tensors", 1..4_097)?;
        let mut entries = HashMap::with_capacity(count);
        for _ in 0..count {
            let length = usize::from(reader.u16(WHAT)?);
            let name = String::from_utf8_lossy(reader.take(length, WHAT)?).into_owned();
            let kind = reader.byte(WHAT)?;
            let values = reader.count("number of values in a tensor", 1..1 << 31)?;
            let offset = reader.u64(WHAT)?;
            let length = reader.u64(WHAT)?;
            let range = within(offset, length, file.len()).ok_or(FormatError::Truncated("a tensor"))?;
            entries.insert(name, Entry { kind, values, range });
        }
        Ok(Self {
            file: Arc::clone(file),
            entries,
        })
    }

    fn find(&self, name: &str, kind: u8, values: usize, bytes: usize) -> Result<Range<usize>, FormatError> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| FormatError::MissingTensor(name.to_owned()))?;
        if entry.kind == kind && entry.values == values && entry.range.len() == bytes {
            return Ok(entry.range.clone());
        }
        let kind = if kind == KIND_Q4 { "Q4_0" } else { "f32" };
        Err(FormatError::WrongTensor {
            name: name.to_owned(),
            expected: format!("{values} values of type {kind} in {bytes} bytes"),
        })
    }

    /// A tensor of `count` plain numbers.
    pub(crate) fn vector(&self, name: &str, count: usize) -> Result<Vec<f32>, FormatError> {
        let range = self.find(name, KIND_F32, count, count * 4)?;
        Ok(floats(&self.file[range]))
    }

    /// A quantised tensor of `rows` × `columns` numbers.
    pub(crate) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix, FormatError> {
        let values = rows * columns;
        let range = self.find(name, KIND_Q4, values, values / BLOCK * BLOCK_BYTES)?;
        Ok(Matrix::new(Arc::clone(&self.file), range, columns))
    }
}

fn within(offset: u64, length: u64, size: usize) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= size).then_some(start..end)
}
