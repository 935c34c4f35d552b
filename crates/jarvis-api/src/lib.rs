#![doc = include_str!("../README.md")]

pub mod allowance;
#[cfg(test)]
mod any_input;
mod body;
mod caller;
mod device;
mod docs_page;
mod edge;
mod endpoints;
mod envelope;
mod fact_views;
mod fields;
pub mod gotrue;
mod gym_share;
mod json;
pub mod keys;
mod limits;
mod openapi;
mod operations;
pub mod pairing;
pub mod password;
mod problem;
mod proxies;
mod query;
mod readiness;
pub mod realtime;
mod router;
mod state;
pub mod tokens;
mod views;
mod words;

pub use gym_share::REQUESTS_PER_MINUTE;
pub use operations::operations_router;
pub use problem::ProblemBody;
pub use proxies::{NoNetworks, TrustedProxies};
pub use readiness::{Pulse, Readiness};
pub use router::{busy, openapi, router, router_beside};
pub use state::ApiState;
pub use tokens::Tokens;
