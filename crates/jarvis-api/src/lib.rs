#![doc = include_str!("../README.md")]

mod body;
mod caller;
mod device;
mod docs_page;
mod edge;
mod endpoints;
mod fields;
mod limits;
mod openapi;
pub mod pairing;
pub mod password;
mod problem;
mod router;
mod state;
pub mod tokens;
mod views;
mod words;

pub use problem::ProblemBody;
pub use router::{openapi, router};
pub use state::{ApiState, Readiness};
pub use tokens::Tokens;
