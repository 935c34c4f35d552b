//! Puts the crates together: database, clock, embedder, worker.

use crate::embeddings::{ProviderSettings, reader_from_environment};
use crate::failure::WrongUse;
use anyhow::Context as _;
use chrono::TimeDelta;
use jarvis_api::Readiness;
use jarvis_core::SystemClock;
use jarvis_core::clock::SharedClock;
use jarvis_db::Db;
use jarvis_db::embedded::cache_dir;
use jarvis_embed::{LocalEmbedder, WeightPaths};
use jarvis_jobs::{Connect, Job, JobError, Runner, Schedule};
use jarvis_memory::jobs::{Backfill, ProcessSession, Reembed, SweepOrphans, TendFacts};
use jarvis_memory::privacy::{ApplyRetention, WithdrawConsent};
use jarvis_memory::sessions::Intake;
use jarvis_memory::{Embedder, Memory, facts, orphans, privacy, process, purging, reembed};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use sqlx::{Postgres, Transaction};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The machine's clock, shared.
pub fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

/// Memory on this database, with the embeddings that the environment chooses.
pub async fn memory(db: Db) -> anyhow::Result<Memory> {
    Ok(Memory {
        db,
        clock: clock(),
        embedder: embedder().await?,
        reader: reader_from_environment()?.map(Arc::new),
        intake: Intake::default(),
    })
}

/// Memory for a command that compares no meanings.
pub fn memory_without_model(db: Db) -> Memory {
    let embedder = Embedder::Unavailable("this command compares no meanings".to_owned());
    Memory {
        db,
        clock: clock(),
        embedder,
        reader: None,
        intake: Intake::default(),
    }
}

async fn embedder() -> anyhow::Result<Embedder> {
    let Some(settings) = ProviderSettings::from_environment()? else {
        return Ok(local_embedder().await);
    };
    // A machine that asks a provider needs no weights; where they are, gyms of the local model go on.
    let mut provider = settings.connect()?;
    if let Embedder::Local(local) = local_embedder().await {
        provider.local = Some(local);
    }
    tracing::info!(model = provider.model, "embeddings are asked of a provider");
    Ok(Embedder::Provider(Arc::new(provider)))
}

/// The local models, or why there are none.
pub async fn local_embedder() -> Embedder {
    let paths = match weight_paths() {
        Ok(paths) => paths,
        Err(error) => return Embedder::Unavailable(error.to_string()),
    };
    let loaded = tokio::task::spawn_blocking(move || LocalEmbedder::load(&paths)).await;
    match loaded {
        Ok(Ok(model)) => {
            if let Some(error) = model.missing() {
                tracing::warn!(%error, "half of the embedding model is missing: recall of most gyms goes by words");
            }
            Embedder::Local(Arc::new(model))
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "no embedding model: recall goes by words");
            Embedder::Unavailable(error.to_string())
        }
        Err(_) => Embedder::Unavailable("loading the embedding model panicked".to_owned()),
    }
}

/// What is missing on this machine to compare meanings. Only looks whether the files are there; `/readyz` says whether
/// they could be loaded.
pub fn missing_weights() -> anyhow::Result<Vec<PathBuf>> {
    let paths = weight_paths()?;
    let all = [paths.e5, paths.universal];
    Ok(all.into_iter().filter(|path| !path.exists()).collect())
}

/// Where the environment says, else where `scripts/fetch.py` puts them.
fn weight_paths() -> anyhow::Result<WeightPaths> {
    let path = |variable: &str, cached: &str| -> anyhow::Result<PathBuf> {
        match std::env::var_os(variable) {
            Some(path) if !path.is_empty() => Ok(path.into()),
            _ => Ok(cache_dir()?.join(cached)),
        }
    };
    Ok(WeightPaths {
        e5: path("JARVIS_E5_WEIGHTS", "e5-small-0.3.0/e5-small-q4.bin")?,
        universal: path("JARVIS_USE_WEIGHTS", "use-multilingual-0.2.1")?,
    })
}

/// How the job queue reaches the database. A queue that reaches it is a worker at work, which `/readyz` tells.
#[derive(Debug, Clone)]
pub struct QueueConnection {
    db: Db,
    clock: SharedClock,
    readiness: Readiness,
}

impl Connect for QueueConnection {
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let tx = self.db.begin_system().await?;
        self.readiness.note_worker(self.clock.now());
        Ok(tx)
    }

    async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        self.db.listener().await
    }
}

/// Finished and dead jobs are kept this long, as the data map says.
const KEEP_JOBS: TimeDelta = TimeDelta::days(30);

/// Forgets jobs that ended long ago.
#[derive(Debug, Default, Serialize, Deserialize)]
struct PruneJobs {}

impl Job for PruneJobs {
    const KIND: &'static str = "jobs.prune";

    fn unique_key(&self) -> Option<String> {
        Some("all".to_owned())
    }
}

