//! From what came of it to the answer.

use crate::cache::{SchemaCache, Table};
use crate::error::RestError;
use crate::plan::{Doing, Plan, table};
use crate::request::media::MediaType;
use crate::request::preferences::{Preferences, Resolution, Returned};
use crate::request::query::escape;
use crate::request::span::content_range;
use crate::request::{Action, ApiRequest, Change, Invoke};
use crate::run::Outcome;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use std::convert::Infallible;

/// The answer to a plan that ran.
pub fn answer(plan: &Plan, request: &ApiRequest, outcome: Outcome) -> Result<Response, RestError> {
    let mut headers = HeaderMap::new();
    let mut status = StatusCode::OK;
    let explained = matches!(plan.media, MediaType::Plan(_));
    match &plan.doing {
        _ if explained => {}
        Doing::Reading => {
            status = ranged(request, &outcome, &mut headers)?;
            let query = &request.query.canonical;
            let place = format!(
                "/{}{}{query}",
                escape(&plan.subject.name),
                if query.is_empty() { "" } else { "?" }
            );
            put(&mut headers, header::CONTENT_LOCATION, &place);
        }
        Doing::Calling(call) => {
            status = ranged(request, &outcome, &mut headers)?;
            if call.routine.void() {
                status = StatusCode::NO_CONTENT;
            }
        }
        Doing::Changing(changing) => {
            status = changed(
                changing.change,
                request,
                &outcome,
                &mut headers,
                &plan.subject.name,
            );
        }
    }
    if let Some(applied) = applied(plan, request).applied() {
        put(
            &mut headers,
            HeaderName::from_static("preference-applied"),
            &applied,
        );
    }
    let silent = match &plan.doing {
        _ if explained => false,
        Doing::Changing(_) => !request.preferences.wants_rows(),
        Doing::Calling(call) => call.routine.void(),
        Doing::Reading => false,
    };
    if !silent {
        put(&mut headers, header::CONTENT_TYPE, &plan.media.content_type());
        if request.chosen_schema {
            put(
                &mut headers,
                HeaderName::from_static("content-profile"),
                &request.schema,
            );
        }
    }
    let status = overridden(status, &mut headers, &outcome)?;
    if !headers.contains_key(header::VARY) {
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Prefer, Range"));
    }
    let body = match (plan.head, silent) {
        (true, _) => unknown(),
        (_, true) => Body::empty(),
        _ => Body::from(outcome.body),
    };
    Ok((status, headers, body).into_response())
}

/// A body of unknown length: HEAD does not know what GET would send.
fn unknown() -> Body {
    Body::from_stream(stream::empty::<Result<Vec<u8>, Infallible>>())
}

/// The root does not tell of the schema.
pub fn described_nowhere() -> RestError {
    RestError::new(
        StatusCode::NOT_FOUND,
        "PGRST126",
        "Root endpoint metadata is disabled",
    )
}

/// The description of the schema.
pub fn described(request: &ApiRequest, head: bool, document: &Value) -> Response {
    let mut headers = HeaderMap::new();
    put(
        &mut headers,
        header::CONTENT_TYPE,
        &MediaType::OpenApi.content_type(),
    );
    if request.chosen_schema {
        put(
            &mut headers,
            HeaderName::from_static("content-profile"),
            &request.schema,
        );
    }
    // Whose rights decide is told by the token.
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization"));
    let body = if head {
        unknown()
    } else {
        Body::from(document.to_string())
    };
    (StatusCode::OK, headers, body).into_response()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value).or_else(|_| HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}

fn ranged(request: &ApiRequest, outcome: &Outcome, headers: &mut HeaderMap) -> Result<StatusCode, RestError> {
    let first = request.span.start;
    let last = first.saturating_add(outcome.page).saturating_sub(1);
    put(
        headers,
        header::CONTENT_RANGE,
        &content_range(first, last, outcome.total),
    );
    match outcome.total {
        Some(total) if first > total => {
            let mut error = RestError::range(format!(
                "An offset of {first} was requested, but there are only {total} rows."
            ));
            error.headers.push((
                header::CONTENT_RANGE,
                HeaderValue::from_str(&format!("*/{total}")).expect("digits are fit for a header"),
            ));
            Err(error)
        }
        Some(total) if outcome.page < total => Ok(StatusCode::PARTIAL_CONTENT),
        _ => Ok(StatusCode::OK),
    }
}

