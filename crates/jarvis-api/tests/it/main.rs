//! The API over a real listener and a real database, as kiosks and people use it.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]

mod audited;
mod documents;
mod embeddings;
mod events;
mod facts;
mod input;
mod kiosks;
mod logs;
mod people;
mod probes;
mod reading;
mod sessions;
mod sweep;
mod world;
