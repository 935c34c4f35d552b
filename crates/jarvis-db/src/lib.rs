#![doc = include_str!("../README.md")]

pub mod embedded;
pub mod error;
pub mod migrations;
pub mod pool;

pub use error::DbError;
pub use pool::{ConnectSettings, Db, ScopedTx};
