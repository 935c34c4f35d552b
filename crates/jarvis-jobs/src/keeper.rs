//! Keeps the leases of running jobs, and takes jobs back from runners that died.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use jarvis_observe::METRICS;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::connect::{Clock, Connect};
use crate::job::JobId;
use crate::lease;

/// The jobs this runner holds.
#[derive(Default)]
pub(crate) struct Held {
    jobs: Mutex<HashMap<JobId, Hold>>,
}

struct Hold {
    owner: String,
    deadline: watch::Sender<Instant>,
}

impl Held {
    /// Notes a job. The receiver follows the instant until which it is surely ours.
    pub(crate) fn insert(&self, id: JobId, owner: String, deadline: Instant) -> watch::Receiver<Instant> {
        let (sender, receiver) = watch::channel(deadline);
        self.lock().insert(
            id,
            Hold {
                owner,
                deadline: sender,
            },
        );
        receiver
    }

    /// Forgets a job, unless it has been claimed anew since.
    pub(crate) fn remove(&self, id: JobId, owner: &str) {
        let mut jobs = self.lock();
        if jobs.get(&id).is_some_and(|hold| hold.owner == owner) {
            jobs.remove(&id);
        }
    }

    fn owners(&self) -> (Vec<JobId>, Vec<String>) {
        self.lock()
            .iter()
            .map(|(id, hold)| (*id, hold.owner.clone()))
            .unzip()
    }

    /// Moves the deadline of a job; the job may have ended meanwhile.
    fn move_deadline(&self, id: JobId, owner: &str, deadline: Instant) {
        if let Some(hold) = self.lock().get(&id).filter(|hold| hold.owner == owner) {
            hold.deadline.send_replace(deadline);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Hold>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs for the life of the runner: three heartbeats per lease.
pub(crate) async fn keep<C: Connect>(
    connect: Arc<C>,
    clock: Clock,
    held: Arc<Held>,
    wake: Arc<Notify>,
    lease: Duration,
) {
    let beat = lease / 3;
    let mut beats = interval(beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        match timeout(beat, renew(&*connect, &held, lease)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot renew the leases of running jobs"),
            Err(_) => tracing::warn!("renewing the leases of running jobs takes too long"),
        }
        match timeout(beat, take_back(&*connect, &held, clock())).await {
            Ok(Ok(0)) => {}
            Ok(Ok(jobs)) => {
                METRICS.jobs_taken_back.add(&[], jobs as u64);
                tracing::warn!(jobs, "took back jobs whose lease ran out");
                wake.notify_one();
            }
            Ok(Err(error)) => tracing::warn!(%error, "cannot look for leases that ran out"),
            Err(_) => tracing::warn!("looking for leases that ran out takes too long"),
        }
    }
}

/// One heartbeat. A job that is no longer ours is stopped by a deadline that has passed.
async fn renew<C: Connect>(connect: &C, held: &Held, lease: Duration) -> Result<(), sqlx::Error> {
    let (ids, owners) = held.owners();
    if ids.is_empty() {
        return Ok(());
    }
    // Taken before the statement: the database counts its lease from a later instant.
    let asked_at = Instant::now();
    let renewed = lease::renew(connect, &ids, &owners, lease).await?;
    for (id, owner) in ids.into_iter().zip(owners) {
        let deadline = if renewed.contains(&id) {
            asked_at + lease
        } else {
            asked_at
        };
        held.move_deadline(id, &owner, deadline);
    }
    Ok(())
}

/// Takes back what others let run out. What this runner holds it keeps, although a clock that was set forward after the
/// heartbeat may call it run out: its own deadline is monotonic.
async fn take_back<C: Connect>(connect: &C, held: &Held, now: DateTime<Utc>) -> Result<usize, sqlx::Error> {
    let (ids, owners) = held.owners();
    lease::take_back_expired(connect, (&ids, &owners), now).await
}
