#![doc = include_str!("../README.md")]

pub mod churn;
pub mod random;
pub mod simulate;
