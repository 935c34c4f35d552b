//! The summaries of a gym are embedded again when its model changes, in the background, a few at a time.
//!
//! A summary that has its new vector says so itself, so that a job that was killed goes on where it stood. Until all
//! have theirs the gym compares the old vectors, and what has a new one already is found by its words; then it
//! compares the new ones.

use crate::jobs::Reembed;
use crate::{Memory, MemoryError, spending};
use jarvis_core::{Actor, ErrorCode, GymId, Scope};
use jarvis_db::queries::reembed::{self, Embedded, Pending};
use jarvis_db::queries::{gym, reembed as rows};
use jarvis_jobs::{Enqueued, JobError, NewJob, enqueue};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Summaries that are read at a time.
const BATCH: i64 = 32;
/// After so long a job makes room for others; the next one goes on.
const TURN: Duration = Duration::from_secs(45);
/// How long to wait for a model that this process cannot compute.
const WITHOUT_MODEL: Duration = Duration::from_mins(10);

/// How far a gym is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// The model whose vectors are compared.
    pub model: String,
    /// How many summaries each model embedded.
    pub summaries: Vec<Embedded>,
}

/// How far a gym is.
///
/// # Errors
/// The database.
pub async fn progress(memory: &Memory, gym: GymId) -> Result<Progress, MemoryError> {
    let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Operator)).await?;
    let progress = Progress {
        model: gym::embedding_model(&mut tx, gym).await?,
        summaries: rows::by_model(&mut tx, gym).await?,
    };
    tx.commit().await?;
    Ok(progress)
}

/// Asks for a gym's summaries to be embedded with `model`. Asking again changes nothing.
///
/// # Errors
/// `invalid_request` for a model whose calibration is not known.
pub async fn ask(memory: &Memory, gym: GymId, model: &str) -> Result<Enqueued, MemoryError> {
    let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Operator)).await?;
    if !rows::is_known(&mut tx, model).await? {
        let why = "the model is not in jarvis.embedding_models";
        return Err(MemoryError::refused_because(ErrorCode::InvalidRequest, why));
    }
    let job = Reembed {
        gym,
        model: model.to_owned(),
    };
    let job = NewJob::of(&job).map_err(|_| MemoryError::Bug("a job's ids did not serialise"))?;
    let asked = enqueue(&mut tx, &job, memory.clock.now())
        .await
        .map_err(jarvis_db::DbError::from)?;
    tx.commit().await?;
    Ok(asked)
}

/// Runs the job.
///
/// # Errors
/// Try again, or wait for a model that is away.
pub async fn run(memory: &Memory, job: Reembed) -> Result<(), JobError> {
    match go_on(memory, &job).await {
        Ok(Turn::Done) => Ok(()),
        Ok(Turn::Over) => Err(JobError::wait("goes_on", Duration::ZERO)),
        Ok(Turn::NoModel) => Err(JobError::wait("embedding_unavailable", WITHOUT_MODEL)),
        Err(error) => Err(match error.outage() {
            Some(pause) => JobError::wait(error.coded_chain(), pause),
            None => JobError::retry(error.coded_chain()),
        }),
    }
}

/// How a turn ended.
enum Turn {
    /// The gym compares the new vectors.
    Done,
    /// There is more to do.
    Over,
    /// This process cannot compute the model.
    NoModel,
}

async fn go_on(memory: &Memory, job: &Reembed) -> Result<Turn, MemoryError> {
    let scope = Scope::gym(job.gym, Actor::Server);
    let begun = Instant::now();
    let mut after = Uuid::nil();
    let mut switched = false;
    loop {
        let mut tx = memory.db.begin(&scope).await?;
        let batch = reembed::next(&mut tx, job.gym, &job.model, after, BATCH).await?;
        if batch.is_empty() {
            // Conversations that were read meanwhile got the old model, and can stand before where we are.
            if !after.is_nil() {
                after = Uuid::nil();
                continue;
            }
            if switched {
                return Ok(Turn::Done);
            }
            reembed::switch(&mut tx, job.gym, &job.model).await?;
            tx.commit().await?;
            switched = true;
            continue;
        }
        tx.commit().await?;
        for pending in batch {
            after = pending.id;
            if !embed(memory, &scope, job, &pending).await? {
                return Ok(Turn::NoModel);
            }
            if begun.elapsed() > TURN {
                return Ok(Turn::Over);
            }
        }
    }
}

/// Embeds one summary; false when this process cannot compute the model. One whose words changed meanwhile has its turn
/// in the next round.
async fn embed(
    memory: &Memory,
    scope: &Scope,
    job: &Reembed,
    pending: &Pending,
) -> Result<bool, MemoryError> {
    let Some(embedded) = memory.embedder.passage(&job.model, &pending.text).await? else {
        return Ok(false);
    };
    if let Some(spent) = &embedded.spent {
        spending::record(memory, job.gym, None, spent, "embedding").await?;
    }
    let mut tx = memory.db.begin(scope).await?;
    reembed::store(&mut tx, job.gym, pending, &job.model, embedded.vector).await?;
    tx.commit().await?;
    Ok(true)
}