fn changed(
    change: Change,
    request: &ApiRequest,
    outcome: &Outcome,
    headers: &mut HeaderMap,
    name: &str,
) -> StatusCode {
    let wished = &request.preferences;
    let total = wished.counts().then_some(outcome.page);
    let rows = wished.wants_rows();
    match change {
        Change::Insert => {
            if !outcome.location.is_empty() {
                let pairs = outcome.location.iter().map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    format!("{}={}", escape(key), escape(value))
                });
                let query: Vec<String> = pairs.collect();
                put(
                    headers,
                    header::LOCATION,
                    &format!("/{}?{}", escape(name), query.join("&")),
                );
            }
            put(headers, header::CONTENT_RANGE, &content_range(1, 0, total));
            let merged = wished.resolution == Some(Resolution::Merge) && outcome.inserted.unwrap_or(0) <= 0;
            if merged {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            }
        }
        Change::Put if rows && outcome.inserted.is_some_and(|rows| rows > 0) => StatusCode::CREATED,
        Change::Put | Change::Update | Change::Delete => {
            match change {
                Change::Update => put(
                    headers,
                    header::CONTENT_RANGE,
                    &content_range(0, outcome.page - 1, total),
                ),
                Change::Delete => put(headers, header::CONTENT_RANGE, &content_range(1, 0, total)),
                Change::Put | Change::Insert => {}
            }
            if rows {
                StatusCode::OK
            } else {
                StatusCode::NO_CONTENT
            }
        }
    }
}

/// What of the caller's wishes was heeded.
fn applied(plan: &Plan, request: &ApiRequest) -> Preferences {
    let mut wished = request.preferences.clone();
    let change = match &plan.doing {
        Doing::Changing(changing) => Some(changing),
        _ => None,
    };
    let decides = change.is_some_and(|changing| {
        changing.change == Change::Insert
            && (!changing.primary_key.is_empty() || request.query.on_conflict.is_some())
    });
    if !decides {
        wished.resolution = None;
    }
    if change.is_none() {
        wished.returned = None;
    }
    if !change.is_some_and(|changing| matches!(changing.change, Change::Insert | Change::Update)) {
        wished.missing_default = None;
    }
    let limited = match &plan.doing {
        Doing::Reading => false,
        Doing::Calling(_) => true,
        Doing::Changing(changing) => matches!(changing.change, Change::Update | Change::Delete),
    };
    if !limited {
        wished.max_affected = None;
    }
    if wished.returned == Some(Returned::HeadersOnly) && change.is_none() {
        wished.returned = None;
    }
    wished
}

/// `response.status` and `response.headers`, which a function may set.
fn overridden(
    status: StatusCode,
    headers: &mut HeaderMap,
    outcome: &Outcome,
) -> Result<StatusCode, RestError> {
    let internal =
        |code: &str, message: &str| RestError::new(StatusCode::INTERNAL_SERVER_ERROR, code, message);
    let wrong_headers = || {
        let message = "response.headers guc must be a JSON array composed of objects with a single key and a string value";
        internal("PGRST111", message)
    };
    if let Some(text) = &outcome.headers {
        let all: Vec<serde_json::Map<String, Value>> =
            serde_json::from_str(text).map_err(|_| wrong_headers())?;
        let mut wanted = HeaderMap::new();
        for object in all {
            let mut pairs = object.into_iter();
            let (Some((name, Value::String(value))), None) = (pairs.next(), pairs.next()) else {
                return Err(wrong_headers());
            };
            let name = HeaderName::try_from(name).map_err(|_| wrong_headers())?;
            wanted.append(name, HeaderValue::try_from(value).map_err(|_| wrong_headers())?);
        }
        for name in wanted.keys() {
            headers.remove(name);
        }
        for (name, value) in &wanted {
            headers.append(name, value.clone());
        }
    }
    match &outcome.status {
        None => Ok(status),
        Some(text) => {
            let wrong = || internal("PGRST112", "response.status guc must be a valid status code");
            let number: u16 = text.parse().map_err(|_| wrong())?;
            StatusCode::from_u16(number).map_err(|_| wrong())
        }
    }
}

/// The answer to OPTIONS, and to what needs no statement.
pub fn without_statement(request: &ApiRequest, cache: &SchemaCache) -> Result<Response, RestError> {
    let allowed = match &request.action {
        Action::RelationOptions(relation) => methods(table(cache, &request.schema, relation)?),
        Action::FunctionOptions(function) => {
            let routine = crate::plan::call::find(request, cache, function, Invoke::Head)?;
            if routine.volatile {
                "OPTIONS,POST"
            } else {
                "OPTIONS,GET,HEAD,POST"
            }
            .to_owned()
        }
        Action::SchemaOptions => "OPTIONS,GET,HEAD".to_owned(),
        _ => return Err(described_nowhere()),
    };
    let mut headers = HeaderMap::new();
    put(&mut headers, header::ALLOW, &allowed);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok((StatusCode::OK, headers).into_response())
}

fn methods(table: &Table) -> String {
    let mut all = vec!["OPTIONS,GET,HEAD"];
    if table.insertable {
        all.push("POST");
    }
    if table.insertable && table.updatable && !table.primary_key.is_empty() {
        all.push("PUT");
    }
    if table.updatable {
        all.push("PATCH");
    }
    if table.deletable {
        all.push("DELETE");
    }
    all.join(",")
}
