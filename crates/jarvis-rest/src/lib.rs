#![doc = include_str!("../README.md")]

pub mod cache;
pub mod claim_path;
pub mod error;
pub mod openapi;
pub mod plan;
pub mod request;
pub mod respond;
pub mod run;
pub mod service;
pub mod settings;
pub mod sql;
pub mod sqlstate;
pub mod token;
pub mod types;

pub use claim_path::ClaimPath;
pub use error::RestError;
pub use service::{Gate, Rest, StartError};
pub use settings::{OpenApiMode, Settings, TxEnd};
pub use token::Identity;
