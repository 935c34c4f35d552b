//! A local server that speaks `chat/completions`, `responses`, `embeddings` and `models` like OpenAI, for tests and
//! for development without a key. Same request, same answer. It checks what it is asked, and what it is told to
//! answer, against the strict schema of the request, and it fails on demand ([`Demand`]).
//!
//! Its vectors come from a hash of the text: equal texts have equal vectors and nothing else about them means
//! anything. They must never serve a search.

mod chat;
mod demand;
mod embeddings;
mod invent;
mod models;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::registry::ModelRegistry;

pub use demand::Demand;

const LARGEST_BODY_BYTES: usize = 8 * 1024 * 1024;

/// How the fake behaves from its start.
#[derive(Debug, Clone)]
pub struct FakeOptions {
    /// The key it wants; `None` takes any, and none.
    pub api_key: Option<SecretString>,
    /// The models it serves.
    pub registry: ModelRegistry,
    /// What it says in `created`, in seconds since 1970.
    pub unix_time: i64,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for FakeOptions {
    fn default() -> Self {
        Self {
            api_key: None,
            registry: ModelRegistry::defaults(),
            unix_time: 1_790_000_000,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

/// What the fake says next for a schema.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This value; the fake answers 500 when it does not fit the schema of the request.
    Json(Value),
    /// This text as it is, JSON or not, fitting or not.
    Raw(String),
    /// A refusal with this text.
    Refusal(String),
    /// The beginning of an answer, cut at the limit of tokens.
    CutShort,
    /// Nothing: the content filter took it.
    Filtered,
    /// This value, in a reply that does not say what it cost.
    WithoutUsage(Value),
}

/// What goes wrong with the next request, whichever it is.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// Answer this HTTP status instead of the real answer.
    pub status: Option<u16>,
    /// The `error.code` of that answer.
    pub code: Option<String>,
    /// Headers of that answer.
    pub headers: Vec<(String, String)>,
    /// Answer this text with status 200 instead of the real answer, whatever it is.
    pub text: Option<String>,
    /// Wait this long first.
    pub delay: Duration,
}

impl Fault {
    /// An error with this HTTP status.
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// A real answer, this much later.
    pub fn delay(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// A success with this text, JSON or not.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// Adds an `error.code`.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A request the fake received, faulty ones included.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRequest {
    /// Such as `/v1/embeddings`.
    pub path: String,
    /// The body; `null` when it was not JSON.
    pub body: Value,
}

/// A running fake; it stops when dropped.
pub struct FakeOpenAi {
    address: SocketAddr,
    world: Arc<World>,
    server: JoinHandle<io::Result<()>>,
}

impl fmt::Debug for FakeOpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeOpenAi")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl FakeOpenAi {
    /// Starts to listen and serve.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(options: FakeOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let world = Arc::new(World {
            options,
            memory: Mutex::new(Memory::default()),
        });
        let router = router(Arc::clone(&world));
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self {
            address,
            world,
            server,
        })
    }

    /// Serves until it is dropped, or until the server ends by itself.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn serve(mut self) -> io::Result<()> {
        (&mut self.server).await.map_err(io::Error::other)?
    }

    /// The base URL for a client, with `/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Queues an answer for requests with this schema name. Without one, the fake invents a fitting value.
    pub fn answer(&self, schema_name: &str, answer: Answer) {
        self.world
            .memory()
            .answers
            .entry(schema_name.to_owned())
            .or_default()
            .push_back(answer);
    }

    /// Queues a fault; each is used once, in order.
    pub fn fault(&self, fault: Fault) {
        self.world.memory().faults.push_back(fault);
    }

    /// From now on every request meets this fault, after the queued ones; `None` ends it.
    pub fn always(&self, fault: Option<Fault>) {
        self.world.memory().standing = fault;
    }

    /// Everything received so far.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.world.memory().requests.clone()
    }
}

impl Drop for FakeOpenAi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What the handlers share.
struct World {
    options: FakeOptions,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    answers: HashMap<String, VecDeque<Answer>>,
    faults: VecDeque<Fault>,
    standing: Option<Fault>,
    requests: Vec<RecordedRequest>,
    /// Beginnings of prompts that a provider would have in its cache by now.
    cached_prompts: HashSet<String>,
}

