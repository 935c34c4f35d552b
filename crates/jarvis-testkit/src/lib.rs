#![doc = include_str!("../README.md")]

mod cluster;
mod database;

pub use cluster::{Cluster, ClusterError, TEMPLATE, URL_VARIABLE};
pub use database::{LOGIN_PASSWORD, TestDb};
