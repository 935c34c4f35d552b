//! How well the process works, and why not better.
//!
//! *Down* means that requests fail: `/readyz` answers 503, and a proxy should send them elsewhere. *Degraded* means that
//! they are answered and something is missing or late: `/readyz` answers 200, and somebody should look.

mod cause;
mod pulse;
mod report;
mod signs;

pub(crate) use cause::Standing;
pub use pulse::Pulse;
pub(crate) use report::{Audience, ReadinessReport, report};
pub use signs::Readiness;
