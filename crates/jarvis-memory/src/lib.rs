#![doc = include_str!("../README.md")]

pub mod category;
pub mod context;
pub mod embedder;
pub mod error;
pub mod eval;
pub mod extract;
pub mod facts;
pub mod heads;
pub mod jobs;
mod measure;
pub mod orphans;
pub mod process;
pub mod recall;
pub mod sentiment;
pub mod sessions;
mod spending;
pub mod summary;

pub use embedder::{Embedded, Embedder, Provider, Spent, standing};
pub use error::MemoryError;

use jarvis_core::clock::SharedClock;
use jarvis_db::Db;

/// Everything the use-cases of memory need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: SharedClock,
    /// What turns text into vectors.
    pub embedder: Embedder,
}
