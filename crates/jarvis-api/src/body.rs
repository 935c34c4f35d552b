//! Reading request bodies: bounded, typed, and never quoted in an error.

use crate::fields::FromFields;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use jarvis_core::ErrorCode;

/// The largest body of a control request, in bytes.
const CONTROL_LIMIT: usize = 64 * 1024;
/// How much of a body that is too large is read and thrown away, so that the caller reads our answer instead of
/// a broken connection.
const DRAIN_LIMIT: usize = 64 * 1024 * 1024;

/// A JSON object that must be there.
pub(crate) struct Input<T>(pub(crate) T);

/// A JSON object, or no body at all.
pub(crate) struct OptionalInput<T>(pub(crate) Option<T>);

impl<S: Send + Sync, T: FromFields> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let is_json = Media::of(request.headers()) == Media::Json;
        let bytes = read(request.into_body(), CONTROL_LIMIT).await?;
        if !is_json {
            return Err(Problem::new(ErrorCode::UnsupportedMediaType));
        }
        parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: FromFields> FromRequest<S> for OptionalInput<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let is_json = Media::of(request.headers()) == Media::Json;
        let bytes = read(request.into_body(), CONTROL_LIMIT).await?;
        if matches!(bytes.trim_ascii(), b"" | b"null") {
            return Ok(Self(None));
        }
        if !is_json {
            return Err(Problem::new(ErrorCode::UnsupportedMediaType));
        }
        parse(&bytes).map(|input| Self(Some(input)))
    }
}

fn parse<T: FromFields>(bytes: &[u8]) -> Result<T, Problem> {
    let value = serde_json::from_str(utf8(bytes)?).map_err(|error| invalid_json(&error))?;
    T::read(value).map_err(|detail| Problem::because(ErrorCode::InvalidRequest, detail))
}

/// The kinds of body that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    NdJson,
    Other,
}

impl Media {
    /// What the header `Content-Type` says.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
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
}

/// The whole body, if it has at most `limit` bytes.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut total = 0_usize;
    while let Some(chunk) = chunks.next().await {
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

/// The bytes as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        Problem::because(
            ErrorCode::InvalidUtf8,
            format!("after byte {}", error.valid_up_to()),
        )
    })
}

/// Where the JSON breaks; the parser's own message could quote the input.
pub(crate) fn invalid_json(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    Problem::because(ErrorCode::InvalidJson, place)
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

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        assert_eq!(read(Body::from("12345"), 5).await.unwrap(), b"12345");
        let problem = read(Body::from("123456"), 5).await.unwrap_err();
        assert_eq!(problem.code(), ErrorCode::PayloadTooLarge);
    }
}
