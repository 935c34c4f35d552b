//! An `.npz`: a zip archive of NumPy arrays (format version 1: magic, header length, a Python dictionary, the numbers).

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use crate::error::FormatError;

/// No array of the model is larger, in bytes.
const LARGEST: u64 = 16 << 20;

/// The arrays of a file, by name.
pub(crate) struct Archive {
    zip: ZipArchive<Cursor<Vec<u8>>>,
}

impl Archive {
    pub(crate) fn open(bytes: Vec<u8>) -> Result<Self, FormatError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| FormatError::Magic)?;
        Ok(Self { zip })
    }

    /// The numbers of an array of `count` f32.
    pub(crate) fn floats(&mut self, name: &str, count: usize) -> Result<Vec<f32>, FormatError> {
        let bytes = self.numbers(name, "'<f4'", count, 4)?;
        let floats = bytes.as_chunks::<4>().0.iter();
        Ok(floats.map(|four| f32::from_le_bytes(*four)).collect())
    }

    /// The numbers of an array of `count` bytes.
    pub(crate) fn bytes(&mut self, name: &str, count: usize) -> Result<Vec<u8>, FormatError> {
        self.numbers(name, "'|u1'", count, 1)
    }

    /// The numbers of an array in C order, as they lie in the file.
    fn numbers(
        &mut self,
        name: &str,
        kind: &str,
        count: usize,
        width: usize,
    ) -> Result<Vec<u8>, FormatError> {
        let mut bytes = self.member(name)?;
        let wrong = || FormatError::WrongTensor {
            name: name.to_owned(),
            expected: format!("{count} values of type {kind}"),
        };
        let start = match bytes.as_slice() {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..] => {
                10 + usize::from(u16::from_le_bytes([*low, *high]))
            }
            _ => return Err(wrong()),
        };
        let header = bytes.get(10..start).ok_or_else(wrong)?;
        let header = String::from_utf8_lossy(header);
        let right = header.contains(&format!("'descr': {kind}")) && header.contains("'fortran_order': False");
        if !right || bytes.len() - start != count * width {
            return Err(wrong());
        }
        bytes.drain(..start);
        Ok(bytes)
    }

    fn member(&mut self, name: &str) -> Result<Vec<u8>, FormatError> {
        let missing = || FormatError::MissingTensor(name.to_owned());
        let file = self.zip.by_name(&format!("{name}.npy")).map_err(|_| missing())?;
        let mut bytes = Vec::new();
        // A zip may say one size and hold another.
        file.take(LARGEST)
            .read_to_end(&mut bytes)
            .map_err(|_| missing())?;
        Ok(bytes)
    }
}
