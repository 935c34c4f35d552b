//! The table of contents: every endpoint, grouped by who calls.

use crate::edge;
use crate::endpoints::auth::{jwks, sign_in};
use crate::endpoints::embeddings;
use crate::endpoints::facts::{change, forget, of_member, proposals, review};
use crate::endpoints::kiosks::{heartbeat, pair, token};
use crate::endpoints::me;
use crate::endpoints::members::{context, export, recall as member_recall, restriction};
use crate::endpoints::sessions::{close, context as turn_context, events, open, recall, reprocess, show};
use crate::endpoints::system::docs::{self, Pages};
use crate::endpoints::system::openapi_json::{self, Document};
use crate::endpoints::system::{healthz, readyz};
use crate::envelope;
use crate::openapi::{self, Describe};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use jarvis_core::ErrorCode;
use jarvis_core::clock::SharedClock;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// No request takes longer; the slowest, a batch of 8 MiB over a thin line, is far below.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);

/// Every endpoint with its documentation.
fn contents() -> OpenApiRouter<ApiState> {
    // A device that has nothing yet but a code or a key.
    let device = OpenApiRouter::new()
        .routes(routes!(pair::pair_kiosk))
        .routes(routes!(token::issue_kiosk_token));
    // A kiosk, for the member in front of it.
    let kiosk = OpenApiRouter::new()
        .routes(routes!(heartbeat::kiosk_heartbeat))
        .routes(routes!(open::open_session))
        .routes(routes!(events::record_events))
        .routes(routes!(close::close_session))
        .routes(routes!(recall::recall_in_session))
        .routes(routes!(turn_context::context_of_turn));
    // A kiosk or a person.
    let both = OpenApiRouter::new()
        .routes(routes!(me::me))
        .routes(routes!(show::show_session));
    // A person.
    let person = OpenApiRouter::new()
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(
            member_recall::recall_member,
            member_recall::ask_member_memory
        ));
    // Facts: a person reads, a manager writes.
    let facts = OpenApiRouter::new()
        .routes(routes!(of_member::list_facts, of_member::state_fact))
        .routes(routes!(of_member::fact_history))
        .routes(routes!(review::review_facts))
        .routes(routes!(change::correct_fact, forget::forget_fact))
        .routes(routes!(change::confirm_fact))
        .routes(routes!(change::retire_fact))
        .routes(routes!(proposals::list_proposals))
        .routes(routes!(proposals::decide_proposal));
    // A manager of the gym.
    let manager = OpenApiRouter::new()
        .routes(routes!(reprocess::reprocess_session))
        .routes(routes!(context::preview_context))
        .routes(routes!(export::export_member))
        .routes(routes!(
            restriction::restrict_member,
            restriction::lift_restriction
        ));
    // Anybody.
    let documents = OpenApiRouter::new().routes(routes!(openapi_json::openapi_json));
    let root = OpenApiRouter::with_openapi(Describe::openapi())
        .routes(routes!(healthz::healthz))
        .routes(routes!(readyz::readyz))
        .routes(routes!(jwks::jwks))
        .routes(routes!(docs::docs));

    let v1 = device
        .merge(kiosk)
        .merge(both)
        .merge(person)
        .merge(facts)
        .merge(manager)
        .merge(documents);
    root.nest("/api/v1", v1)
}

