//! The runner: claims jobs, runs them, stops gracefully.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jarvis_observe::METRICS;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::connect::{Chance, Clock, Connect};
use crate::enqueue::CHANNEL;
use crate::execution::{self, Surroundings};
use crate::handler::{Handler, Handlers, JobContext};
use crate::job::{Job, JobError};
use crate::keeper::{Held, keep};
use crate::lease::{self, Claimed, Request};
use crate::schedule::{Schedule, keep_time};

/// Longest wait for a claim, which holds up a shutdown.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for handing jobs back at the end of a shutdown; after it their leases run out.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Sets up a [`Runner`].
pub struct RunnerBuilder<C> {
    connect: C,
    clock: Clock,
    chance: Chance,
    handlers: Handlers,
    schedules: Vec<Schedule>,
    name: String,
    concurrency: usize,
    per_gym: Option<usize>,
    poll_interval: Duration,
    lease: Duration,
    grace: Duration,
}

impl<C: Connect> RunnerBuilder<C> {
    /// Registers the handler of a kind. A later one of the same kind replaces it. Kinds without a handler are left
    /// waiting for a runner that has one.
    #[must_use]
    pub fn register<J, F, W>(mut self, handler: F) -> Self
    where
        J: Job,
        F: Fn(JobContext, J) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        self.handlers
            .insert(J::KIND, Arc::new(Handler::new::<J, F, W>(handler)));
        self
    }

    /// Adds a periodic job.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedules.push(schedule);
        self
    }

    /// Jobs run at once by this runner; default 4, at least 1.
    #[must_use]
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.concurrency = jobs.max(1);
        self
    }

    /// Jobs of one gym run at once by all runners together; default no limit. Gyms take turns without it; a limit
    /// below the concurrency keeps a slot free, so that a gym waits for no other gym's long job.
    #[must_use]
    pub fn per_gym(mut self, jobs: usize) -> Self {
        self.per_gym = Some(jobs.max(1));
        self
    }

    /// Longest time between two looks into the queue; default 2 s. Notifications come first, this is for retries
    /// that become due and for times without notifications.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Time after which the jobs of a runner that died are taken back; default 60 s. A handler that blocks its
    /// thread for longer than this can run beside its successor.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(100));
        self
    }

    /// Time given to running jobs at a shutdown; default 20 s.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Name in `leased_by`, such as host and process; default `runner`. A random suffix is added.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Replaces the source of jitter.
    #[must_use]
    pub fn chance(mut self, chance: Chance) -> Self {
        self.chance = chance;
        self
    }

    /// The runner, not yet running.
    pub fn build(self) -> Runner<C> {
        for kind in self.handlers.keys() {
            METRICS.show_job(kind);
        }
        Runner {
            kinds: self.handlers.keys().copied().collect(),
            // Two runners of one name must never share an owner, or each would take the other's jobs for its own.
            name: format!("{}-{:016x}", self.name, rand::random::<u64>()),
            around: Arc::new(Surroundings {
                connect: Arc::new(self.connect),
                clock: self.clock,
                chance: self.chance,
                hand_back: CancellationToken::new(),
            }),
            handlers: self.handlers,
            schedules: self.schedules,
            concurrency: self.concurrency,
            per_gym: i64::try_from(self.per_gym.unwrap_or(usize::MAX)).unwrap_or(i64::MAX),
            poll_interval: self.poll_interval,
            lease: self.lease,
            grace: self.grace,
            held: Arc::default(),
            wake: Arc::default(),
            claims: 0,
            served: HashMap::new(),
        }
    }
}

/// Runs jobs until it is told to stop.
pub struct Runner<C> {
    around: Arc<Surroundings<C>>,
    handlers: Handlers,
    kinds: Vec<&'static str>,
    schedules: Vec<Schedule>,
    name: String,
    concurrency: usize,
    per_gym: i64,
    poll_interval: Duration,
    lease: Duration,
    grace: Duration,
    held: Arc<Held>,
    wake: Arc<Notify>,
    claims: i64,
    served: HashMap<Uuid, i64>,
}

impl<C: Connect> Runner<C> {
    /// Starts to set up a runner.
    pub fn builder(connect: C, clock: Clock) -> RunnerBuilder<C> {
        RunnerBuilder {
            connect,
            clock,
            chance: Arc::new(rand::random::<f64>),
            handlers: Handlers::new(),
            schedules: Vec::new(),
            name: "runner".to_owned(),
            concurrency: 4,
            per_gym: None,
            poll_interval: Duration::from_secs(2),
            lease: Duration::from_mins(1),
            grace: Duration::from_secs(20),
        }
    }

    /// Runs until `shutdown` is cancelled; then claims no more, lets running jobs end within the grace period, and
    /// hands back the rest without counting their try. Dropping the future stops everything at once; the jobs are
    /// taken back when their leases run out.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let connect = || Arc::clone(&self.around.connect);
        let clock = || Arc::clone(&self.around.clock);
        let wake = || Arc::clone(&self.wake);
        // These stop when their handles are dropped, after the last job has ended.
        let listening = AbortOnDropHandle::new(tokio::spawn(listen(connect(), wake(), self.poll_interval)));
        let keeping = keep(connect(), clock(), Arc::clone(&self.held), wake(), self.lease);
        let keeping = AbortOnDropHandle::new(tokio::spawn(keeping));
        let schedules = std::mem::take(&mut self.schedules);
        let timing = keep_time(connect(), clock(), schedules, self.poll_interval);
        let timing = AbortOnDropHandle::new(tokio::spawn(timing));

