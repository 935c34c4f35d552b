#![doc = include_str!("../README.md")]

mod cluster;
mod database;
mod stoppable;

pub use cluster::{Cluster, ClusterError, TEMPLATE, URL_VARIABLE};
pub use database::{LOGIN_PASSWORD, TestDb};
pub use stoppable::StoppableServer;

/// For tests from outside, which reach into the house through this crate alone.
pub use jarvis_db::{embedded, lint};
pub use jarvis_llm::fake::{Answer, FakeOpenAi, FakeOptions, Fault};
