//! The data API as a part of a router: state, the way of a request, CORS, and hearing when the schema changed.

use crate::cache::{Loaded, Name, Table, load};
use crate::error::RestError;
use crate::openapi;
use crate::plan::Plan;
use crate::plan::negotiate::not_acceptable;
use crate::request::media::MediaType;
use crate::request::{Action, ApiRequest};
use crate::respond;
use crate::run::{self, Rehearsed, rehearse, run};
use crate::settings::{OpenApiMode, Settings};
use crate::token::{Identity, Keys, UnreadableKeys, identify};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::future::BoxFuture;
use jarvis_core::clock::SharedClock;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::fmt::Write as _;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

/// Most bytes of a body.
pub const MOST_BYTES: usize = 16 << 20;
/// How long a request waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where PostgreSQL tells that the schema changed: `notify pgrst, 'reload schema'`.
const CHANNEL: &str = "pgrst";
/// Functions of the database have no use for these, and its log none at all.
const SHOWN_TO_THE_GATE: [&str; 2] = ["apikey", "authorization"];
/// Headers that a script of another origin may read.
const EXPOSED: &str = "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, Range-Unit";

/// Who decides about callers, where the settings do not.
pub trait Gate: Send + Sync + 'static {
    /// Whom these headers stand for, or why they are not believed. The role must be one that the login may become.
    fn admit<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Identity, RestError>>;
}

/// The data API of one database. Cheap to clone.
#[derive(Clone)]
pub struct Rest(Arc<Inner>);

struct Inner {
    pool: PgPool,
    settings: Settings,
    keys: Keys,
    clock: SharedClock,
    gate: Option<Arc<dyn Gate>>,
    /// Read for a moment only; never held across an await.
    loaded: RwLock<Option<Arc<Loaded>>>,
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No schema is exposed.
    #[error("no schema is exposed")]
    NoSchema,
    /// The JWT secret cannot be read.
    #[error(transparent)]
    Keys(#[from] UnreadableKeys),
    /// The database cannot be asked.
    #[error("the database cannot be asked")]
    Database(#[from] sqlx::Error),
}

impl Rest {
    /// Connects as the login role and reads the schema. The login role must be allowed to become the roles of callers.
    pub async fn start(
        url: &str,
        settings: Settings,
        connections: u32,
        clock: SharedClock,
    ) -> Result<Self, StartError> {
        Self::start_behind(None, url, settings, connections, clock).await
    }

    /// As [`Rest::start`]; the gate, where there is one, decides who callers are. What they showed to it goes no further.
    pub async fn start_behind(
        gate: Option<Arc<dyn Gate>>,
        url: &str,
        settings: Settings,
        connections: u32,
        clock: SharedClock,
    ) -> Result<Self, StartError> {
        if settings.schemas.is_empty() {
            return Err(StartError::NoSchema);
        }
        // Whether a connection lives is seen at its BEGIN, which is repeated on another.
        let options = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false);
        let rest = Self(Arc::new(Inner {
            pool: options.connect(url).await?,
            keys: Keys::read(&settings)?,
            settings,
            clock,
            gate,
            loaded: RwLock::new(None),
        }));
        rest.reload().await?;
        Ok(rest)
    }

    /// Reads the schema again.
    pub async fn reload(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.0.pool.acquire().await?;
        let loaded = load(&mut connection, &self.0.settings).await?;
        tracing::info!(
            relations = loaded.cache.tables.len(),
            functions = loaded.cache.routines.len(),
            "the data API knows the schema"
        );
        *self
            .0
            .loaded
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::new(loaded));
        Ok(())
    }

    /// Listens for changes of the schema, for ever. A connection that is lost may have missed one: then it is read again.
    pub async fn follow(self) {
        loop {
            let lost = self.listen().await;
            tracing::warn!(error = ?lost.err(), "the data API does not hear of changes for a moment");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn listen(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.0.pool).await?;
        listener.listen(CHANNEL).await?;
        self.reload().await?;
        while listener.try_recv().await?.is_some() {
            // Of many that came meanwhile one reading is enough.
            while listener.next_buffered().is_some() {}
            self.reload().await?;
        }
        Ok(())
    }

    /// Its routes; mount them where they belong.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/{*path}", any(handle))
            .fallback(handle)
            .with_state(self.clone())
    }

    /// Its routes below a path such as `/rest/v1`; the root answers with and without a slash at its end.
    pub fn router_at(&self, prefix: &str) -> Router {
        let root = Router::new().route("/", any(handle)).with_state(self.clone());
        Router::new()
            .nest(prefix, self.router())
            .nest(&format!("{prefix}/"), root)
    }

    fn loaded(&self) -> Result<Arc<Loaded>, RestError> {
        let loaded = self
            .0
            .loaded
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        loaded.ok_or_else(|| {
            let message = "Could not query the database for the schema cache. Retrying.";
            RestError::new(StatusCode::SERVICE_UNAVAILABLE, "PGRST002", message)
        })
    }