/// The errors that each endpoint declares, by operation id.
pub(crate) const DECLARED_ERRORS: &[(&str, &[ErrorCode])] = &[
    ("pair_kiosk", pair::ERRORS),
    ("issue_kiosk_token", token::ERRORS),
    ("kiosk_heartbeat", heartbeat::ERRORS),
    ("open_session", open::ERRORS),
    ("record_events", events::ERRORS),
    ("close_session", close::ERRORS),
    ("recall_in_session", recall::ERRORS),
    ("context_of_turn", turn_context::ERRORS),
    ("me", me::ERRORS),
    ("show_session", show::ERRORS),
    ("sign_in", sign_in::ERRORS),
    ("recall_member", member_recall::ERRORS),
    ("ask_member_memory", member_recall::ERRORS),
    ("list_facts", of_member::ERRORS),
    ("state_fact", of_member::STATE_ERRORS),
    ("fact_history", of_member::HISTORY_ERRORS),
    ("review_facts", review::ERRORS),
    ("correct_fact", change::CORRECT_ERRORS),
    ("forget_fact", forget::ERRORS),
    ("confirm_fact", change::ERRORS),
    ("retire_fact", change::ERRORS),
    ("list_proposals", proposals::ERRORS),
    ("decide_proposal", proposals::DECIDE_ERRORS),
    ("reprocess_session", reprocess::ERRORS),
    ("preview_context", context::ERRORS),
    ("export_member", export::ERRORS),
    ("restrict_member", restriction::ERRORS),
    ("lift_restriction", restriction::ERRORS),
    ("openapi_json", openapi_json::ERRORS),
    ("healthz", healthz::ERRORS),
    ("readyz", readyz::ERRORS),
    ("jwks", jwks::ERRORS),
    ("docs", docs::ERRORS),
];

/// The OpenAPI document of everything that [`router`] serves.
pub fn openapi() -> OpenApi {
    let (_, document) = contents().split_for_parts();
    openapi::complete(document)
}

/// Everything under `/api/v1`, its documents, the key set, and the probes. Answers every other path with a problem.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that limits count by address.
pub fn router(state: ApiState) -> Router {
    router_beside(state, Router::new())
}

/// As [`router`], with routes of other surfaces beside ours, behind the same limits, headers and log.
pub fn router_beside(state: ApiState, others: Router) -> Router {
    let (routes, document) = contents().split_for_parts();
    let document = openapi::complete(document);
    let text = document
        .to_pretty_json()
        .expect("an OpenAPI document has text keys only");
    let clock = state.memory.clock.clone();
    routes
        // Until there are pages for people, the front door leads to the documentation.
        .route("/", get(|| async { Redirect::temporary("/api/docs") }))
        // A protocol of somebody else, described by them.
        .route(embeddings::PATH, post(embeddings::embed))
        .merge(others.with_state(()))
        .layer(Extension(Document(text.into())))
        .layer(Extension(Arc::new(Pages::of(&document))))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIMEOUT,
        ))
        .layer(middleware::from_fn(envelope::envelope))
        .layer(middleware::from_fn_with_state(clock, edge::edge))
        .with_state(state)
}

/// What answers connections beyond the most that are served: 503 to everything.
pub fn busy(clock: SharedClock) -> Router {
    Router::new()
        .fallback(|| async { Problem::new(ErrorCode::Overloaded) })
        .layer(middleware::from_fn(close_afterwards))
        .layer(middleware::from_fn_with_state(clock, edge::edge))
}

async fn close_afterwards(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// A defect of ours. The payload is not repeated: nobody knows what it holds.
fn panicked(_payload: Box<dyn Any + Send>) -> Response {
    Problem::new(ErrorCode::Internal).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_leaves_as_a_problem_without_its_words() {
        use axum::body::Body;
        use axum::http::Request;
        use jarvis_core::SystemClock;
        use tower::ServiceExt;
        async fn boom() {
            panic!("mal au genou");
        }
        let clock: jarvis_core::clock::SharedClock = Arc::new(SystemClock);
        let app = Router::<()>::new()
            .route("/boom", axum::routing::get(boom))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(clock, edge::edge));
        let response = app
            .oneshot(Request::get("/boom").body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["code"], "internal");
        assert!(!String::from_utf8_lossy(&bytes).contains("genou"));
    }

    #[tokio::test]
    async fn a_timeout_leaves_as_a_problem_that_says_when_to_try_again() {
        use axum::body::Body;
        use axum::http::Request;
        use jarvis_core::SystemClock;
        use tower::ServiceExt;
        async fn slow() {
            tokio::time::sleep(TIMEOUT).await;
        }
        let clock: jarvis_core::clock::SharedClock = Arc::new(SystemClock);
        let app = Router::<()>::new()
            .route("/slow", axum::routing::get(slow))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::SERVICE_UNAVAILABLE,
                Duration::from_millis(10),
            ))
            .layer(middleware::from_fn_with_state(clock, edge::edge));
        let response = app
            .oneshot(Request::get("/slow").body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
