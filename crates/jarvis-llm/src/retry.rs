//! When to ask again, and how long to wait first: the rules of the official clients.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How long to wait where the provider does not say.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The wait before the first retry; it doubles from try to try.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Backoff {
    /// 0.5 s, doubled up to 8 s.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(8),
        }
    }
}

impl Backoff {
    /// The wait before retry number `retry` (from 0), shortened by up to a quarter; `jitter` is in `[0, 1)`.
    pub(crate) fn wait(&self, retry: u32, jitter: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2_u32.saturating_pow(retry))
            .min(self.longest);
        doubled.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }
}

/// The wait the provider asks for: `retry-after-ms`, else `retry-after` in seconds or as a date.
pub(crate) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str, unit: f64| {
        let amount: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        let seconds = amount * unit;
        // Too large for a Duration still means "long", not "unknown".
        (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    };
    number("retry-after-ms", 0.001)
        .or_else(|| number(RETRY_AFTER.as_str(), 1.0))
        .or_else(|| wait_until_date(headers))
}

/// A date is measured against the provider's own `date` header, so that no local clock takes part.
fn wait_until_date(headers: &HeaderMap) -> Option<Duration> {
    let date = |value: &str| DateTime::parse_from_rfc2822(value.trim()).ok();
    let until = date(headers.get(RETRY_AFTER)?.to_str().ok()?)?;
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    (until - now).to_std().ok().filter(|wait| !wait.is_zero())
}

/// Whether a failed status is worth another try. `x-should-retry` decides where the provider sends it.
pub(crate) fn status_is_retryable(status: StatusCode, headers: &HeaderMap) -> bool {
    match headers
        .get("x-should-retry")
        .and_then(|value| value.to_str().ok())
    {
        Some("true") => true,
        Some("false") => false,
        _ => matches!(status.as_u16(), 408 | 409 | 429) || status.is_server_error(),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn milliseconds_win_over_seconds_and_seconds_over_a_guess() {
        let ms = Duration::from_millis;
        assert_eq!(
            asked_wait(&headers(&[("retry-after-ms", "250"), ("retry-after", "9")])),
            Some(ms(250))
        );
        assert_eq!(asked_wait(&headers(&[("retry-after", "1.5")])), Some(ms(1500)));
        assert_eq!(
            asked_wait(&headers(&[("retry-after-ms", "soon"), ("retry-after", "2")])),
            Some(ms(2000))
        );
        assert_eq!(asked_wait(&headers(&[("retry-after", "-3")])), None);
        assert_eq!(asked_wait(&headers(&[("retry-after", "NaN")])), None);
        assert_eq!(
            asked_wait(&headers(&[("retry-after", "1e300")])),
            Some(Duration::MAX)
        );
        assert_eq!(asked_wait(&headers(&[])), None);
    }

    #[test]
    fn a_date_is_measured_by_the_providers_clock() {
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        let until = ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT");
        assert_eq!(
            asked_wait(&headers(&[date, until])),
            Some(Duration::from_secs(30))
        );
        assert_eq!(asked_wait(&headers(&[until])), None);
        assert_eq!(
            asked_wait(&headers(&[
                date,
                ("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT")
            ])),
            None
        );
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_chance_only_shortens_it() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..6).map(|retry| backoff.wait(retry, 0.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000]);
        assert_eq!(backoff.wait(0, 1.0).as_millis(), 375);
        assert_eq!(backoff.wait(u32::MAX, 0.0), backoff.longest);
    }

    #[test]
    fn the_provider_decides_before_the_status_does() {
        let retryable =
            |status, pairs: &[_]| status_is_retryable(StatusCode::from_u16(status).unwrap(), &headers(pairs));
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            assert!(retryable(status, &[]), "{status}");
            assert!(!retryable(status, &[("x-should-retry", "false")]), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 422] {
            assert!(!retryable(status, &[]), "{status}");
            assert!(retryable(status, &[("x-should-retry", "true")]), "{status}");
        }
    }
}