    /// The statements of a request, without running them; none for what needs none.
    ///
    /// # Errors
    /// As the request would be refused.
    pub async fn rehearse(&self, request: Request) -> Result<Vec<Rehearsed>, RestError> {
        let loaded = self.loaded()?;
        let (parts, body) = request.into_parts();
        let now = self.0.clock.now().timestamp();
        let identity = identify(&parts.headers, &self.0.keys, &loaded.settings, now)?;
        let body = read_body(body).await?;
        let request = ApiRequest::read(
            &loaded.settings,
            &parts.method,
            parts.uri.path(),
            parts.uri.query(),
            &parts.headers,
            &body,
        )?;
        let plan = Plan::of(&request, &loaded.cache, &loaded.settings)?;
        Ok(plan.map_or_else(Vec::new, |plan| rehearse(&loaded, &request, &plan, &identity)))
    }

    /// The names of the tables of a schema with a primary key, as they are known now.
    pub fn tables(&self, schema: &str) -> Vec<String> {
        let Ok(loaded) = self.loaded() else {
            return Vec::new();
        };
        let tables = loaded.cache.tables.values();
        tables
            .filter(|table| table.name.schema == schema && !table.is_view && !table.primary_key.is_empty())
            .map(|table| table.name.name.clone())
            .collect()
    }

    /// One of [`Rest::tables`], with the columns that `*` stands for.
    pub fn table(&self, schema: &str, name: &str) -> Option<Table> {
        let loaded = self.loaded().ok()?;
        let mut table = loaded.cache.tables.get(&Name::new(schema, name))?.clone();
        table.columns.retain(|column| !loaded.settings.is_private(column));
        (!table.is_view && !table.primary_key.is_empty()).then_some(table)
    }

    /// What `GET /{table}?{query}` answers to this identity, for somebody in the same process: a JSON array.
    ///
    /// # Errors
    /// As the request would be refused.
    pub async fn read_as(&self, identity: &Identity, table: &str, query: &str) -> Result<Vec<u8>, RestError> {
        let loaded = self.loaded()?;
        let none = HeaderMap::new();
        let request = ApiRequest::read(&loaded.settings, &Method::GET, table, Some(query), &none, &[])?;
        let plan = Plan::of(&request, &loaded.cache, &loaded.settings)?
            .ok_or_else(|| RestError::new(StatusCode::NOT_FOUND, "PGRST205", "no table is named"))?;
        Ok(run(&self.0.pool, &loaded, &request, &plan, identity).await?.body)
    }

    /// The header by which a request is followed, to be given back.
    fn traced(&self, headers: &HeaderMap) -> Option<(HeaderName, HeaderValue)> {
        let loaded = self.loaded().ok();
        let settings = loaded
            .as_ref()
            .map_or(&self.0.settings, |loaded| &loaded.settings);
        let name = HeaderName::try_from(settings.trace_header.as_deref()?).ok()?;
        let value = headers.get(&name)?.clone();
        Some((name, value))
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.0.pool.close().await;
    }
}

async fn handle(State(rest): State<Rest>, request: Request) -> Response {
    let from_page = request.headers().contains_key(header::ORIGIN);
    let cors = Cors::of(&rest, request.headers());
    let traced = rest.traced(request.headers());
    if let (Some(cors), &Method::OPTIONS, Some(_)) = (
        &cors,
        request.method(),
        request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD),
    ) {
        return preflight(cors, request.headers());
    }
    let mut times = Times::default();
    let timing = rest.loaded().is_ok_and(|loaded| loaded.settings.server_timing);
    let mut response = match answer(&rest, request, &mut times).await {
        Ok(mut response) => {
            if timing && let Ok(value) = HeaderValue::from_str(&times.header()) {
                response.headers_mut().insert("server-timing", value);
            }
            response
        }
        Err(error) => error.into_response(),
    };
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    match &cors {
        Some(cors) => cors.admit(response.headers_mut()),
        // What may be done is told to everybody, but not that this page may do it.
        None if from_page => {
            response.headers_mut().remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        }
        None => {}
    }
    if let Some((name, value)) = traced {
        response.headers_mut().insert(name, value);
    }
    response
}

