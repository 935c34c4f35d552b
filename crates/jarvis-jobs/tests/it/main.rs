//! The queue against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod clocks;
mod enqueuing;
mod fairness;
mod harness;
mod inspection;
mod leases;
mod outages;
mod schedules;
mod shutdown;
mod tenancy;
mod tries;
