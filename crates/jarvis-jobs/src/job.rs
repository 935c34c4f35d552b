//! What a job is: its kind, its arguments, its limits.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// Number of a job in the queue.
pub type JobId = i64;

/// Most characters kept of an error's reason.
const REASON_CHARS: usize = 500;

/// A kind of job. The type itself is the job's arguments: **identifiers only**, never what a member said.
///
/// A handler may run the same job more than once (a runner can be killed after the work and before the queue knows),
/// so it must be idempotent.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable name, `area.verb_object`; lower-case letters, digits, `_` and `.`, at most 80 characters.
    const KIND: &'static str;
    /// Tries before the job is discarded, 1 to 100. With the default back-off, 20 tries span about 11 hours.
    const MAX_ATTEMPTS: i16 = 20;
    /// Urgency within one gym: smaller goes first.
    const PRIORITY: i16 = 100;
    /// Longest time one try may take; then it is stopped and tried again.
    const TIMEOUT: Duration = Duration::from_mins(5);
    /// Waiting time between tries.
    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(5),
        cap: Duration::from_hours(1),
    };

    /// Jobs of one kind, gym and key are the same job: one waits at most, and one runs at most. At most 300
    /// characters; `None` = every enqueue makes a job of its own.
    fn unique_key(&self) -> Option<String> {
        None
    }

    /// The gym the job works for, `None` for the whole installation.
    fn gym_id(&self) -> Option<Uuid> {
        None
    }
}

/// Exponential back-off: `base · 2^(attempt − 1)`, at most `cap`; half of it fixed, half of it drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Delay after the first failure, before the draw.
    pub base: Duration,
    /// Longest delay, before the draw.
    pub cap: Duration,
}

impl Backoff {
    /// Delay after the failed try number `attempt` (from 1). `chance` in [0, 1) is the draw; the answer lies between
    /// half of the exponential delay and the whole.
    pub fn delay(&self, attempt: u32, chance: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(30);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

/// Why a try failed, and what to do about it. The reason is stored and shown to operators: a stable code or a
/// sentence **without anything a member said**; cut at 500 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Try again: after the back-off of the kind, or after the given time.
    #[error("try again: {reason}")]
    Retry {
        /// Why, redacted.
        reason: String,
        /// Waiting time that replaces the back-off, e.g. from a `Retry-After`.
        after: Option<Duration>,
    },
    /// Something outside is away. Not a failed try: it does not count, however often it happens.
    #[error("wait: {reason}")]
    Wait {
        /// What is away, redacted.
        reason: String,
        /// Until the next try.
        after: Duration,
    },
    /// Never try again: the job goes to the dead letters.
    #[error("failed for good: {reason}")]
    Fail {
        /// Why, redacted.
        reason: String,
    },
}

impl JobError {
    /// Try again after the kind's back-off.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
            reason: reason.into(),
            after: None,
        }
    }

    /// Try again after `after`.
    pub fn retry_after(reason: impl Into<String>, after: Duration) -> Self {
        Self::Retry {
            reason: reason.into(),
            after: Some(after),
        }
    }

    /// Try again after `after`, without counting this try.
    pub fn wait(reason: impl Into<String>, after: Duration) -> Self {
        Self::Wait {
            reason: reason.into(),
            after,
        }
    }

    /// Never try again.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self::Fail {
            reason: reason.into(),
        }
    }
}

/// Cuts a reason to what the table takes; NUL, which PostgreSQL refuses, goes.
pub(crate) fn stored_reason(reason: &str) -> String {
    reason.chars().filter(|c| *c != '\0').take(REASON_CHARS).collect()
}

/// A job about to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub(crate) kind: &'static str,
    pub(crate) unique_key: Option<String>,
    pub(crate) gym_id: Option<Uuid>,
    pub(crate) args: serde_json::Value,
    pub(crate) priority: i16,
    pub(crate) max_attempts: i16,
    pub(crate) run_at: Option<DateTime<Utc>>,
}

impl NewJob {
    /// The job with the limits of its kind, due at once.
    ///
    /// # Errors
    /// The arguments do not serialise.
    pub fn of<J: Job>(job: &J) -> Result<Self, serde_json::Error> {
        Ok(Self {
            kind: J::KIND,
            unique_key: job.unique_key(),
            gym_id: job.gym_id(),
            args: serde_json::to_value(job)?,
            priority: J::PRIORITY,
            max_attempts: J::MAX_ATTEMPTS,
            run_at: None,
        })
    }

    /// Not before this instant.
    #[must_use]
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// Urgency within the gym, other than the kind's.
    #[must_use]
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(2),
        cap: Duration::from_mins(1),
    };

    #[test]
    fn the_delay_doubles_up_to_the_cap() {
        let whole: Vec<u64> = (1..=7).map(|n| BACKOFF.delay(n, 1.0).as_secs()).collect();
        assert_eq!(whole, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(BACKOFF.delay(u32::MAX, 1.0), Duration::from_mins(1));
    }

    #[test]
    fn the_draw_takes_away_at_most_half() {
        assert_eq!(BACKOFF.delay(3, 0.0), Duration::from_secs(4));
        assert_eq!(BACKOFF.delay(3, 0.5), Duration::from_secs(6));
    }

    #[test]
    fn a_reason_is_cut_between_characters_and_loses_nul() {
        let long = format!("é\0{}", "à".repeat(900));
        let kept = stored_reason(&long);
        assert_eq!(kept.chars().count(), 500);
        assert!(kept.starts_with("éà"));
    }
}
