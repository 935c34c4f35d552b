//! A file of which only one content is accepted.

use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::{FormatError, LoadError};

/// What a weight file must be. Vectors of other weights would be stored under the same name and compare as nonsense.
pub(crate) struct PinnedFile {
    /// Where it comes from, in words.
    pub origin: &'static str,
    /// Its first bytes.
    pub magic: &'static [u8],
    /// Its length, in bytes.
    pub bytes: u64,
    /// Lower-case hexadecimal sha256.
    pub sha256: &'static str,
}

impl PinnedFile {
    /// The whole file; the cheapest and most telling check comes first.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, LoadError> {
        let unreadable = |source| LoadError::Unreadable {
            path: path.to_owned(),
            origin: self.origin,
            source,
        };
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.by_ref()
            .take(self.magic.len() as u64)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes != self.magic {
            return Err(LoadError::NotWeights {
                path: path.to_owned(),
                origin: self.origin,
            });
        }
        let found = file.metadata().map_err(unreadable)?.len();
        let wrong_size = |found| LoadError::WrongSize {
            path: path.to_owned(),
            origin: self.origin,
            expected: self.bytes,
            found,
        };
        if found != self.bytes {
            return Err(wrong_size(found));
        }
        bytes.reserve_exact(usize::try_from(self.bytes).map_err(|_| wrong_size(found))?);
        file.take(self.bytes)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let found = hexadecimal(&Sha256::digest(&bytes));
        if found != self.sha256 {
            return Err(LoadError::WrongDigest {
                path: path.to_owned(),
                origin: self.origin,
                expected: self.sha256,
                found,
            });
        }
        Ok(bytes)
    }

    /// The error of a file that is the right one and cannot be understood.
    pub(crate) fn malformed(&self, path: &Path, source: FormatError) -> LoadError {
        LoadError::Malformed {
            path: path.to_owned(),
            origin: self.origin,
            source,
        }
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
