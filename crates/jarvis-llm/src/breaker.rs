//! A circuit breaker: a provider that fails is left alone for a while, and one call then tries whether it is back.

use crate::error::{LlmError, LlmErrorKind};
use crate::seam::{BoxFuture, Chat, Embed, EmbedReply, StructuredReply, StructuredRequest};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// So many failed calls in a row open it; at least 1.
    pub failures: u32,
    /// The first pause; it doubles as long as the tries in between fail.
    pub first_pause: Duration,
    /// The longest pause, also when the provider asks for a longer one.
    pub longest_pause: Duration,
}

impl Default for BreakerSettings {
    /// 3 failures, 5 s, doubled up to 2 minutes.
    fn default() -> Self {
        Self {
            failures: 3,
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_mins(2),
        }
    }
}

/// Where a breaker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// No call passes.
    Open {
        /// Until the next try.
        remaining: Duration,
        /// The stable code of the last failure ([`LlmErrorKind::code`]).
        cause: &'static str,
    },
    /// One call tries whether the provider is back; the others wait.
    HalfOpen {
        /// The stable code of the last failure.
        cause: &'static str,
    },
}

/// The breaker of one provider. Clones are the same breaker. Time is monotonic: clocks that jump do not move it.
#[derive(Clone)]
pub struct Breaker(Arc<Shared>);

/// Hears of every change.
type Watcher = Box<dyn Fn(&BreakerState) + Send + Sync>;

struct Shared {
    settings: BreakerSettings,
    watcher: Option<Watcher>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Failed calls since the last success.
    failures: u32,
    /// Pauses since the last success.
    pauses: u32,
    open_until: Option<Instant>,
    /// A call is under way that tries whether the provider is back.
    trying: bool,
    cause: &'static str,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Breaker({:?})", self.state())
    }
}

/// How long a call waits that came while another one tries.
const WHILE_TRYING: Duration = Duration::from_secs(1);

impl Breaker {
    /// A closed one.
    pub fn new(settings: BreakerSettings) -> Self {
        Self::make(settings, None)
    }

    /// A closed one that tells `watcher` where it stands: now, and whenever a call changes that.
    pub fn watched(
        settings: BreakerSettings,
        watcher: impl Fn(&BreakerState) + Send + Sync + 'static,
    ) -> Self {
        watcher(&BreakerState::Closed);
        Self::make(settings, Some(Box::new(watcher)))
    }

    fn make(settings: BreakerSettings, watcher: Option<Watcher>) -> Self {
        Self(Arc::new(Shared {
            settings,
            watcher,
            inner: Mutex::default(),
        }))
    }

