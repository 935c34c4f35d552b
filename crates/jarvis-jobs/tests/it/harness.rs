//! A database of its own for each test, a clock that tests move, and jobs that do what a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jarvis_jobs::{
    Backoff, Chance, Clock, Connect, Enqueued, Filter, Job, JobId, JobRecord, JobState, NewJob, Runner,
    RunnerBuilder,
};
use jarvis_testkit::TestDb;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::{Postgres, Transaction};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A job whose handler is the test's. Its back-off is 2, 4, 8 ... s (the harness draws 1.0).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub gym: Option<Uuid>,
    pub key: Option<String>,
    pub n: i64,
}

impl Job for Probe {
    const KIND: &'static str = "test.probe";
    const MAX_ATTEMPTS: i16 = 3;
    const TIMEOUT: Duration = Duration::from_mins(1);
    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(2),
        cap: Duration::from_mins(1),
    };

    fn unique_key(&self) -> Option<String> {
        self.key.clone()
    }

    fn gym_id(&self) -> Option<Uuid> {
        self.gym
    }
}

/// A job that may take a tenth of a second.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Hasty {}

impl Job for Hasty {
    const KIND: &'static str = "test.hasty";
    const TIMEOUT: Duration = Duration::from_millis(100);
}

pub fn numbered(n: i64) -> Probe {
    Probe {
        n,
        ..Probe::default()
    }
}

pub fn keyed(key: &str) -> Probe {
    Probe {
        key: Some(key.to_owned()),
        ..Probe::default()
    }
}

/// A clock that runs from 2026-03-02T10:00:00Z and jumps when told.
#[derive(Clone)]
pub struct TestClock {
    started: Instant,
    jumped_ms: Arc<AtomicI64>,
}

impl TestClock {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            jumped_ms: Arc::default(),
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        let base = DateTime::from_timestamp(1_772_445_600, 0).unwrap();
        // Whole microseconds, as PostgreSQL stores them.
        let ran = TimeDelta::microseconds(self.started.elapsed().as_micros().try_into().unwrap());
        base + ran + TimeDelta::milliseconds(self.jumped_ms.load(Ordering::SeqCst))
    }

    pub fn jump(&self, by: TimeDelta) {
        self.jumped_ms.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }

    pub fn handle(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

/// Connections as the application makes them: a role per transaction.
pub struct AsSystem(PgPool);

impl Connect for AsSystem {
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut tx = self.0.begin().await?;
        sqlx::query("set local role jarvis_system")
            .execute(&mut *tx)
            .await?;
        Ok(tx)
    }

    async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        PgListener::connect_with(&self.0).await
    }
}

pub struct Queue {
    /// The superuser's connections: what a test looks at, or breaks.
    pub pool: PgPool,
    /// The application's connections.
    login: PgPool,
    pub clock: TestClock,
    db: TestDb,
}

impl Queue {
    pub async fn new() -> Self {
        let db = TestDb::new().await;
        let (pool, login) = tokio::join!(pool(db.url().clone()), pool(db.login_url()));
        Self {
            pool,
            login,
            clock: TestClock::new(),
            db,
        }
    }

    /// A new gym.
    pub async fn gym(&self) -> Uuid {
        self.db.seed_gym("Salle").await.as_uuid()
    }

    pub fn connect(&self) -> AsSystem {
        AsSystem(self.login.clone())
    }

    /// A transaction that sees all gyms.
    pub async fn begin(&self) -> Transaction<'static, Postgres> {
        self.connect().begin().await.unwrap()
    }

    /// A transaction of the server in one gym.
    pub async fn begin_in(&self, gym: Uuid) -> Transaction<'static, Postgres> {
        let mut tx = self.login.begin().await.unwrap();
        sqlx::query("select set_config('role', 'jarvis_server', true), set_config('app.gym_id', $1, true)")
            .bind(gym.to_string())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    pub async fn enqueue<J: Job>(&self, job: &J) -> Enqueued {
        let mut tx = self.begin().await;
        let enqueued = jarvis_jobs::enqueue(&mut tx, &NewJob::of(job).unwrap(), self.clock.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        enqueued
    }

    /// A runner that looks often and draws the longest back-off.
    pub fn runner(&self) -> RunnerBuilder<AsSystem> {
        let whole: Chance = Arc::new(|| 1.0);
        Runner::builder(self.connect(), self.clock.handle())
            .poll_interval(Duration::from_millis(20))
            .lease(Duration::from_secs(5))
            .grace(Duration::from_secs(5))
            .chance(whole)
    }

    pub async fn job(&self, id: JobId) -> JobRecord {
        let mut tx = self.begin().await;
        jarvis_jobs::find(&mut tx, id)
            .await
            .unwrap()
            .expect("the job is in the queue")
    }

    pub async fn jobs(&self, filter: &Filter) -> Vec<JobRecord> {
        let mut tx = self.begin().await;
        jarvis_jobs::list(&mut tx, filter, 10_000).await.unwrap()
    }

    pub async fn in_state(&self, state: JobState) -> usize {
        self.jobs(&Filter {
            state: Some(state),
            ..Filter::default()
        })
        .await
        .len()
    }

    /// Waits until the job stands there.
    pub async fn wait_for(&self, id: JobId, state: JobState) -> JobRecord {
        let begun = Instant::now();
        loop {
            let job = self.job(id).await;
            if job.state == state {
                return job;
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {state}, but: {job:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until no job waits or runs.
    pub async fn wait_until_idle(&self) {
        let busy = [JobState::Available, JobState::Retryable, JobState::Running];
        let begun = Instant::now();
        loop {
            let left: Vec<_> = self.jobs(&Filter::default()).await;
            let left: Vec<_> = left.into_iter().filter(|job| busy.contains(&job.state)).collect();
            if left.is_empty() {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} jobs left, such as {:?}",
                left.len(),
                left[0]
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn pool(url: SecretString) -> PgPool {
    PgPoolOptions::new()
        .max_connections(10)
        .connect(url.expose_secret())
        .await
        .unwrap()
}

/// A runner at work; dropping it kills it as `kill -9` would: nothing is written any more.
pub struct Working {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub fn start(runner: Runner<AsSystem>) -> Working {
    let stop = CancellationToken::new();
    let task = tokio::spawn(runner.run(stop.clone()));
    Working { stop, task }
}

impl Working {
    /// Graceful shutdown.
    pub async fn stop(mut self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, &mut self.task)
            .await
            .expect("the runner stops")
            .unwrap();
    }

    /// Stops at once, and waits until it has.
    pub async fn kill(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until something is so.
pub async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
