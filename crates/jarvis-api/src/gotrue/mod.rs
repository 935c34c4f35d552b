//! `/auth/v1`: the part of Supabase's GoTrue that its clients use to sign people in, in GoTrue's words.
//!
//! Accounts, passwords and limits are those of the native API; what a person may do stands in `public.users` and in
//! nothing that a token or a client says. Every request shows a key of an application, as it does on Supabase.

mod error;
mod offered;
mod person;
mod session;

use crate::body;
use crate::json;
use crate::keys::{Admitted, Gatekeeper};
use crate::state::ApiState;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use error::GoTrueError;
use jarvis_core::UserId;
use serde_json::{Map, Value};
use std::sync::Arc;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use uuid::Uuid;

/// The largest body: an address, a password, and what somebody says of themselves.
const LIMIT: usize = 16 * 1024;

/// Its routes, from the root; whoever calls is admitted by `keys`.
pub fn router(state: ApiState, keys: Arc<Gatekeeper>) -> Router {
    let routes = Router::new()
        .route("/token", post(session::token))
        .route("/logout", post(session::logout))
        .route("/user", get(person::show).put(person::change))
        .route("/settings", get(offered::settings))
        .route("/health", get(offered::health))
        .route("/signup", post(offered::sign_up))
        .route("/otp", post(offered::otp))
        .route("/magiclink", post(offered::otp))
        .route("/{*path}", any(offered::nothing_here))
        .layer(middleware::from_fn_with_state(keys, admit))
        // Pages of any origin may call; what they may do depends on the key and the person alone.
        .layer(
            CorsLayer::new()
                .allow_origin(Any)
                .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
                .allow_headers(AllowHeaders::mirror_request()),
        );
    Router::new().nest("/auth/v1", routes).with_state(state)
}

async fn admit(
    State(keys): State<Arc<Gatekeeper>>,
    mut request: Request,
    next: Next,
) -> Result<Response, GoTrueError> {
    let admitted = keys.admit(request.headers()).await?;
    request.extensions_mut().insert(admitted);
    let mut response = next.run(request).await;
    // Tokens belong into no cache on the way.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The body, which must be a JSON object; none at all is an empty one.
async fn object(request: Request) -> Result<Map<String, Value>, GoTrueError> {
    let bytes = body::read(request.into_body(), LIMIT).await?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let text = body::text(&bytes)?;
    match json::read(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(GoTrueError::bad_json()),
    }
}

/// A person whose session the token names.
#[derive(Debug, Clone, Copy)]
struct SignedIn {
    user: UserId,
    session: Uuid,
}

impl SignedIn {
    fn of(Extension(admitted): &Extension<Admitted>) -> Result<Self, GoTrueError> {
        let id = |name: &str| admitted.claims.get(name)?.as_str()?.parse::<Uuid>().ok();
        if admitted.role != "authenticated" {
            return Err(GoTrueError::not_signed_in());
        }
        let user = id("sub").ok_or_else(GoTrueError::not_signed_in)?;
        // A token of the native API, or of the project this came from, has no session here.
        let session = id("session_id").ok_or_else(GoTrueError::session_not_found)?;
        Ok(Self {
            user: user.into(),
            session,
        })
    }
}
