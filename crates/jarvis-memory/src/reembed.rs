//! The memory of a gym is embedded again when its model changes, and what has no vector yet gets one: in the background,
//! a few texts at a time.
//!
//! A summary or a turn that has its new vector says so itself, so that a job that was killed goes on where it stood. Until
//! all have theirs the gym compares the old vectors, and what has a new one already is found by its words; then it
//! compares the new ones.

use crate::embedder::Lack;
use crate::jobs::{Backfill, Reembed};
use crate::meaning::{self, Whose};
use crate::process::turns::store_of_old_session;
use crate::windows::{self, REACH};
use crate::{Memory, MemoryError};
use chrono::{DateTime, Utc};
use jarvis_core::{Actor, ErrorCode, GymId, Scope, SessionId};
use jarvis_db::queries::gym::{self, EmbeddingModel};
use jarvis_db::queries::reembed::{self as rows, Embedded, Pending, Turn, Wanted};
use jarvis_db::{DbError, ScopedTx};
use jarvis_embed::LocalModel;
use jarvis_jobs::{
    Enqueued, Filter, Job as _, JobError, JobState, NewJob, enqueue, enqueue_instead, list as list_jobs,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Summaries and sessions that are read at a time.
const BATCH: i64 = 32;
/// Turns that are embedded together.
const TURNS: usize = 60;
/// After so long a job makes room for others; the next one goes on.
const ROUND: Duration = Duration::from_secs(45);
/// How long to wait for a model that this process cannot compute.
const WITHOUT_MODEL: Duration = Duration::from_mins(10);

/// How far a gym is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// The model whose vectors are compared.
    pub model: String,
    /// The model is a provider's and the gym lets none read its conversations: nothing is embedded, and recall is by words.
    pub refused: bool,
    /// The model that was asked for, while a job waits or works for it.
    pub asked_for: Option<String>,
    /// How much each model embedded.
    pub summaries: Vec<Embedded>,
    /// Conversations whose turns are not stored for recall yet, although what was said is there.
    pub sessions_without_turns: i64,
}

/// How far a gym is.
///
/// # Errors
/// The database.
pub async fn progress(memory: &Memory, gym: GymId) -> Result<Progress, MemoryError> {
    let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Operator)).await?;
    let model = gym::embedding_model(&mut tx, gym).await?;
    let filter = Filter {
        kind: Some(Reembed::KIND.to_owned()),
        gym_id: Some(gym.as_uuid()),
        ..Filter::default()
    };
    let jobs = list_jobs(&mut tx, &filter, 10).await.map_err(DbError::from)?;
    let alive = [JobState::Available, JobState::Retryable, JobState::Running];
    let asked_for = jobs
        .into_iter()
        .find(|job| alive.contains(&job.state))
        .and_then(|job| Some(job.args.get("model")?.as_str()?.to_owned()));
    let progress = Progress {
        refused: is_refused(&model, &model.name),
        model: model.name,
        asked_for,
        summaries: rows::by_model(&mut tx, gym).await?,
        sessions_without_turns: rows::count_without_turns(&mut tx, gym).await?,
    };
    tx.commit().await?;
    Ok(progress)
}

/// Whether a gym's answer keeps `model` from being asked.
fn is_refused(gym: &EmbeddingModel, model: &str) -> bool {
    !gym.external && LocalModel::named(model).is_none()
}

/// Asks for a gym's memory to be embedded with `model`. What was asked last counts; asking the same again changes nothing.
///
/// # Errors
/// `invalid_request` for a model whose calibration is not known, and for one of a provider where the gym lets none read
/// its conversations.
pub async fn ask(memory: &Memory, gym: GymId, model: &str) -> Result<Enqueued, MemoryError> {
    let refuse = |why| Err(MemoryError::refused_because(ErrorCode::InvalidRequest, why));
    let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Operator)).await?;
    let known = rows::is_known(&mut tx, model).await?;
    let current = gym::embedding_model(&mut tx, gym).await?;
    tx.commit().await?;
    if !known {
        return refuse("the model is not in jarvis.embedding_models");
    }
    if is_refused(&current, model) {
        return refuse(
            "the model is a provider's, and the gym lets none read its conversations: `jarvis gym external-models allow`",
        );
    }
    let job = Reembed {
        gym,
        model: model.to_owned(),
    };
    let mut tx = memory.db.begin_system().await.map_err(DbError::from)?;
    let asked = enqueue_instead(&mut tx, &new_job(&job)?, memory.clock.now())
        .await
        .map_err(DbError::from)?;
    tx.commit().await.map_err(DbError::from)?;
    Ok(asked)
}

