//! What every request passes on its way in and out: an id, a language, one log line, problems, headers.

use crate::endpoints::embeddings;
use crate::problem::{self, Problem};
use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use jarvis_core::clock::SharedClock;
use jarvis_core::{Actor, GymId, Language, SessionId};
use jarvis_observe::METRICS;
use jarvis_observe::cost::Bill;
use jarvis_observe::log::millis;
use jarvis_observe::metrics::Held;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use uuid::Uuid;

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

/// Where the extractors that find out who calls, and about what, tell the log line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Noted>);

#[derive(Debug, Default)]
struct Noted {
    actor: OnceLock<Actor>,
    gym: OnceLock<GymId>,
    session: OnceLock<Uuid>,
}

impl Notes {
    /// Remembers who called; the first answer stays.
    pub(crate) fn actor(&self, actor: Actor) {
        let _first_stays = self.0.actor.set(actor);
    }

    /// Remembers the gym of a kiosk. A person can have several.
    pub(crate) fn gym(&self, gym: GymId) {
        let _first_stays = self.0.gym.set(gym);
    }

    /// Remembers which session a path names, if its id is one of ours: another application's can be any text.
    pub(crate) fn session(&self, id: &SessionId) {
        if let Ok(id) = Uuid::parse_str(id.as_str()) {
            let _first_stays = self.0.session.set(id);
        }
    }
}

/// The language of messages for a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageLanguage(pub(crate) Language);

/// The outermost layer.
pub(crate) async fn edge(State(clock): State<SharedClock>, mut request: Request, next: Next) -> Response {
    let id =
        request_id(request.headers()).unwrap_or_else(|| jarvis_core::ids::uuid_v7(clock.now()).to_string());
    let language = language_of(request.headers());
    let as_openai = request.uri().path() == embeddings::PATH;
    let mut line = Line::of(&request, id.clone());
    request.extensions_mut().insert(line.notes.clone());
    request.extensions_mut().insert(MessageLanguage(language));

    let bill = line.bill.clone();
    let mut response = bill.charge(next.run(request)).await;
    let problem = problem_of(&response);
    if let Some(problem) = &problem {
        response = if as_openai {
            render_as_openai(problem, language, response)
        } else {
            render(problem, language, &id, response)
        };
    }
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    line.answered(&response, problem);
    response
}

/// The status that stands in log and metrics for a caller who left before the answer.
const CALLER_LEFT: u16 = 499;

/// What the log says of a request. It is written when it is dropped, so that a request whose caller left, or which was
/// cut off, has its line too.
struct Line {
    method: &'static str,
    route: Option<MatchedPath>,
    request_id: String,
    started: Instant,
    bytes_in: Option<u64>,
    notes: Notes,
    bill: Bill,
    status: u16,
    bytes_out: Option<u64>,
    problem: Option<Problem>,
    _in_flight: Held,
}

impl Line {
    fn of(request: &Request, request_id: String) -> Self {
        Self {
            method: method_name(request.method()),
            // The template, never the path itself: a path or a query may hold what a member said.
            route: request.extensions().get::<MatchedPath>().cloned(),
            request_id,
            started: Instant::now(),
            bytes_in: request.body().size_hint().exact(),
            notes: Notes::default(),
            bill: Bill::default(),
            status: CALLER_LEFT,
            bytes_out: None,
            problem: None,
            _in_flight: METRICS.http_in_flight.hold(&[]),
        }
    }

    fn answered(&mut self, response: &Response, problem: Option<Problem>) {
        self.status = response.status().as_u16();
        self.bytes_out = response.body().size_hint().exact();
        self.problem = problem;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let route = self.route.as_ref().map_or("-", MatchedPath::as_str);
        METRICS
            .http_requests
            .inc(&[self.method, route, status_class(self.status)]);
        METRICS
            .http_request_duration
            .observe_as(&[self.method, route], took);
        write_line(self, route, took);
    }
}

fn write_line(line: &Line, route: &str, took: Duration) {
    let noted = &line.notes.0;
    let cost = line.bill.so_far();
    let problem = line.problem.as_ref();
    macro_rules! say {
        ($level:ident, $message:literal $(, $more:tt)*) => {
            tracing::$level!(
                method = line.method,
                route,
                status = line.status,
                code = problem.map(|p| p.code().as_str()),
                duration_ms = millis(took),
                db_ms = millis(cost.database),
                queries = cost.statements,
                pool_wait_ms = millis(cost.pool_wait),
                request_id = line.request_id,
                actor = noted.actor.get().map(tracing::field::display),
                gym = noted.gym.get().map(tracing::field::display),
                session = noted.session.get().map(tracing::field::display),
                bytes_in = line.bytes_in,
                bytes_out = line.bytes_out,
                model_calls = (cost.model_calls > 0).then_some(cost.model_calls),
                input_tokens = (cost.model_calls > 0).then_some(cost.input_tokens),
                output_tokens = (cost.model_calls > 0).then_some(cost.output_tokens),
                micro_usd = (cost.micro_usd > 0).then_some(cost.micro_usd),
                $($more,)*
                $message
            )
        };
    }
    let cause = problem.and_then(Problem::cause);
    match line.status {
        CALLER_LEFT => say!(info, "the caller left"),
        500.. => say!(error, "request failed", cause),
        // Probes come every second; they are worth a line when they fail.
        _ if matches!(route, "/healthz" | "/readyz") => say!(debug, "request"),
        _ => say!(info, "request"),
    }
}

/// A method is any word the caller likes; those of HTTP have names, others are `other`.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn status_class(status: u16) -> &'static str {
    match status {
        CALLER_LEFT => "499",
        500.. => "5xx",
        400.. => "4xx",
        300.. => "3xx",
        _ => "2xx",
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

/// As programs expect it that were written for OpenAI.
fn render_as_openai(problem: &Problem, language: Language, bare: Response) -> Response {
    let told = problem.body(language, "");
    let body = embeddings::error_body(problem, &told.title, told.detail.as_deref());
    let (mut parts, _) = bare.into_parts();
    parts.status = problem.status();
    parts.headers.remove(header::CONTENT_LENGTH);
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(header::CONTENT_TYPE, json);
    if let Some(seconds) = problem.seconds_to_wait() {
        parts
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Response::from_parts(parts, Body::from(body.to_string()))
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
