//! What every endpoint may use.

use crate::device::UsedAssertions;
use crate::gym_share::{GymShares, REQUESTS_PER_MINUTE};
use crate::limits::Limits;
use crate::password::Verifier;
use crate::proxies::TrustedProxies;
use crate::readiness::{Pulse, Readiness};
use crate::tokens::Tokens;
use chrono::{DateTime, Utc};
use jarvis_memory::Memory;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Everything the endpoints need. Cheap to clone; clones share limits and readiness.
#[derive(Debug, Clone)]
pub struct ApiState {
    /// The use-cases.
    pub memory: Memory,
    /// The signing key.
    pub tokens: Tokens,
    /// What `/readyz` tells.
    pub readiness: Readiness,
    /// The last look at the database.
    pub pulse: Pulse,
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
            pulse: Pulse::default(),
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