/// Asks for what a gym's memory lacks: the turns of conversations that were read before turns were stored, and vectors.
///
/// # Errors
/// The database.
pub async fn ask_backfill(memory: &Memory, gym: GymId) -> Result<(), MemoryError> {
    let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Operator)).await?;
    enqueue_backfill(&mut tx, gym, memory.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// As [`ask_backfill`], in the caller's transaction.
pub(crate) async fn enqueue_backfill(
    tx: &mut ScopedTx,
    gym: GymId,
    now: DateTime<Utc>,
) -> Result<(), MemoryError> {
    let job = new_job(&Backfill { gym })?;
    enqueue(tx, &job, now).await.map_err(DbError::from)?;
    Ok(())
}

fn new_job(job: &impl jarvis_jobs::Job) -> Result<NewJob, MemoryError> {
    NewJob::of(job).map_err(|_| MemoryError::Bug("a job's ids did not serialise"))
}

/// Runs the job that changes the model.
///
/// # Errors
/// Try again, or wait for a model that is away; refused where the gym lets no provider read its conversations.
pub async fn run(memory: &Memory, job: Reembed) -> Result<(), JobError> {
    answer(change(memory, &job).await)
}

/// Runs the job that adds what is missing.
///
/// # Errors
/// As [`run`].
pub async fn run_backfill(memory: &Memory, job: Backfill) -> Result<(), JobError> {
    match complete(memory, &job).await {
        // What can be had without a vector is there.
        Ok(Round::Refused) => Ok(()),
        done => answer(done),
    }
}

fn answer(done: Result<Round, MemoryError>) -> Result<(), JobError> {
    match done {
        Ok(Round::Done) => Ok(()),
        Ok(Round::Over) => Err(JobError::wait("goes_on", Duration::ZERO)),
        Ok(Round::NoModel) => Err(JobError::wait("embedding_unavailable", WITHOUT_MODEL)),
        Ok(Round::Refused) => Err(JobError::fail("external_models_refused")),
        Err(error) => Err(match error.outage() {
            Some(pause) => JobError::wait(error.coded_chain(), pause),
            None => JobError::retry(error.coded_chain()),
        }),
    }
}

/// How a round ended.
enum Round {
    /// Nothing is left to do.
    Done,
    /// There is more to do.
    Over,
    /// This process cannot compute the model.
    NoModel,
    /// The gym lets no provider read its conversations.
    Refused,
}

/// What became of everything that was to be embedded.
enum Pass {
    /// All was asked for; so many texts have no vector, since they have no words or the model does not take them.
    Whole { without: usize },
    /// It ended early.
    Broken(Round),
}

async fn change(memory: &Memory, job: &Reembed) -> Result<Round, MemoryError> {
    let work = Work::new(memory, job.gym, Some(&job.model)).await?;
    loop {
        let without = match work.pass().await? {
            Pass::Whole { without } => without,
            Pass::Broken(round) => return Ok(round),
        };
        let mut tx = memory.db.begin(&work.scope).await?;
        let left = rows::hold_and_count(&mut tx, job.gym, &job.model).await?;
        // What was read meanwhile got the old model.
        if usize::try_from(left).is_ok_and(|left| left <= without) {
            rows::switch(&mut tx, job.gym, &job.model).await?;
            tx.commit().await?;
            if without > 0 {
                tracing::warn!(
                    texts = without,
                    model = job.model,
                    "some have no vector of the gym's new model"
                );
            }
            return Ok(Round::Done);
        }
        tx.commit().await?;
        if work.is_over() {
            return Ok(Round::Over);
        }
    }
}

async fn complete(memory: &Memory, job: &Backfill) -> Result<Round, MemoryError> {
    let work = Work::new(memory, job.gym, None).await?;
    if !work.store_turns_of_old_sessions().await? {
        return Ok(Round::Over);
    }
    match work.pass().await? {
        Pass::Whole { without } => {
            if without > 0 {
                tracing::warn!(texts = without, "some have no vector of the gym's model");
            }
            Ok(Round::Done)
        }
        Pass::Broken(round) => Ok(round),
    }
}

/// One round of one gym.
struct Work<'a> {
    memory: &'a Memory,
    gym: GymId,
    scope: Scope,
    model: String,
    only_missing: bool,
    begun: Instant,
}

