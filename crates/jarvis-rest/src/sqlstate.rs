//! What PostgreSQL refused, as an HTTP answer.

use crate::error::RestError;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use sqlx::postgres::PgDatabaseError;

/// An error of the driver or of the database. `authenticated` when the caller is somebody.
pub fn answer(error: &sqlx::Error, authenticated: bool) -> RestError {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => refused(error, authenticated),
            None => RestError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "PGRST001",
                "Database client error. Retrying the connection.",
            ),
        },
        sqlx::Error::PoolTimedOut => {
            let message = "Timed out acquiring connection from connection pool.";
            RestError::new(StatusCode::GATEWAY_TIMEOUT, "PGRST003", message)
        }
        other => {
            tracing::warn!(error = %other, "the database could not be asked");
            RestError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "PGRST001",
                "Database client error. Retrying the connection.",
            )
        }
    }
}

/// Whether the connection is gone, and nothing was done on it.
pub fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
        _ => false,
    }
}

fn refused(error: &PgDatabaseError, authenticated: bool) -> RestError {
    let code = error.code();
    if code == "PGRST" {
        return raised(error).unwrap_or_else(|unreadable| unreadable);
    }
    let status = status(code, error.message(), authenticated);
    let mut answer = RestError::new(status, code, error.message());
    answer.details = error.detail().map_or(Value::Null, Into::into);
    answer.hint = error.hint().map_or(Value::Null, Into::into);
    if status == StatusCode::UNAUTHORIZED {
        answer
            .headers
            .push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    }
    answer
}

/// The status of a SQLSTATE, as PostgREST documents it (references/errors).
fn status(code: &str, message: &str, authenticated: bool) -> StatusCode {
    let number = match code {
        "23503" | "23505" => 409,
        "25006" => 405,
        "21000" if message.ends_with("requires a WHERE clause") => 400,
        "21000" | "53400" | "42P17" => 500,
        "22023" if message.starts_with("role") && message.ends_with("does not exist") => 401,
        "57P01" => 503,
        "P0001" => 400,
        "42883" if message.starts_with("function xmlagg(") => 406,
        "42883" | "42P01" => 404,
        "42501" if authenticated => 403,
        "42501" => 401,
        _ => match &code[..2.min(code.len())] {
            "08" | "53" => 503,
            "09" | "25" | "2D" | "38" | "39" | "3B" | "40" | "54" | "55" | "57" | "58" | "F0" | "HV"
            | "P0" | "XX" => 500,
            "0L" | "0P" | "28" => 403,
            "PT" => code[2..].parse().unwrap_or(500),
            _ => 400,
        },
    };
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// `raise sqlstate 'PGRST'` lets a function say the whole answer, as JSON in MESSAGE and DETAIL.
fn raised(error: &PgDatabaseError) -> Result<RestError, RestError> {
    let unreadable = |details: String, hint: &str| {
        let message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error";
        let error = RestError::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRST121", message);
        error.details(details).hint(hint)
    };
    let in_message = "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'.";
    let in_detail = "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.";
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let said = || -> Option<(Value, String, String)> {
        let value: Value = serde_json::from_str(error.message()).ok()?;
        let (code, message) = (text(&value, "code")?, text(&value, "message")?);
        Some((value, code, message))
    };
    let (value, code, message) = said().ok_or_else(|| {
        unreadable(
            format!("Invalid JSON value for MESSAGE: '{}'", error.message()),
            in_message,
        )
    })?;
    let detail = error
        .detail()
        .ok_or_else(|| unreadable("DETAIL is missing in the RAISE statement".to_owned(), in_detail))?;
    let wrong_detail = || unreadable(format!("Invalid JSON value for DETAIL: '{detail}'"), in_detail);
    let parsed: Value = serde_json::from_str(detail).map_err(|_| wrong_detail())?;
    let number = parsed
        .get("status")
        .and_then(Value::as_u64)
        .and_then(|number| u16::try_from(number).ok());
    let status = number
        .and_then(|number| StatusCode::from_u16(number).ok())
        .ok_or_else(wrong_detail)?;
    let headers = parsed
        .get("headers")
        .and_then(Value::as_object)
        .ok_or_else(wrong_detail)?;
    let mut answer = RestError::new(status, &code, message);
    answer.details = text(&value, "details").map_or(Value::Null, Value::String);
    answer.hint = text(&value, "hint").map_or(Value::Null, Value::String);
    for (name, value) in headers {
        let name = HeaderName::try_from(name.as_str());
        let value = value.as_str().map(HeaderValue::try_from);
        if let (Ok(name), Some(Ok(value))) = (name, value) {
            answer.headers.push((name, value));
        }
    }
    Ok(answer)
}
