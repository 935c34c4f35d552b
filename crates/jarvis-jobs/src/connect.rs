//! What the runner is given: connections, time and chance.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgListener;
use sqlx::{Postgres, Transaction};

/// The time of day. It says when a job is due and when things happened; leases go by the database's clock and by
/// monotonic time, so that a jump of this clock makes no job run twice at once.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A number in [0, 1), for the jitter of the back-off.
pub type Chance = Arc<dyn Fn() -> f64 + Send + Sync>;

/// How the runner reaches the database.
pub trait Connect: Send + Sync + 'static {
    /// Begins a transaction in the role `jarvis_system`.
    fn begin(&self) -> impl Future<Output = Result<Transaction<'static, Postgres>, sqlx::Error>> + Send;

    /// Opens a connection of its own that can `LISTEN` (not through a transaction pooler).
    fn listener(&self) -> impl Future<Output = Result<PgListener, sqlx::Error>> + Send;
}