/// What became of one batch.
enum Batch {
    /// So many texts got no vector.
    Asked {
        without: usize,
    },
    Lack(Lack),
}

impl<'a> Work<'a> {
    /// With `model`, or with the gym's what has none.
    async fn new(memory: &'a Memory, gym: GymId, model: Option<&str>) -> Result<Self, MemoryError> {
        let scope = Scope::gym(gym, Actor::Server);
        let mut tx = memory.db.begin(&scope).await?;
        let current = gym::embedding_model(&mut tx, gym).await?;
        tx.commit().await?;
        Ok(Self {
            memory,
            gym,
            scope,
            only_missing: model.is_none(),
            model: model.map_or(current.name, str::to_owned),
            begun: Instant::now(),
        })
    }

    fn is_over(&self) -> bool {
        self.begun.elapsed() > ROUND
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            model: &self.model,
            only_missing: self.only_missing,
        }
    }

    /// Stores the turns of sessions that have none, without vectors; false when time ran out.
    async fn store_turns_of_old_sessions(&self) -> Result<bool, MemoryError> {
        let mut after: Option<SessionId> = None;
        loop {
            let mut tx = self.memory.db.begin(&self.scope).await?;
            let sessions = rows::sessions_without_turns(&mut tx, self.gym, after.as_ref(), BATCH).await?;
            tx.commit().await?;
            let Some(last) = sessions.last() else {
                return Ok(true);
            };
            after = Some(last.clone());
            for session in sessions {
                store_of_old_session(self.memory, &self.scope, self.gym, &session).await?;
                if self.is_over() {
                    return Ok(false);
                }
            }
        }
    }

    /// Everything that is to be embedded, once.
    async fn pass(&self) -> Result<Pass, MemoryError> {
        match self.summaries().await? {
            Pass::Whole { without } => match self.sessions().await? {
                Pass::Whole { without: turns } => Ok(Pass::Whole {
                    without: without + turns,
                }),
                broken @ Pass::Broken(_) => Ok(broken),
            },
            broken @ Pass::Broken(_) => Ok(broken),
        }
    }

    async fn summaries(&self) -> Result<Pass, MemoryError> {
        let (mut after, mut without) = (Uuid::nil(), 0);
        loop {
            let mut tx = self.memory.db.begin(&self.scope).await?;
            let batch = rows::next(&mut tx, self.gym, self.wanted(), after, BATCH).await?;
            tx.commit().await?;
            let Some(last) = batch.last() else {
                return Ok(Pass::Whole { without });
            };
            after = last.id;
            // One at a time: a provider that goes away loses what was asked together.
            for pending in batch {
                match self.summary(&pending).await? {
                    Batch::Asked { without: one } => without += one,
                    Batch::Lack(lack) => return Ok(broken(lack)),
                }
                if self.is_over() {
                    return Ok(Pass::Broken(Round::Over));
                }
            }
        }
    }

    /// One whose words changed meanwhile has its turn in the next pass.
    async fn summary(&self, pending: &Pending) -> Result<Batch, MemoryError> {
        let vectors = match self.embed(None, std::slice::from_ref(&pending.text)).await? {
            Ok(vectors) => vectors,
            Err(lack) => return Ok(Batch::Lack(lack)),
        };
        let Some(vector) = vectors.into_iter().next().flatten() else {
            return Ok(Batch::Asked { without: 1 });
        };
        let mut tx = self.memory.db.begin(&self.scope).await?;
        if self.is_current(&mut tx).await? {
            rows::store(&mut tx, self.gym, pending, &self.model, vector).await?;
        }
        tx.commit().await?;
        Ok(Batch::Asked { without: 0 })
    }

    async fn sessions(&self) -> Result<Pass, MemoryError> {
        let (mut after, mut without) = (None::<SessionId>, 0);
        loop {
            let mut tx = self.memory.db.begin(&self.scope).await?;
            let sessions =
                rows::next_sessions(&mut tx, self.gym, self.wanted(), after.as_ref(), BATCH).await?;
            tx.commit().await?;
            let Some(last) = sessions.last() else {
                return Ok(Pass::Whole { without });
            };
            after = Some(last.clone());
            for session in sessions {
                match self.turns_of(&session).await? {
                    Pass::Whole { without: some } => without += some,
                    broken @ Pass::Broken(_) => return Ok(broken),
                }
            }
        }
    }

    async fn turns_of(&self, session: &SessionId) -> Result<Pass, MemoryError> {
        let mut tx = self.memory.db.begin(&self.scope).await?;
        let turns = rows::turns(&mut tx, self.gym, session, self.wanted()).await?;
        tx.commit().await?;
        let mut without = 0;
        let mut first = 0;
        while first < turns.len() {
            let end = (first + TURNS).min(turns.len());
            if turns[first..end].iter().any(|turn| turn.pending) {
                match self.turns(session, &turns, first..end).await? {
                    Batch::Asked { without: some } => without += some,
                    Batch::Lack(lack) => return Ok(broken(lack)),
                }
            }
            if self.is_over() {
                return Ok(Pass::Broken(Round::Over));
            }
            first = end;
        }
        Ok(Pass::Whole { without })
    }

    /// A part of a conversation, with the turns around it, which give it their direction.
    async fn turns(
        &self,
        session: &SessionId,
        turns: &[Turn],
        part: std::ops::Range<usize>,
    ) -> Result<Batch, MemoryError> {
        let from = part.start.saturating_sub(REACH.0);
        let to = (part.end + REACH.1).min(turns.len());
        let texts: Vec<String> = turns[from..to]
            .iter()
            .map(|turn| windows::words_of(&turn.said))
            .collect();
        let vectors = match self.embed(Some(session), &texts).await? {
            Ok(vectors) => vectors,
            Err(lack) => return Ok(Batch::Lack(lack)),
        };
        let mut made = Vec::new();
        let mut without = 0;
        for place in part.filter(|place| turns[*place].pending) {
            match windows::direction(&vectors, place - from) {
                Some(vector) => made.push((&turns[place], vector)),
                None => without += 1,
            }
        }
        let mut tx = self.memory.db.begin(&self.scope).await?;
        if self.is_current(&mut tx).await? {
            rows::store_turns(&mut tx, self.gym, session, &self.model, &made).await?;
        }
        tx.commit().await?;
        Ok(Batch::Asked { without })
    }

    /// What is missing gets the gym's model as it is now, and not as it was when the work began.
    async fn is_current(&self, tx: &mut ScopedTx) -> Result<bool, MemoryError> {
        let current = gym::embedding_model_for_share(tx, self.gym).await?;
        Ok(!self.only_missing || current.name == self.model)
    }

    async fn embed(
        &self,
        session: Option<&SessionId>,
        texts: &[String],
    ) -> Result<Result<Vec<Option<Vec<f32>>>, Lack>, MemoryError> {
        // The gym may have changed its mind since the last texts.
        let mut tx = self.memory.db.begin(&self.scope).await?;
        let external = gym::embedding_model(&mut tx, self.gym).await?.external;
        tx.commit().await?;
        let model = EmbeddingModel {
            name: self.model.clone(),
            external,
        };
        let whose = Whose {
            gym: self.gym,
            session,
            model: &model,
        };
        let made = meaning::of_passages(self.memory, whose, texts, None).await?;
        Ok(made.map(|made| made.vectors))
    }
}

fn broken(lack: Lack) -> Pass {
    Pass::Broken(match lack {
        Lack::Refused => Round::Refused,
        Lack::NoModel => Round::NoModel,
    })
}
