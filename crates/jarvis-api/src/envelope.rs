//! How large a request may be around its body.

use crate::problem::Problem;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jarvis_core::ErrorCode;

/// The longest path and query, in bytes: a question of 2000 characters of four bytes each, in percent signs, fits.
pub(crate) const MAX_URI: usize = 32 * 1024;
/// The most headers.
pub(crate) const MAX_HEADERS: usize = 100;
/// All header names and values together, in bytes.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Answers a request whose address or headers are too large with a problem. The server in front of this layer reads
/// somewhat more than is allowed here, so that the answer is a problem and not a bare status.
pub(crate) async fn envelope(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(request: &Request) -> Result<(), Problem> {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, str::len);
    if length > MAX_URI {
        return Err(Problem::because(
            ErrorCode::UriTooLong,
            format!("at most {MAX_URI} bytes"),
        ));
    }
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let detail = format!("at most {MAX_HEADERS} headers, {MAX_HEADER_BYTES} bytes in all");
        return Err(Problem::because(ErrorCode::HeadersTooLarge, detail));
    }
    Ok(())
}
