//! Insight against the outside: published figures, simulated gyms.

mod cdnow;
mod simulated;
