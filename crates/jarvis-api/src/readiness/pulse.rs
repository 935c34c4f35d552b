//! A look at the database, for probes and metrics; at most four a second, whoever asks.

use super::cause::Cause;
use jarvis_core::Scope;
use jarvis_db::DbError;
use jarvis_db::queries::pulse::{UnfinishedSessions, unfinished_sessions};
use jarvis_jobs::{Backlog, Job as _};
use jarvis_memory::Memory;
use jarvis_memory::jobs::ProcessSession;
use jarvis_observe::METRICS;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A database that takes longer than this to answer is down.
const PATIENCE: Duration = Duration::from_secs(3);
/// Probes are asked by anybody, so a look is shared for this long.
const FRESH: Duration = Duration::from_millis(250);
/// States of jobs that are shown, also when there is none.
const STATES: [&str; 4] = ["available", "retryable", "running", "discarded"];

/// The last look at the database. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Option<Seen>>>);

/// A look, and when it was.
type Seen = (Instant, Arc<Look>);

/// What a look saw.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Why the database cannot be used, with what it said.
    pub(super) database: Option<(Cause, String)>,
    /// Why the schema cannot be used, with what is missing.
    pub(super) schema: Option<(Cause, String)>,
    pub(super) backlog: Vec<Backlog>,
    sessions: UnfinishedSessions,
}

impl Look {
    /// Why the database cannot be used as it is.
    fn trouble(&self) -> Option<&(Cause, String)> {
        self.database.as_ref().or(self.schema.as_ref())
    }
}

impl Pulse {
    /// The last look, or a new one when that is too old. Several that ask at once wait for one.
    pub(super) async fn look(&self, memory: &Memory) -> Arc<Look> {
        let mut last = self.0.lock().await;
        if let Some((at, look)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(look);
        }
        let look = tokio::time::timeout(PATIENCE, look(memory)).await;
        let look = Arc::new(match look {
            Ok(Ok(look)) => look,
            Ok(Err(error)) => unusable(&error),
            Err(_) => no_answer(memory).await,
        });
        // Probes come every second: an outage is told when it begins and when it changes.
        let before = last.as_ref().and_then(|(_, look)| look.trouble());
        match look.trouble() {
            Some((cause, detail)) if before.is_none_or(|(before, _)| before != cause) => {
                tracing::warn!(?cause, detail, "not ready");
            }
            None if before.is_some() => tracing::info!("the database can be used again"),
            _ => {}
        }
        METRICS.all_at_once(|| show(&look, memory));
        *last = Some((Instant::now(), Arc::clone(&look)));
        look
    }
}

async fn look(memory: &Memory) -> Result<Look, DbError> {
    match memory.db.check_schema().await {
        Ok(()) => {}
        Err(DbError::Unfit { problem, .. }) => {
            return Ok(Look {
                schema: Some((Cause::SchemaBehind, problem)),
                ..Look::default()
            });
        }
        Err(error) => return Err(error),
    }
    let mut tx = memory.db.begin(&Scope::System).await?;
    let backlog = jarvis_jobs::backlog(&mut tx, memory.clock.now()).await?;
    let sessions = unfinished_sessions(&mut tx).await?;
    tx.commit().await?;
    Ok(Look {
        backlog,
        sessions,
        ..Look::default()
    })
}

/// All connections may be busy, or there may be nobody to answer.
async fn no_answer(memory: &Memory) -> Look {
    let (cause, detail) = if memory.db.greets().await {
        (Cause::DatabaseSlow, "no answer within 3 seconds")
    } else {
        (Cause::DatabaseUnreachable, "no answer, and no new connection")
    };
    Look {
        database: Some((cause, detail.to_owned())),
        ..Look::default()
    }
}

fn unusable(error: &DbError) -> Look {
    let cause = match error {
        DbError::Unavailable { .. } => Cause::DatabaseUnreachable,
        DbError::Timeout | DbError::Contended => Cause::DatabaseSlow,
        _ => Cause::DatabaseRefuses,
    };
    Look {
        database: Some((cause, error.to_string())),
        ..Look::default()
    }
}

/// What was seen, as metrics. What is not known is not shown.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a double; counts of rows are far below 2^53"
)]
fn show(look: &Look, memory: &Memory) {
    METRICS.queue_jobs.clear();
    METRICS.queue_overdue.clear();
    METRICS.sessions.clear();
    METRICS.sessions_oldest.clear();
    METRICS
        .db_up
        .set(&[], if look.database.is_none() { 1.0 } else { 0.0 });
    if look.database.is_some() || look.schema.is_some() {
        return;
    }
    for state in STATES {
        METRICS.queue_jobs.set(&[ProcessSession::KIND, state], 0.0);
    }
    METRICS.queue_overdue.set(&[ProcessSession::KIND], 0.0);
    for Backlog {
        kind,
        state,
        jobs,
        overdue_seconds,
    } in &look.backlog
    {
        METRICS.queue_jobs.set(&[kind, state.as_str()], *jobs as f64);
        METRICS.queue_overdue.at_least(&[kind], *overdue_seconds);
    }
    METRICS.sessions.set(&["open"], look.sessions.open as f64);
    METRICS.sessions.set(&["closing"], look.sessions.closing as f64);
    let oldest = look.sessions.oldest_ended_at.map(|at| memory.clock.now() - at);
    let oldest = oldest.and_then(|age| age.to_std().ok()).unwrap_or_default();
    METRICS.sessions_oldest.set(&[], oldest.as_secs_f64());
}
