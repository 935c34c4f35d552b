//! Why the weights cannot be used, in words an operator can act on.

use std::path::{Path, PathBuf};

/// Why a file of weights was refused. Every message names the file, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is missing, or the process may not read it.
    #[error(
        "cannot read the embedding weights {}: check the path and its permissions, or fetch {} again",
        path.display(), origin
    )]
    Unreadable {
        /// The file asked for.
        path: PathBuf,
        /// Where the right file comes from, in words.
        origin: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is something else: it does not begin as the format does.
    #[error(
        "{} is not a file of embedding weights (it begins with something else): give the path of {}",
        path.display(), origin
    )]
    NotWeights {
        /// The file asked for.
        path: PathBuf,
        /// Where the right file comes from, in words.
        origin: &'static str,
    },
    /// The file begins well and is too short or too long: most often an interrupted download.
    #[error(
        "the embedding weights {} hold {found} bytes instead of {expected}: \
         the copy is incomplete or of another version, fetch {} again",
        path.display(), origin
    )]
    WrongSize {
        /// The file asked for.
        path: PathBuf,
        /// Where the right file comes from, in words.
        origin: &'static str,
        /// Bytes of the only file this version accepts.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// Right length, other content: damaged, or other weights whose vectors would not compare with ours.
    #[error(
        "the embedding weights {} have sha256 {found} instead of {expected}: \
         the file is damaged or of another version, fetch {} again",
        path.display(), origin
    )]
    WrongDigest {
        /// The file asked for.
        path: PathBuf,
        /// Where the right file comes from, in words.
        origin: &'static str,
        /// Lower-case hexadecimal sha256 of the only file this version accepts.
        expected: &'static str,
        /// Lower-case hexadecimal sha256 found.
        found: String,
    },
    /// The content does not follow the format.
    #[error("the embedding weights {} cannot be used: fetch {} again", path.display(), origin)]
    Malformed {
        /// The file asked for.
        path: PathBuf,
        /// Where the right file comes from, in words.
        origin: &'static str,
        /// The first rule of the format that is broken.
        source: FormatError,
    },
}

impl LoadError {
    /// The file asked for.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::NotWeights { path, .. }
            | Self::WrongSize { path, .. }
            | Self::WrongDigest { path, .. }
            | Self::Malformed { path, .. } => path,
        }
    }
}

/// The first rule of the weight format that some bytes break.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes do not begin as the format does.
    #[error("it does not begin as its format does")]
    Magic,
    /// The bytes end inside something.
    #[error("it ends inside {0}")]
    Truncated(&'static str),
    /// A size or an index is outside of what the format, or this port, allows.
    #[error("its {what} is {found}, expected {expected}")]
    Value {
        /// What the number is.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A tensor of the model is absent from the directory.
    #[error("tensor {0} is missing")]
    MissingTensor(String),
    /// A tensor has another type or another size than the model needs.
    #[error("tensor {name} should be {expected}")]
    WrongTensor {
        /// Its name in the directory.
        name: String,
        /// Type and number of values.
        expected: String,
    },
}

impl FormatError {
    pub(crate) fn value(
        what: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Value {
            what,
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}
