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
mod meaning;
mod measure;
pub mod orphans;
pub mod privacy;
pub mod process;
pub mod purging;
pub mod quarantine;
mod reader;
pub mod recall;
pub mod reembed;
pub mod sentiment;
pub mod sessions;
mod spending;
pub mod summary;
pub mod vectors;
pub mod windows;

pub use embedder::{Asked, Embedder, Lack, Provider, Spent, Vectors, standing};
pub use error::MemoryError;
pub use reader::{Reader, degraded};

use jarvis_core::clock::SharedClock;
use jarvis_db::Db;
use std::sync::Arc;

/// Everything the use-cases of memory need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: SharedClock,
    /// What turns text into vectors.
    pub embedder: Embedder,
    /// The model that reads the conversations of gyms that allow it; the rules read all others.
    pub reader: Option<Arc<Reader>>,
    /// Events that are about to be stored.
    pub intake: sessions::Intake,
}
