//! What every endpoint may use.

use crate::device::UsedAssertions;
use crate::gym_share::{GymShares, REQUESTS_PER_MINUTE};
use crate::limits::Limits;
use crate::password::Verifier;
use crate::proxies::TrustedProxies;
use crate::tokens::Tokens;
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_memory::Memory;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

/// A worker that was not seen for this long counts as absent.
const WORKER_SILENCE: TimeDelta = TimeDelta::minutes(2);

/// Everything the endpoints need. Cheap to clone; clones share limits and readiness.
#[derive(Debug, Clone)]
pub struct ApiState {
    /// The use-cases.
    pub memory: Memory,
    /// The signing key.
    pub tokens: Tokens,
    /// What `/readyz` tells.
    pub readiness: Readiness,
    pub(crate) limits: Arc<Limits>,
    pub(crate) shares: Arc<GymShares>,
    pub(crate) used_assertions: Arc<UsedAssertions>,
    pub(crate) passwords: Arc<Verifier>,
    pub(crate) proxies: Arc<TrustedProxies>,
}

impl ApiState {
    /// A state with fresh rate limits.
    pub fn new(memory: Memory, tokens: Tokens, readiness: Readiness) -> Self {
        Self {
            memory,
            tokens,
            readiness,
            limits: Arc::new(Limits::new()),
            shares: Arc::new(GymShares::new(REQUESTS_PER_MINUTE)),
            used_assertions: Arc::new(UsedAssertions::default()),
            passwords: Arc::new(Verifier::new()),
            proxies: Arc::default(),
        }
    }

    /// Believes these proxies about where requests come from; limits then count the callers and not the proxy.
    #[must_use]
    pub fn behind(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = Arc::new(proxies);
        self
    }

    /// Answers so many requests a minute of one gym's kiosks, and refuses more with 429.
    #[must_use]
    pub fn allowing(mut self, requests_per_minute_per_gym: NonZeroU32) -> Self {
        self.shares = Arc::new(GymShares::new(requests_per_minute_per_gym));
        self
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.memory.clock.now()
    }
}

/// Signs of life that the process notes and `/readyz` tells. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    worker: Arc<Mutex<Option<DateTime<Utc>>>>,
}

impl Readiness {
    /// A process in which no worker was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that a worker of this process looked for jobs at `at`.
    pub fn note_worker(&self, at: DateTime<Utc>) {
        *self.worker.lock().expect("no holder of this lock can panic") = Some(at);
    }

    /// When a worker was last seen, if that is less than two minutes ago.
    pub fn worker_seen(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let seen = *self.worker.lock().expect("no holder of this lock can panic");
        seen.filter(|at| now - *at <= WORKER_SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_worker_is_forgotten_after_two_minutes() {
        let readiness = Readiness::new();
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(readiness.worker_seen(at), None);
        readiness.note_worker(at);
        assert_eq!(readiness.worker_seen(at + TimeDelta::seconds(119)), Some(at));
        assert_eq!(readiness.worker_seen(at + TimeDelta::seconds(121)), None);
    }
}
