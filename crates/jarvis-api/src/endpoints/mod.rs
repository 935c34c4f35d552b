//! One endpoint, one file: its errors, its documentation, its handler, its tests.

pub(crate) mod auth;
pub(crate) mod embeddings;
pub(crate) mod facts;
pub(crate) mod kiosks;
pub(crate) mod me;
pub(crate) mod members;
pub(crate) mod sessions;
pub(crate) mod system;