    fn tell(&self) {
        if let Some(watcher) = &self.0.watcher {
            watcher(&self.state());
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // The state is whole after every statement, whoever panicked.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it stands now.
    pub fn state(&self) -> BreakerState {
        let inner = self.inner();
        let Some(until) = inner.open_until else {
            return BreakerState::Closed;
        };
        let remaining = until.saturating_duration_since(Instant::now());
        if inner.trying || remaining.is_zero() {
            BreakerState::HalfOpen { cause: inner.cause }
        } else {
            BreakerState::Open {
                remaining,
                cause: inner.cause,
            }
        }
    }

    /// Lets a call pass, or says how long to wait.
    ///
    /// # Errors
    /// [`LlmErrorKind::CircuitOpen`] with the time to wait in `retry_after`.
    pub fn admit(&self) -> Result<Permit, LlmError> {
        let mut inner = self.inner();
        if let Some(until) = inner.open_until {
            let remaining = until.saturating_duration_since(Instant::now());
            let wait = if inner.trying {
                WHILE_TRYING.max(remaining)
            } else {
                remaining
            };
            if !wait.is_zero() {
                let mut error = LlmError::new(LlmErrorKind::CircuitOpen { cause: inner.cause });
                error.retry_after = Some(wait);
                return Err(error);
            }
            inner.trying = true;
            drop(inner);
            self.tell();
            return Ok(Permit::new(self, true));
        }
        drop(inner);
        Ok(Permit::new(self, false))
    }

    fn succeeded(&self) {
        let mut inner = self.inner();
        if inner.open_until.is_some() {
            tracing::info!("the model provider answers again");
        }
        *inner = Inner::default();
        drop(inner);
        self.tell();
    }

    fn failed(&self, tried: bool, cause: &'static str, asked: Option<Duration>) {
        let settings = &self.0.settings;
        let mut inner = self.inner();
        if tried {
            inner.trying = false;
        }
        inner.failures = inner.failures.saturating_add(1);
        inner.cause = cause;
        // Calls that were under way when it opened do not open it again, nor do they end the try of another.
        let opens = tried || (inner.open_until.is_none() && inner.failures >= settings.failures);
        if !opens {
            return;
        }
        let doubled = settings
            .first_pause
            .saturating_mul(2_u32.saturating_pow(inner.pauses))
            .max(asked.unwrap_or_default())
            .min(settings.longest_pause);
        inner.pauses = inner.pauses.saturating_add(1);
        inner.open_until = Some(Instant::now() + doubled);
        drop(inner);
        self.tell();
        let pause_ms = u64::try_from(doubled.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(cause, pause_ms, "the model provider fails and is left alone");
    }

    /// The call ended by something that says nothing about the provider.
    fn undecided(&self, tried: bool) {
        if tried {
            self.inner().trying = false;
        }
    }
}

/// A call that may be made. Dropped without an answer, as by a deadline, it counts as a failure.
#[derive(Debug)]
pub struct Permit {
    breaker: Breaker,
    /// Whether this call tries if the provider is back.
    tries: bool,
    settled: bool,
}

impl Permit {
    fn new(breaker: &Breaker, tries: bool) -> Self {
        Self {
            breaker: breaker.clone(),
            tries,
            settled: false,
        }
    }

    /// Tells how the call ended.
    pub fn settle<T>(mut self, result: &Result<T, LlmError>) {
        self.settled = true;
        match result {
            Ok(_) => self.breaker.succeeded(),
            Err(error) if error.kind.is_of_the_provider() => {
                self.breaker
                    .failed(self.tries, error.kind.code(), error.retry_after);
            }
            Err(_) => self.breaker.undecided(self.tries),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker
                .failed(self.tries, LlmErrorKind::Timeout.code(), None);
        }
    }
}

/// An [`Embed`] or [`Chat`] behind a breaker.
pub struct Guarded<E> {
    inner: E,
    breaker: Breaker,
}

impl<E> fmt::Debug for Guarded<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guarded({:?})", self.breaker)
    }
}

impl<E> Guarded<E> {
    /// Puts `inner` behind `breaker`.
    pub fn new(inner: E, breaker: Breaker) -> Self {
        Self { inner, breaker }
    }
}

impl<E: Embed> Embed for Guarded<E> {
    fn embed<'a>(&'a self, inputs: &'a [String]) -> BoxFuture<'a, Result<EmbedReply, LlmError>> {
        Box::pin(async move {
            let permit = self.breaker.admit()?;
            let result = self.inner.embed(inputs).await;
            permit.settle(&result);
            result
        })
    }
}

impl<C: Chat> Chat for Guarded<C> {
    fn structured<'a>(
        &'a self,
        request: &'a StructuredRequest,
    ) -> BoxFuture<'a, Result<StructuredReply, LlmError>> {
        Box::pin(async move {
            let permit = self.breaker.admit()?;
            let result = self.inner.structured(request).await;
            permit.settle(&result);
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> Result<(), LlmError> {
        Err(LlmError::new(LlmErrorKind::Connection))
    }

    fn fail(breaker: &Breaker) {
        breaker.admit().unwrap().settle(&down());
    }

    fn wait_of(breaker: &Breaker) -> Duration {
        let error = breaker.admit().unwrap_err();
        assert_eq!(error.kind, LlmErrorKind::CircuitOpen { cause: "connection" });
        error.retry_after.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_closes_when_a_try_succeeds() {
        let breaker = Breaker::new(BreakerSettings::default());
        fail(&breaker);
        fail(&breaker);
        breaker.admit().unwrap().settle(&Ok::<_, LlmError>(()));
        fail(&breaker);
        fail(&breaker);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&breaker);
        assert_eq!(wait_of(&breaker), Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen { cause: "connection" });
        let trying = breaker.admit().unwrap();
        assert_eq!(wait_of(&breaker), WHILE_TRYING);
        trying.settle(&Ok::<_, LlmError>(()));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn its_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let breaker = Breaker::new(BreakerSettings::default());
        (0..3).for_each(|_| fail(&breaker));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let pause = wait_of(&breaker);
            pauses.push(pause.as_secs());
            tokio::time::advance(pause).await;
            fail(&breaker);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 120, 120]);
        tokio::time::advance(Duration::from_mins(2)).await;
        breaker.admit().unwrap().settle(&Ok::<_, LlmError>(()));
        (0..3).for_each(|_| fail(&breaker));
        assert_eq!(wait_of(&breaker), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_counts_as_a_failure_and_never_blocks_the_next_try() {
        let breaker = Breaker::new(BreakerSettings {
            failures: 1,
            ..BreakerSettings::default()
        });
        drop(breaker.admit().unwrap());
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(breaker.admit().unwrap());
        let error = breaker.admit().unwrap_err();
        assert_eq!(error.kind, LlmErrorKind::CircuitOpen { cause: "timeout" });
        assert_eq!(error.retry_after, Some(Duration::from_secs(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_provider_may_ask_for_a_longer_pause_and_a_bad_request_says_nothing_about_it() {
        let breaker = Breaker::new(BreakerSettings {
            failures: 1,
            ..BreakerSettings::default()
        });
        let bad: Result<(), _> = Err(LlmError::new(LlmErrorKind::InvalidRequest("test")));
        breaker.admit().unwrap().settle(&bad);
        assert_eq!(breaker.state(), BreakerState::Closed);
        let mut limited = LlmError::new(LlmErrorKind::RateLimited);
        limited.retry_after = Some(Duration::from_secs(30));
        breaker.admit().unwrap().settle(&Err::<(), _>(limited));
        assert_eq!(
            breaker.admit().unwrap_err().retry_after,
            Some(Duration::from_secs(30))
        );
        tokio::time::advance(Duration::from_secs(30)).await;
        breaker.admit().unwrap().settle(&bad);
        breaker.admit().unwrap().settle(&Ok::<_, LlmError>(()));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_from_before_it_opened_ends_no_try_of_another() {
        let breaker = Breaker::new(BreakerSettings {
            failures: 1,
            ..BreakerSettings::default()
        });
        let [failing, undecided] = [breaker.admit().unwrap(), breaker.admit().unwrap()];
        fail(&breaker);
        tokio::time::advance(Duration::from_secs(5)).await;
        let trying = breaker.admit().unwrap();
        failing.settle(&down());
        assert_eq!(wait_of(&breaker), WHILE_TRYING, "the try is still under way");
        let bad: Result<(), _> = Err(LlmError::new(LlmErrorKind::InvalidRequest("test")));
        undecided.settle(&bad);
        assert_eq!(wait_of(&breaker), WHILE_TRYING, "and no second one begins");
        trying.settle(&down());
        assert_eq!(wait_of(&breaker), Duration::from_secs(10));
    }
}