async fn prune_jobs(memory: &Memory) -> Result<(), JobError> {
    let before = memory.clock.now() - KEEP_JOBS;
    let pruned = async {
        let mut tx = memory.db.begin_system().await?;
        jarvis_jobs::prune(&mut tx, before, before).await?;
        tx.commit().await
    };
    pruned
        .await
        .map_err(|e| JobError::retry(jarvis_db::DbError::from(e).to_string()))
}

/// Refuses to purge while the clocks of this machine and of the database differ by more than a day.
pub async fn clocks_agree(memory: &Memory) -> anyhow::Result<()> {
    match purging::clocks_apart(memory).await? {
        None => Ok(()),
        Some(apart) => Err(WrongUse(format!(
            "this machine's clock is {} hours {} the database's: nothing is purged before they agree (timedatectl set-ntp true)",
            apart.num_hours().abs(),
            if apart > TimeDelta::zero() { "ahead of" } else { "behind" },
        ))
        .into()),
    }
}

/// The worker with every kind of job.
pub fn runner(memory: &Memory, readiness: &Readiness) -> anyhow::Result<Runner<QueueConnection>> {
    let clock = memory.clock.clone();
    let queue = QueueConnection {
        db: memory.db.clone(),
        clock: clock.clone(),
        readiness: readiness.clone(),
    };
    let (make, sweep, prune) = (memory.clone(), memory.clone(), memory.clone());
    let tend = memory.clone();
    let (again, fill) = (memory.clone(), memory.clone());
    let (withdraw, expire) = (memory.clone(), memory.clone());
    let runner = Runner::builder(queue, Arc::new(move || clock.now()))
        .register(move |_, job: ProcessSession| {
            let memory = make.clone();
            async move { process::run(&memory, job).await }
        })
        .register(move |_, job: Reembed| {
            let memory = again.clone();
            async move { reembed::run(&memory, job).await }
        })
        .register(move |_, job: Backfill| {
            let memory = fill.clone();
            async move { reembed::run_backfill(&memory, job).await }
        })
        .register(move |_, job: SweepOrphans| {
            let memory = sweep.clone();
            async move { orphans::run(&memory, job).await }
        })
        .register(move |_, job: TendFacts| {
            let memory = tend.clone();
            async move { facts::run(&memory, job).await }
        })
        .register(move |_, job: WithdrawConsent| {
            let memory = withdraw.clone();
            async move { privacy::run(&memory, job).await }
        })
        .register(move |_, job: ApplyRetention| {
            let memory = expire.clone();
            async move { privacy::run_retention(&memory, job).await }
        })
        .register(move |_, _: PruneJobs| {
            let memory = prune.clone();
            async move { prune_jobs(&memory).await }
        })
        .schedule(Schedule::every(Duration::from_mins(1), &SweepOrphans::default())?)
        .schedule(Schedule::every(Duration::from_hours(24), &TendFacts::default())?)
        .schedule(Schedule::every(Duration::from_hours(24), &PruneJobs::default())?)
        .schedule(Schedule::every(
            Duration::from_hours(24),
            &ApplyRetention::default(),
        )?)
        .lease(lease()?)
        .grace(grace()?)
        .build();
    Ok(runner)
}

/// How long the jobs of a killed worker wait for another one. `JARVIS_JOB_LEASE_SECONDS` shortens it where workers
/// are killed on purpose.
fn lease() -> anyhow::Result<Duration> {
    seconds("JARVIS_JOB_LEASE_SECONDS", Duration::from_mins(1))
}

/// How long running jobs may go on after the worker was told to stop; then they are handed back, and another worker
/// takes them at once. `JARVIS_JOB_GRACE_SECONDS` fits it to the patience of what runs the program, such as
/// systemd's `TimeoutStopSec`.
fn grace() -> anyhow::Result<Duration> {
    seconds("JARVIS_JOB_GRACE_SECONDS", Duration::from_secs(20))
}

/// Requests a minute that one gym's kiosks may send to a server; `JARVIS_GYM_REQUESTS_PER_MINUTE` changes it.
pub fn requests_per_gym() -> anyhow::Result<NonZeroU32> {
    match std::env::var("JARVIS_GYM_REQUESTS_PER_MINUTE") {
        Ok(number) => number
            .parse()
            .context("JARVIS_GYM_REQUESTS_PER_MINUTE is no whole number from 1"),
        Err(_) => Ok(jarvis_api::REQUESTS_PER_MINUTE),
    }
}

fn seconds(variable: &str, default: Duration) -> anyhow::Result<Duration> {
    match std::env::var(variable) {
        Ok(seconds) => {
            let seconds = seconds
                .parse()
                .with_context(|| format!("{variable} is no whole number of seconds"))?;
            Ok(Duration::from_secs(seconds))
        }
        Err(_) => Ok(default),
    }
}
