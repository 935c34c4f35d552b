//! `/realtime/v1`: broadcasts between the people of one gym, and changes of tables, in the words of Phoenix, as Supabase's
//! clients speak them.
//!
//! `frame` reads and writes messages, `rights` says whose channel it is, `rooms` who listens where, `connection` is the
//! life of one WebSocket, `send` takes broadcasts over HTTP, `changes` tells what happened to rows. Nothing is stored, and
//! other processes hear no broadcast.

mod changes;
mod connection;
mod frame;
mod rights;
mod rooms;
mod send;

use crate::keys::{Gatekeeper, Refusal};
use crate::query;
use crate::state::ApiState;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use changes::Listeners;
pub use changes::{Rows, Table, Unread};
use connection::Connection;
use frame::Version;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jarvis_core::GymId;
use rooms::Rooms;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

/// The most channels of a connection.
pub const CHANNELS: usize = 100;
/// The largest message, in bytes. One of up to four times as much is still read, to be told so.
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// The most messages of a connection per second, and of a gym over HTTP; as many at a burst.
pub const MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");
/// The most messages that wait for a connection to read them.
pub const QUEUE: usize = 64;

/// A connection's place among those that the server has; given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Slot {
    _place: Arc<OwnedSemaphorePermit>,
}

impl Slot {
    /// Holds a place until it is dropped.
    pub fn new(place: OwnedSemaphorePermit) -> Self {
        Self {
            _place: Arc::new(place),
        }
    }
}

/// Everything that connections share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Realtime(Arc<Shared>);

struct Shared {
    state: ApiState,
    keys: Arc<Gatekeeper>,
    rooms: Rooms,
    listeners: Listeners,
    places: Arc<Semaphore>,
    over_http: DefaultKeyedRateLimiter<GymId>,
    next: AtomicU64,
    stop: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Realtime")
    }
}

impl Realtime {
    /// Serves until `stop`. At most `connections` at a time. Changed rows are read by `rows`, once [`Realtime::follow`] runs.
    pub fn new(
        state: ApiState,
        keys: Arc<Gatekeeper>,
        rows: Arc<dyn Rows>,
        connections: usize,
        stop: CancellationToken,
    ) -> Self {
        let listeners = Listeners::new(state.memory.db.clone(), rows, state.memory.clock.clone());
        Self(Arc::new(Shared {
            listeners,
            state,
            keys,
            rooms: Rooms::default(),
            places: Arc::new(Semaphore::new(connections)),
            over_http: RateLimiter::keyed(Quota::per_second(MESSAGES_PER_SECOND)),
            next: AtomicU64::new(0),
            stop,
        }))
    }

    /// Hears of changes in the database and tells them, until `stop`.
    pub async fn follow(self) {
        let following = Box::pin(self.0.listeners.follow());
        self.0.stop.run_until_cancelled(following).await;
    }

    /// Its routes, from the root.
    pub fn router(self) -> Router {
        let routes = Router::new()
            .route("/websocket", get(connect))
            .route("/api/broadcast", post(send::several))
            .route("/api/broadcast/{topic}/events/{event}", post(send::one))
            .route("/{*path}", any(nothing_here))
            // Pages of any origin may call; what they may do depends on the person alone.
            .layer(
                CorsLayer::new()
                    .allow_origin(Any)
                    .allow_methods([Method::POST])
                    .allow_headers(AllowHeaders::mirror_request()),
            );
        Router::new().nest("/realtime/v1", routes).with_state(self)
    }
}

/// An answer over HTTP, as Supabase's clients read it.
fn answer(status: StatusCode, message: &(impl ToString + ?Sized)) -> Response {
    (status, Json(json!({"message": message.to_string()}))).into_response()
}

fn refused(refusal: Refusal) -> Response {
    let status = match refusal {
        Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNAUTHORIZED,
    };
    answer(status, &refusal)
}

async fn nothing_here() -> Response {
    answer(
        StatusCode::NOT_FOUND,
        "JARVIS offers /realtime/v1/websocket and POST /realtime/v1/api/broadcast",
    )
}

/// `GET /realtime/v1/websocket?apikey=…&vsn=…`
async fn connect(
    State(realtime): State<Realtime>,
    RawQuery(query): RawQuery,
    slot: Option<Extension<Slot>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(pairs) = query::pairs(query.as_deref().unwrap_or_default()) else {
        return answer(StatusCode::BAD_REQUEST, "the query cannot be read");
    };
    let given = |name: &str| {
        pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    };
    let Some(version) = Version::named(given("vsn")) else {
        return answer(StatusCode::BAD_REQUEST, "vsn: 1.0.0 or 2.0.0");
    };
    // Browsers cannot send headers with a WebSocket, so that the key stands in the address.
    let key = given("apikey").or_else(|| headers.get("apikey")?.to_str().ok());
    let Some(key) = key.map(SecretString::from) else {
        return refused(Refusal::Missing);
    };
    if let Err(refusal) = realtime.0.keys.admit_key(key.expose_secret()).await {
        return refused(refusal);
    }
    let Ok(place) = Arc::clone(&realtime.0.places).try_acquire_owned() else {
        return answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "ConnectionRateLimitReached: too many connections",
        );
    };
    let id = realtime.0.next.fetch_add(1, Ordering::Relaxed);
    upgrade
        .max_message_size(4 * MESSAGE_BYTES)
        .max_frame_size(4 * MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            let _held = (place, slot);
            Box::pin(Connection::new(id, realtime, version, key, socket).run()).await;
        })
}
