#![doc = include_str!("../README.md")]

mod calibration;
mod centring;
mod encoder;
mod error;
mod format;
pub mod heads;
mod local;
mod matrix;
mod model;
mod numeric;
mod pieces;
mod pinned;
pub mod ridge;
mod tokenizer;
mod universal;

pub use calibration::{Calibration, cosine};
pub use centring::{PADDED_DIMENSIONS, centre, mean, pad_1536};
pub use error::{FormatError, LoadError};
pub use local::{LocalEmbedder, LocalModel, WeightPaths};
pub use model::{DIMENSIONS, E5, Kind, MODEL, WEIGHTS_BYTES, WEIGHTS_ORIGIN, WEIGHTS_SHA256};
pub use universal::{UNIVERSAL_DIMENSIONS, UniversalEncoder};
