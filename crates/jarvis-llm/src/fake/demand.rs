//! What a request asks to go wrong with itself: the header `x-fake`, or the end of the model's name after `@`, as in
//! `gpt-6-luna@refusal`, for clients that can set no header.

use super::{ApiError, Fault};
use axum::http::HeaderMap;
use serde_json::Value;
use std::time::Duration;

/// What goes wrong with one request because it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// `400` to `599`: this HTTP status; 429 and 503 with `retry-after: 1`.
    Status(u16),
    /// `quota`: 429 because no money is left, which no repetition mends.
    Quota,
    /// `too-long`: 400, since the question is longer than the model's window.
    TooLong,
    /// `slow` or `slow-N`: the real answer, 30 or N seconds later.
    Slow(u64),
    /// `garbage`: a success that is no JSON.
    Garbage,
    /// `refusal`: the model declines.
    Refusal,
    /// `length`: the answer is cut at the limit of tokens.
    Length,
    /// `filter`: the content filter took the answer.
    Filter,
    /// `not-json`: the model's answer is no JSON.
    NotJson,
    /// `nonsense`: the model's answer is JSON that breaks the schema.
    Nonsense,
    /// `no-usage`: a real answer that does not say what it cost.
    NoUsage,
}

/// The name of the header.
const HEADER: &str = "x-fake";
const USUAL_SLOWNESS: u64 = 30;

impl Demand {
    /// What the request demands; the model's name loses its end.
    pub(super) fn read(headers: &HeaderMap, body: Option<&mut Value>) -> Result<Option<Self>, ApiError> {
        let mut word = headers
            .get(HEADER)
            .map(|value| value.to_str().unwrap_or("?").to_owned());
        if let Some(model) = body.and_then(|body| body.get_mut("model"))
            && let Some((name, end)) = model.as_str().and_then(|model| model.split_once('@'))
        {
            word = word.or_else(|| Some(end.to_owned()));
            *model = Value::String(name.to_owned());
        }
        let Some(word) = word else { return Ok(None) };
        Self::named(&word).map(Some).ok_or_else(|| {
            ApiError::invalid(
                "x-fake is 400 to 599, quota, too-long, slow, slow-SECONDS, garbage, refusal, length, filter, not-json, \
                 nonsense or no-usage",
            )
        })
    }

    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "quota" => Self::Quota,
            "too-long" => Self::TooLong,
            "slow" => Self::Slow(USUAL_SLOWNESS),
            "garbage" => Self::Garbage,
            "refusal" => Self::Refusal,
            "length" => Self::Length,
            "filter" => Self::Filter,
            "not-json" => Self::NotJson,
            "nonsense" => Self::Nonsense,
            "no-usage" => Self::NoUsage,
            _ => match word.strip_prefix("slow-") {
                Some(seconds) => Self::Slow(seconds.parse().ok().filter(|seconds| *seconds <= 600)?),
                None => Self::Status(word.parse().ok().filter(|status| (400..600).contains(status))?),
            },
        })
    }

    /// What fails before the model is asked.
    pub(super) fn fault(self) -> Option<Fault> {
        Some(match self {
            Self::Status(status @ (429 | 503)) => Fault::status(status).with_header("retry-after", "1"),
            Self::Status(status) => Fault::status(status),
            Self::Quota => Fault::status(429).with_code("insufficient_quota"),
            Self::TooLong => Fault::status(400).with_code("context_length_exceeded"),
            Self::Slow(seconds) => Fault::delay(Duration::from_secs(seconds)),
            Self::Garbage => Fault::text("<html><body>Bad gateway</body></html>"),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_is_read_from_the_header_or_the_end_of_the_model_and_nothing_else() {
        let read = |header: Option<&str>, model: &str| {
            let mut headers = HeaderMap::new();
            if let Some(word) = header {
                headers.insert(HEADER, word.parse().unwrap());
            }
            let mut body = serde_json::json!({ "model": model });
            let demanded = Demand::read(&headers, Some(&mut body));
            (demanded.ok(), body["model"].as_str().unwrap().to_owned())
        };
        assert_eq!(read(None, "m"), (Some(None), "m".to_owned()));
        assert_eq!(
            read(None, "m@refusal"),
            (Some(Some(Demand::Refusal)), "m".to_owned())
        );
        assert_eq!(
            read(Some("503"), "m@length"),
            (Some(Some(Demand::Status(503))), "m".to_owned())
        );
        assert_eq!(read(Some("slow-2"), "m").0, Some(Some(Demand::Slow(2))));
        for word in ["200", "600", "slow-", "slow-601", "refuse", ""] {
            assert_eq!(read(Some(word), "m").0, None, "{word}");
        }
    }
}