async fn answer(rest: &Rest, request: Request, times: &mut Times) -> Result<Response, RestError> {
    let loaded = rest.loaded()?;
    let (mut parts, body) = request.into_parts();
    let identity = if let Some(gate) = &rest.0.gate {
        let identity = gate.admit(&parts.headers).await?;
        for secret in SHOWN_TO_THE_GATE {
            parts.headers.remove(secret);
        }
        identity
    } else {
        let now = rest.0.clock.now().timestamp();
        identify(&parts.headers, &rest.0.keys, &loaded.settings, now)?
    };
    times.mark("jwt");
    let body = read_body(body).await?;
    let request = ApiRequest::read(
        &loaded.settings,
        &parts.method,
        parts.uri.path(),
        parts.uri.query(),
        &parts.headers,
        &body,
    )?;
    times.mark("parse");
    let plan = Plan::of(&request, &loaded.cache, &loaded.settings)?;
    times.mark("plan");
    let response = match plan {
        None => match request.action {
            Action::Describe { head } => describe(rest, &loaded, &parts, &request, &identity, head).await,
            _ => respond::without_statement(&request, &loaded.cache),
        },
        Some(plan) => {
            let outcome = run(&rest.0.pool, &loaded, &request, &plan, &identity).await?;
            times.mark("transaction");
            respond::answer(&plan, &request, outcome)
        }
    };
    times.mark("response");
    response
}

/// The root: what of the schema this caller may use.
async fn describe(
    rest: &Rest,
    loaded: &Loaded,
    parts: &Parts,
    request: &ApiRequest,
    identity: &Identity,
    head: bool,
) -> Result<Response, RestError> {
    if loaded.settings.openapi_mode == OpenApiMode::Disabled {
        return Err(respond::described_nowhere());
    }
    let made = [MediaType::OpenApi, MediaType::Json, MediaType::Any];
    if !request.accepts.iter().any(|media| made.contains(media)) {
        return Err(not_acceptable(&request.accepts));
    }
    let reach = run::reach(&rest.0.pool, loaded, request, identity).await?;
    let reach = (loaded.settings.openapi_mode == OpenApiMode::FollowPrivileges).then_some(&reach);
    let asked = parts
        .extensions
        .get::<OriginalUri>()
        .map_or(&parts.uri, |uri| &uri.0);
    let document = openapi::document(loaded, &request.schema, reach, asked.path());
    Ok(respond::described(request, head, &document))
}

async fn read_body(body: Body) -> Result<Vec<u8>, RestError> {
    let too_large = |_| {
        let message = format!("The body is larger than {MOST_BYTES} bytes, or was cut off");
        RestError::new(StatusCode::PAYLOAD_TOO_LARGE, "JARVIS413", message)
            .hint("Send the rows in several requests.")
    };
    to_bytes(body, MOST_BYTES)
        .await
        .map(|bytes| bytes.to_vec())
        .map_err(too_large)
}

/// What a page of another origin may do.
struct Cors {
    /// The origin that may send credentials; any may call without them when there is none.
    named: Option<HeaderValue>,
}

impl Cors {
    /// `None` when the request comes from no page, or from one that may not call.
    fn of(rest: &Rest, headers: &HeaderMap) -> Option<Self> {
        let origin = headers.get(header::ORIGIN)?;
        let loaded = rest.loaded().ok();
        let settings = loaded
            .as_ref()
            .map_or(&rest.0.settings, |loaded| &loaded.settings);
        if settings.cors_origins.is_empty() {
            return Some(Self { named: None });
        }
        let known = settings
            .cors_origins
            .iter()
            .any(|known| known.as_bytes() == origin.as_bytes());
        known.then(|| Self {
            named: Some(origin.clone()),
        })
    }

    fn allow(&self, headers: &mut HeaderMap) {
        let any = HeaderValue::from_static("*");
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            self.named.clone().unwrap_or(any),
        );
        if self.named.is_some() {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
            // A cache must not give one page's answer to another.
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
    }

    fn admit(&self, headers: &mut HeaderMap) {
        self.allow(headers);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
    }
}

fn preflight(cors: &Cors, asked: &HeaderMap) -> Response {
    let mut allowed = "Authorization".to_owned();
    if let Some(headers) = asked
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|value| value.to_str().ok())
    {
        for name in headers.split(',') {
            // Writing to a String cannot fail.
            let _ = write!(allowed, ", {}", name.trim());
        }
    }
    allowed.push_str(", Accept, Accept-Language, Content-Language");
    let mut headers = HeaderMap::new();
    cors.allow(&mut headers);
    let methods = "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD";
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(methods),
    );
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    (StatusCode::OK, headers).into_response()
}

/// How long each step took, for `Server-Timing`.
struct Times {
    last: Instant,
    steps: Vec<(&'static str, Duration)>,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            last: Instant::now(),
            steps: Vec::new(),
        }
    }
}

impl Times {
    fn mark(&mut self, step: &'static str) {
        self.steps.push((step, self.last.elapsed()));
        self.last = Instant::now();
    }

    fn header(&self) -> String {
        let steps = self
            .steps
            .iter()
            .map(|(step, time)| format!("{step};dur={:.1}", time.as_secs_f64() * 1000.0));
        steps.collect::<Vec<_>>().join(", ")
    }
}
