//! Vectors of meaning.

/// Dimensions of every stored embedding, as in the guide. Shorter models are padded with zeros,
/// which leaves every cosine as it is.
pub const DIMENSIONS: usize = 1536;

/// Marks rows whose embedding was made by an unknown model: never compared with others.
pub const UNKNOWN_MODEL: &str = "unknown";
