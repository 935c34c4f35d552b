//! What every request passes on its way in and out: an id, a language, one log line, problems, headers.

use crate::problem::{self, Problem};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use jarvis_core::clock::SharedClock;
use jarvis_core::{Actor, Language};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken over from the caller.
const MAX_REQUEST_ID: usize = 128;
/// Nothing of ours is for caches, frames, scripts or other sites' referrers.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

/// Where the extractor that finds out who calls tells the log line.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActorSlot(Arc<OnceLock<Actor>>);

impl ActorSlot {
    /// Remembers who called; the first answer stays.
    pub(crate) fn set(&self, actor: Actor) {
        let _first_stays = self.0.set(actor);
    }
}

/// The language of messages for a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageLanguage(pub(crate) Language);

/// The outermost layer.
pub(crate) async fn edge(State(clock): State<SharedClock>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id =
        request_id(request.headers()).unwrap_or_else(|| jarvis_core::ids::uuid_v7(clock.now()).to_string());
    let language = language_of(request.headers());
    let actor = ActorSlot::default();
    let method = request.method().clone();
    // The template, never the path itself: a query may hold what a member said.
    let route = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(actor.clone());
    request.extensions_mut().insert(MessageLanguage(language));

    let mut response = next.run(request).await;
    let problem = problem_of(&response);
    if let Some(problem) = &problem {
        response = render(problem, language, &id, response);
    }
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }

    let line = Line {
        method: &method,
        route: route.as_ref().map_or("-", MatchedPath::as_str),
        status: response.status().as_u16(),
        ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        request_id: &id,
        actor: actor.0.get().map(ToString::to_string).unwrap_or_default(),
    };
    log(&line, problem.as_ref());
    response
}

/// What the log says of a request.
struct Line<'a> {
    method: &'a Method,
    route: &'a str,
    status: u16,
    ms: u64,
    request_id: &'a str,
    actor: String,
}

fn log(line: &Line<'_>, problem: Option<&Problem>) {
    let Line {
        method,
        route,
        status,
        ms,
        request_id,
        actor,
    } = line;
    let code = problem.map(|p| p.code().as_str()).unwrap_or_default();
    if *status >= 500 {
        let cause = problem.and_then(Problem::cause).unwrap_or_default();
        tracing::error!(%method, route, status, ms, request_id, actor, code, cause, "request failed");
    } else {
        tracing::info!(%method, route, status, ms, request_id, actor, code, "request");
    }
}

/// The problem a response carries; a bare error of the framework is one too. Errors that bring their own JSON
/// (`/readyz`) stay as they are.
fn problem_of(response: &Response) -> Option<Problem> {
    if let Some(problem) = response.extensions().get::<Problem>() {
        return Some(problem.clone());
    }
    let status = response.status();
    let own_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    ((status.is_client_error() || status.is_server_error()) && !own_json).then(|| Problem::of_status(status))
}

fn render(problem: &Problem, language: Language, id: &str, bare: Response) -> Response {
    let body = serde_json::to_vec(&problem.body(language, id)).expect("a problem has text keys only");
    let (mut parts, _) = bare.into_parts();
    parts.status = problem.status();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(problem::CONTENT_TYPE),
    );
    parts.headers.insert(
        header::CONTENT_LANGUAGE,
        HeaderValue::from_static(language.as_str()),
    );
    parts
        .headers
        .append(header::VARY, HeaderValue::from_static("accept-language"));
    if let Some(seconds) = problem.seconds_to_wait() {
        parts
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Response::from_parts(parts, Body::from(body))
}

/// The caller's own id of the request, when it is short and harmless in a log.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let harmless = id
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    (harmless && (1..=MAX_REQUEST_ID).contains(&id.len())).then(|| id.to_owned())
}

/// French or English, whichever the caller prefers (RFC 9110, 12.5.4); French when they say nothing.
pub(crate) fn language_of(headers: &HeaderMap) -> Language {
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let mut best = None;
    for range in accepted.split(',') {
        let mut parts = range.split(';');
        let Ok(language) = parts.next().unwrap_or_default().trim().parse::<Language>() else {
            continue;
        };
        let quality = parts
            .find_map(|p| p.trim().strip_prefix("q=")?.parse::<f32>().ok())
            .unwrap_or(1.0);
        let readable = matches!(language, Language::Fr | Language::En);
        if readable && quality > 0.0 && best.is_none_or(|(q, _)| quality > q) {
            best = Some((quality, language));
        }
    }
    match best {
        Some((_, language)) => language,
        // Somebody who asks for German reads English rather than French.
        None if accepted.trim().is_empty() || accepted.trim() == "*" => Language::Fr,
        None => Language::En,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(accepted: &'static str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accepted));
        language_of(&headers)
    }

    #[test]
    fn the_preferred_language_wins_and_french_is_the_default() {
        assert_eq!(language_of(&HeaderMap::new()), Language::Fr);
        assert_eq!(asking("*"), Language::Fr);
        assert_eq!(asking("en-GB,en;q=0.9"), Language::En);
        assert_eq!(asking("en;q=0.3, fr-FR;q=0.8"), Language::Fr);
        assert_eq!(asking("fr;q=0, en"), Language::En);
        assert_eq!(asking("de-DE"), Language::En);
        assert_eq!(asking(";;q=x,,"), Language::En);
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("trace-1:a.b"));
        assert_eq!(request_id(&headers).as_deref(), Some("trace-1:a.b"));
        for bad in ["", "a b", "a\tb", "é", &"x".repeat(129)] {
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert_eq!(request_id(&headers), None, "{bad:?}");
        }
    }
}
