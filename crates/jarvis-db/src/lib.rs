#![doc = include_str!("../README.md")]

pub mod auth_import;
pub mod backup;
pub mod bench;
pub mod changes;
pub mod embedded;
pub mod error;
pub mod lint;
pub mod migrations;
mod outage;
pub mod pool;
pub mod provision;
pub mod queries;

pub use error::DbError;
pub use pool::{ConnectSettings, Connections, Db, ScopedTx};