impl World {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(serve))
        .route("/v1/responses", post(serve))
        .route("/v1/embeddings", post(serve))
        .route("/v1/models", get(list_models))
        .route("/v1/models/{id}", get(show_model))
        .fallback(async || ApiError::new(404, "unknown_url", "no such endpoint").into_response())
        .layer(DefaultBodyLimit::max(LARGEST_BODY_BYTES))
        .with_state(world)
}

async fn list_models(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    allowed(&world, &headers).map_or_else(IntoResponse::into_response, |()| {
        Json(models::list(&world)).into_response()
    })
}

async fn show_model(State(world): State<Arc<World>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    allowed(&world, &headers)
        .and_then(|()| models::show(&world, &id))
        .map_or_else(IntoResponse::into_response, |model| Json(model).into_response())
}

async fn serve(State(world): State<Arc<World>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut body: Option<Value> = serde_json::from_slice(&body).ok();
    let (number, fault) = record(&world, uri.path(), body.as_ref());
    let demanded = match Demand::read(&headers, body.as_mut()) {
        Ok(demanded) => demanded,
        Err(error) => return error.into_response(),
    };
    let fault = fault.or_else(|| demanded.and_then(Demand::fault));
    let mut response = match fault {
        Some(fault) => {
            tokio::time::sleep(fault.delay).await;
            fault_response(&fault)
        }
        None => None,
    }
    .unwrap_or_else(|| {
        reply(&world, uri.path(), &headers, body, demanded)
            .map_or_else(IntoResponse::into_response, |value| Json(value).into_response())
    });
    response.headers_mut().insert("x-request-id", request_id(number));
    response
}

fn record(world: &World, path: &str, body: Option<&Value>) -> (usize, Option<Fault>) {
    let mut memory = world.memory();
    memory.requests.push(RecordedRequest {
        path: path.to_owned(),
        body: body.cloned().unwrap_or_default(),
    });
    let fault = memory.faults.pop_front().or_else(|| memory.standing.clone());
    (memory.requests.len(), fault)
}

fn request_id(number: usize) -> HeaderValue {
    HeaderValue::from_str(&format!("req_fake_{number}")).expect("letters and digits are a header value")
}

fn fault_response(fault: &Fault) -> Option<Response> {
    if let Some(text) = &fault.text {
        return Some(text.clone().into_response());
    }
    let status = fault.status?;
    let code = fault.code.as_deref().unwrap_or("fault_on_demand");
    let mut response = ApiError::new(status, code, "fault on demand").into_response();
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        } else {
            return Some(ApiError::script("a fault has a header that HTTP cannot carry").into_response());
        }
    }
    Some(response)
}

fn allowed(world: &World, headers: &HeaderMap) -> Result<(), ApiError> {
    if let Some(key) = &world.options.api_key {
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if sent != Some(format!("Bearer {}", key.expose_secret()).as_str()) {
            return Err(ApiError::new(401, "invalid_api_key", "wrong key"));
        }
    }
    Ok(())
}

fn reply(
    world: &World,
    path: &str,
    headers: &HeaderMap,
    body: Option<Value>,
    demanded: Option<Demand>,
) -> Result<Value, ApiError> {
    allowed(world, headers)?;
    let body = body.ok_or_else(|| ApiError::invalid("the body is not JSON"))?;
    if path.ends_with("/embeddings") {
        embeddings::reply(world, &body)
    } else if path.ends_with("/responses") {
        chat::reply_response(world, &body, demanded)
    } else {
        chat::reply(world, &body, demanded)
    }
}

/// An error in the provider's format.
struct ApiError {
    status: u16,
    code: String,
    message: String,
}

impl ApiError {
    fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_value", message)
    }

    /// The test that drives the fake is wrong.
    fn script(message: impl Into<String>) -> Self {
        Self::new(500, "fake_script_error", message)
    }

    fn unknown_model() -> Self {
        Self::new(
            404,
            "model_not_found",
            "the model does not exist for this endpoint",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let class = if status.is_server_error() {
            "server_error"
        } else {
            "invalid_request_error"
        };
        let body = json!({
            "error": { "message": self.message, "type": class, "param": null, "code": self.code }
        });
        (status, Json(body)).into_response()
    }
}
