//! Who is likely to leave within 30 days, and why.
//!
//! [`history`] is what is known of a member, [`counts`] what was known on a day, [`features`] the numbers the model
//! reads, [`model`] a discrete-time hazard, [`reasons`] its exact contributions in words. [`metrics`] and [`trust`]
//! say whether to believe it; [`btyd`] is the textbook rival. [`backtest`] puts all of it to the past of a gym.

pub mod backtest;
pub mod btyd;
pub mod counts;
pub mod drift;
pub mod features;
pub mod history;
mod linear;
pub mod metrics;
pub mod model;
pub mod reasons;
pub mod trust;

/// The days ahead for which a score speaks.
pub const HORIZON_DAYS: i64 = 30;

/// The share of members who leave in a month where the gym states no rate of its own. A gym that knows better states its own.
pub const BASE_RATE: f64 = 0.034;

/// `ln(p / (1 − p))`, for p inside (0, 1).
pub fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// The inverse of [`logit`].
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
