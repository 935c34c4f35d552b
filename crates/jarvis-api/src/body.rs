//! Reading request bodies: bounded, typed, and never quoted in an error.

use crate::fields::FromFields;
use crate::json::{self, Broken, Fault};
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use futures_util::StreamExt;
use jarvis_core::ErrorCode;
use std::time::Duration;
use tokio::time::Instant;

/// The largest body of a control request, in bytes.
pub(crate) const CONTROL_LIMIT: usize = 64 * 1024;
/// The largest body of events, in bytes.
pub(crate) const EVENTS_LIMIT: usize = 8 * 1024 * 1024;
/// How much of a body that is too large is read and thrown away, so that the caller reads our answer instead of
/// a broken connection.
const DRAIN_LIMIT: usize = 64 * 1024 * 1024;

/// A body of which nothing arrives for so long is given up.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// A body that has not arrived after so long is given up.
pub(crate) const ARRIVAL: Duration = Duration::from_secs(50);

/// A JSON object that must be there.
pub(crate) struct Input<T>(pub(crate) T);

/// A JSON object, or no body at all.
pub(crate) struct OptionalInput<T>(pub(crate) Option<T>);

impl<S: Send + Sync, T: FromFields> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let media = Media::of(request.headers());
        let bytes = read(request.into_body(), CONTROL_LIMIT).await?;
        media.is_json()?;
        parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: FromFields> FromRequest<S> for OptionalInput<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let media = Media::of(request.headers());
        let bytes = read(request.into_body(), CONTROL_LIMIT).await?;
        if matches!(bytes.trim_ascii(), b"" | b"null") {
            return Ok(Self(None));
        }
        media.is_json()?;
        parse(&bytes).map(|input| Self(Some(input)))
    }
}

fn parse<T: FromFields>(bytes: &[u8]) -> Result<T, Problem> {
    let value = json::read(text(bytes)?).map_err(refused)?;
    T::read(value).map_err(|detail| Problem::because(ErrorCode::InvalidRequest, detail))
}

/// The kinds of body that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    NdJson,
    /// Compressed: nothing of ours is large enough for it, and a small one could unpack to gigabytes.
    Compressed,
    Other,
}

impl Media {
    /// What the headers `Content-Type` and `Content-Encoding` say.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
        if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
            return Self::Compressed;
        }
        let value = headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        let essence = value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Self::Json,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::NdJson,
            other if other.starts_with("application/") && other.ends_with("+json") => Self::Json,
            _ => Self::Other,
        }
    }

    /// Refuses everything but JSON.
    fn is_json(self) -> Result<(), Problem> {
        if self == Self::Json {
            Ok(())
        } else {
            Err(self.unsupported())
        }
    }

    /// The refusal of a kind of body that is not read.
    pub(crate) fn unsupported(self) -> Problem {
        if self == Self::Compressed {
            let detail = "content-encoding: send the body as it is, not compressed";
            return Problem::because(ErrorCode::UnsupportedMediaType, detail);
        }
        Problem::new(ErrorCode::UnsupportedMediaType)
    }
}

/// The whole body, if it has at most `limit` bytes. One that stops arriving is a problem of its own: a thousand of
/// them would hold a thousand connections.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut total = 0_usize;
    let end = Instant::now() + ARRIVAL;
    loop {
        let patience = end.min(Instant::now() + SILENCE);
        let next = tokio::time::timeout_at(patience, chunks.next()).await;
        let Some(chunk) = next.map_err(|_| Problem::new(ErrorCode::RequestTimeout))? else {
            break;
        };
        let chunk = chunk.map_err(|_| {
            Problem::because(ErrorCode::InvalidRequest, "the body ended before it was complete")
        })?;
        total = total.saturating_add(chunk.len());
        if total > DRAIN_LIMIT {
            break;
        }
        if total <= limit {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
    }
    if total <= limit {
        Ok(bytes)
    } else {
        Err(Problem::because(
            ErrorCode::PayloadTooLarge,
            format!("at most {limit} bytes"),
        ))
    }
}

/// The bytes as text, without a byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::because(
            ErrorCode::InvalidUtf8,
            format!("after byte {}", error.valid_up_to()),
        )
    })?;
    Ok(json::without_mark(text))
}

/// Where the JSON breaks and why.
pub(crate) fn refused(broken: Broken) -> Problem {
    let code = if broken.fault == Fault::Nul {
        ErrorCode::InvalidUtf8
    } else {
        ErrorCode::InvalidJson
    };
    Problem::because(code, broken.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn media(value: &'static str) -> Media {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
        Media::of(&headers)
    }

    #[test]
    fn content_types_are_told_apart_without_their_parameters() {
        assert_eq!(media("application/json; charset=utf-8"), Media::Json);
        assert_eq!(media("Application/JSON"), Media::Json);
        assert_eq!(media("application/vnd.kiosk+json"), Media::Json);
        assert_eq!(media("application/x-ndjson"), Media::NdJson);
        assert_eq!(media("text/plain"), Media::Other);
        assert_eq!(Media::of(&HeaderMap::new()), Media::Other);
    }

    #[test]
    fn a_compressed_body_is_not_unpacked() {
        for (encoding, expected) in [
            ("gzip", Media::Compressed),
            ("identity, gzip", Media::Compressed),
            ("br", Media::Compressed),
            ("", Media::Compressed),
            ("Identity", Media::Json),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            assert_eq!(Media::of(&headers), expected, "{encoding:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_arriving_is_given_up() {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
        let stalled = first.chain(futures_util::stream::pending());
        let problem = read(Body::from_stream(stalled), 5).await.unwrap_err();
        assert_eq!(problem.code(), ErrorCode::RequestTimeout);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        assert_eq!(read(Body::from("12345"), 5).await.unwrap(), b"12345");
        let problem = read(Body::from("123456"), 5).await.unwrap_err();
        assert_eq!(problem.code(), ErrorCode::PayloadTooLarge);
    }
}