        let mut running = JoinSet::new();
        self.dispatch(&mut running, &shutdown).await;
        drop((listening, timing));
        self.wind_down(&mut running).await;
        drop(keeping);
    }

    /// Claims and starts jobs until the shutdown.
    async fn dispatch(&mut self, running: &mut JoinSet<()>, shutdown: &CancellationToken) {
        let mut failures = 0;
        // LISTEN comes before the first look, or a job enqueued between the two would wait for the next poll.
        let mut pause = self.poll_interval;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(ended) = running.join_next(), if !running.is_empty() => report_crash(&ended),
                () = self.wake.notified() => {}
                () = sleep(pause) => {}
            }
            while let Some(ended) = running.try_join_next() {
                report_crash(&ended);
            }
            if running.len() >= self.concurrency {
                continue;
            }
            pause = match self.claim_and_start(running).await {
                Ok(()) => {
                    failures = 0;
                    self.poll_interval
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "cannot claim jobs");
                    reconnect_pause(failures)
                }
            };
        }
    }

    async fn claim_and_start(&mut self, running: &mut JoinSet<()>) -> Result<(), sqlx::Error> {
        self.claims += 1;
        let owner = format!("{}:{}", self.name, self.claims);
        let request = Request {
            kinds: &self.kinds,
            slots: i64::try_from(self.concurrency - running.len()).unwrap_or(1),
            owner: &owner,
            lease: self.lease,
            per_gym: self.per_gym,
            served: &self.served,
            now: (self.around.clock)(),
        };
        // Taken before the claim: the database counts its lease from a later instant.
        let deadline = Instant::now() + self.lease;
        let claiming = lease::claim(&*self.around.connect, &request);
        let too_long = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "claiming took too long").into());
        let claimed = timeout(CLAIM_TIMEOUT, claiming).await.unwrap_or_else(too_long)?;
        for job in claimed {
            self.served.insert(job.gym_id.unwrap_or_default(), self.claims);
            self.start(running, job, owner.clone(), deadline);
        }
        Ok(())
    }

    fn start(&self, running: &mut JoinSet<()>, job: Claimed, owner: String, deadline: Instant) {
        let Some(handler) = self.handlers.get(job.kind.as_str()).map(Arc::clone) else {
            // The claim asks for registered kinds alone.
            tracing::error!(job = job.id, kind = job.kind, "claimed a job without a handler");
            return;
        };
        let deadline = self.held.insert(job.id, owner.clone(), deadline);
        let (around, held) = (Arc::clone(&self.around), Arc::clone(&self.held));
        running.spawn(async move {
            let id = job.id;
            execution::run(around, handler, job, owner.clone(), deadline).await;
            held.remove(id, &owner);
        });
    }

    /// Waits for the running jobs, then hands them back.
    async fn wind_down(&self, running: &mut JoinSet<()>) {
        if timeout(self.grace, all_ended(running)).await.is_ok() {
            return;
        }
        self.around.hand_back.cancel();
        if timeout(HAND_BACK_TIMEOUT, all_ended(running)).await.is_err() {
            tracing::warn!(
                jobs = running.len(),
                "stopped with jobs in hand; they go on when their leases run out"
            );
        }
    }
}

async fn all_ended(running: &mut JoinSet<()>) {
    while let Some(ended) = running.join_next().await {
        report_crash(&ended);
    }
}

/// Handlers run in tasks of their own, so this is a fault of the queue itself.
fn report_crash(ended: &Result<(), tokio::task::JoinError>) {
    if ended.is_err() {
        tracing::error!("the queue crashed around a job; it goes on when its lease runs out");
    }
}

/// 100 ms, doubled by each failure, at most 5 s.
fn reconnect_pause(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.saturating_sub(1).min(6)).min(Duration::from_secs(5))
}

/// Wakes the dispatcher at every notification, and at every new connection: what was notified in between is lost.
async fn listen<C: Connect>(connect: Arc<C>, wake: Arc<Notify>, poll_interval: Duration) {
    let mut failures = 0;
    loop {
        match listen_once(&*connect, &wake, &mut failures).await {
            Ok(()) => tracing::info!("the connection for notifications was lost"),
            Err(error) => tracing::warn!(%error, failures, "cannot listen for new jobs; polling meanwhile"),
        }
        failures += 1;
        sleep(reconnect_pause(failures).max(poll_interval.min(Duration::from_millis(100)))).await;
    }
}

async fn listen_once<C: Connect>(connect: &C, wake: &Notify, failures: &mut u32) -> Result<(), sqlx::Error> {
    let mut listener = connect.listener().await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    *failures = 0;
    wake.notify_one();
    while listener.try_recv().await?.is_some() {
        wake.notify_one();
    }
    Ok(())
}
