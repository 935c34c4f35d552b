//! What one gym may ask for, so that it never takes everything from the others.

use crate::problem::Problem;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jarvis_core::{ErrorCode, GymId};
use jarvis_observe::METRICS;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of one gym's kiosks per minute, unless the operator says otherwise; as many at a burst. Ten kiosks that
/// send every word as an event of its own stay far below.
pub const REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(3_000).expect("3000 is not 0");
/// Requests of one gym's kiosks that are answered at the same time. With the ten connections to the database, nobody
/// then waits for more than a few requests of another gym.
pub(crate) const AT_ONCE: usize = 16;
/// When to try again after too many at the same time, in seconds: such requests take milliseconds.
const SOON: u64 = 1;

/// Counts the requests of each gym.
pub(crate) struct GymShares {
    rate: DefaultKeyedRateLimiter<GymId>,
    clock: DefaultClock,
    /// One entry for each gym whose kiosk showed a valid token.
    room: Mutex<HashMap<GymId, Arc<Semaphore>>>,
}

impl fmt::Debug for GymShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GymShares")
    }
}

/// A place among the requests of a gym, given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    _place: Arc<OwnedSemaphorePermit>,
}

impl GymShares {
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        Self {
            // Monotonic time: a jump of the machine's clock neither locks out nor lets in.
            rate: RateLimiter::keyed(Quota::per_minute(per_minute)),
            clock: DefaultClock::default(),
            room: Mutex::default(),
        }
    }

    /// Counts a request of a gym. 429 when there are too many, a minute or at the same time.
    pub(crate) fn take(&self, gym: GymId) -> Result<Turn, Problem> {
        self.rate.check_key(&gym).map_err(|until| {
            METRICS.http_limited.inc(&["gym_rate"]);
            let wait = until.wait_time_from(self.clock.now());
            Problem::new(ErrorCode::RateLimited).retry_after(wait.as_secs() + 1)
        })?;
        let mut room = self.room.lock().expect("no holder of this lock can panic");
        let room = room
            .entry(gym)
            .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
        let Ok(place) = Arc::clone(room).try_acquire_owned() else {
            METRICS.http_limited.inc(&["gym_at_once"]);
            return Err(Problem::new(ErrorCode::RateLimited).retry_after(SOON));
        };
        Ok(Turn {
            _place: Arc::new(place),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn gym(number: u128) -> GymId {
        GymId::from(Uuid::from_u128(number))
    }

    #[test]
    fn a_gym_that_asks_too_often_waits_and_others_do_not() {
        let shares = GymShares::new(NonZeroU32::new(3).unwrap());
        for _ in 0..3 {
            assert!(shares.take(gym(1)).is_ok());
        }
        let problem = shares.take(gym(1)).unwrap_err();
        assert_eq!(problem.code(), ErrorCode::RateLimited);
        assert!((1..=21).contains(&problem.seconds_to_wait().unwrap()));
        assert!(shares.take(gym(2)).is_ok());
    }

    #[test]
    fn a_gym_that_asks_too_much_at_once_waits_until_a_request_is_answered() {
        let shares = GymShares::new(REQUESTS_PER_MINUTE);
        let mut turns: Vec<Turn> = (0..AT_ONCE).map(|_| shares.take(gym(1)).unwrap()).collect();
        let problem = shares.take(gym(1)).unwrap_err();
        assert_eq!(problem.code(), ErrorCode::RateLimited);
        assert_eq!(problem.seconds_to_wait(), Some(SOON));
        assert!(shares.take(gym(2)).is_ok());
        turns.pop();
        assert!(shares.take(gym(1)).is_ok());
    }
}
