//! A client for any server that speaks the OpenAI protocol.

mod chat;
mod embeddings;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::error::{LlmError, LlmErrorKind};
use crate::registry::{ModelEntry, ModelRegistry, Role};
use crate::retry::{self, Backoff};

/// Longer bodies are refused: a full batch of vectors is about 1 MiB.
const LONGEST_BODY_BYTES: usize = 32 * 1024 * 1024;

/// Chance, as a parameter: a number in `[0, 1)` at each call.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// How to reach a provider. Its `Debug` hides the key.
#[derive(Clone)]
pub struct OpenAiConfig {
    /// Up to and including the version, such as `https://api.openai.com/v1` or `http://127.0.0.1:11434/v1`.
    pub base_url: String,
    /// The key, where the server wants one.
    pub api_key: Option<SecretString>,
    /// For one attempt, from the first byte sent to the last received.
    pub timeout: Duration,
    /// For the connection of one attempt.
    pub connect_timeout: Duration,
    /// Tries after the first.
    pub max_retries: u32,
    /// A provider that asks for a longer wait is not waited for; the error carries the wait to the job queue.
    pub longest_wait: Duration,
    /// Waits between tries where the provider does not name one.
    pub backoff: Backoff,
    /// Shortens the waits, so that clients do not come back all at once.
    pub jitter: Jitter,
    /// The most texts in one embeddings request, at least 1; OpenAI takes 2048.
    pub batch_inputs: usize,
    /// A vector with more numbers is a bad reply: nothing could keep it.
    pub most_dimensions: usize,
}

impl OpenAiConfig {
    /// A server without a key: 60 s per attempt, 5 s to connect, 2 retries, 128 texts per batch.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            api_key: None,
            timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(5),
            max_retries: 2,
            longest_wait: Duration::from_mins(2),
            backoff: Backoff::default(),
            jitter: Arc::new(rand::random::<f64>),
            batch_inputs: 128,
            most_dimensions: usize::MAX,
        }
    }

    /// Adds the key.
    #[must_use]
    pub fn with_api_key(mut self, key: SecretString) -> Self {
        self.api_key = Some(key);
        self
    }
}

impl fmt::Debug for OpenAiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiConfig")
            .field("has_api_key", &self.api_key.is_some())
            .field("timeout", &self.timeout)
            .field("max_retries", &self.max_retries)
            .field("batch_inputs", &self.batch_inputs)
            .finish_non_exhaustive()
    }
}

/// The client. Cheap to clone; serves [`crate::Chat`] and [`crate::Embed`].
#[derive(Clone)]
pub struct OpenAi {
    http: Client,
    base: Url,
    config: OpenAiConfig,
    registry: Arc<ModelRegistry>,
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("host", &self.base.host_str())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A successful reply, before anybody looked at its meaning.
struct Received {
    body: Vec<u8>,
    request_id: Option<String>,
    attempts: u32,
}

impl Received {
    /// An error found in this reply.
    fn fails(&self, kind: LlmErrorKind) -> LlmError {
        LlmError {
            request_id: self.request_id.clone(),
            attempts: self.attempts,
            ..LlmError::new(kind)
        }
    }
}

/// One attempt that failed.
struct Failure {
    error: LlmError,
    worth_a_retry: bool,
}

impl OpenAi {
    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    /// [`LlmErrorKind::InvalidRequest`] when the address or the key cannot be used.
    pub fn new(config: OpenAiConfig, registry: Arc<ModelRegistry>) -> Result<Self, LlmError> {
        let invalid = |why| LlmError::new(LlmErrorKind::InvalidRequest(why));
        let base = Url::parse(&config.base_url).map_err(|_| invalid("the base URL is not a URL"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(invalid("the base URL is not an http address"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(invalid(
                "the base URL carries a password; give the key by its own setting",
            ));
        }
        if config.batch_inputs == 0 {
            return Err(invalid("a batch must hold at least one text"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &config.api_key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
                .map_err(|_| invalid("the key has characters that a header cannot carry"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = Client::builder()
            .default_headers(headers)
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            // A redirect would carry what a member said to a host nobody agreed to.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| invalid("the HTTP client could not be built"))?;
        Ok(Self {
            http,
            base,
            config,
            registry,
        })
    }

    fn model(&self, role: Role) -> Result<&ModelEntry, LlmError> {
        self.registry
            .find_model(role)
            .ok_or_else(|| LlmError::new(LlmErrorKind::NoModel { role: role.name() }))
    }

    /// Posts to `base/segments…`, with retries.
    async fn post(&self, segments: &[&str], body: &Value) -> Result<Received, LlmError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| LlmError::new(LlmErrorKind::InvalidRequest("the base URL has no path")))?
            .pop_if_empty()
            .extend(segments);
        let payload = body.to_string();
        let mut attempt = 0;
        loop {
            let sent = self.http.post(url.clone()).body(payload.clone()).send().await;
            let failure = match receive(sent).await {
                Ok(received) => {
                    return Ok(Received {
                        attempts: attempt + 1,
                        ..received
                    });
                }
                Err(failure) => failure,
            };
            let error = LlmError {
                attempts: attempt + 1,
                ..failure.error
            };
            let too_long = error
                .retry_after
                .is_some_and(|wait| wait > self.config.longest_wait);
            if !failure.worth_a_retry || too_long || attempt >= self.config.max_retries {
                return Err(error);
            }
            let wait = error
                .retry_after
                .unwrap_or_else(|| self.config.backoff.wait(attempt, (self.config.jitter)()));
            tracing::warn!(
                endpoint = segments.last().copied(),
                reason = error.kind.code(),
                attempt = error.attempts,
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                request_id = error.request_id.as_deref(),
                "model provider failed, trying again"
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

async fn receive(sent: Result<Response, reqwest::Error>) -> Result<Received, Failure> {
    let response = sent.map_err(|error| transport_failure(&error))?;
    let status = response.status();
    let headers = response.headers().clone();
    let request_id = read_request_id(&headers);
    let body = read_body(response).await.map_err(|mut failure| {
        failure.error.request_id.clone_from(&request_id);
        failure
    })?;
    if status.is_success() {
        return Ok(Received {
            body,
            request_id,
            attempts: 0,
        });
    }
    Err(status_failure(status, &headers, &body, request_id))
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| transport_failure(&error))?
    {
        if body.len() + chunk.len() > LONGEST_BODY_BYTES {
            let error = LlmError::new(LlmErrorKind::BadReply("the body is too long"));
            return Err(Failure {
                error,
                worth_a_retry: false,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error of the HTTP client is dropped, because it prints the address, which may be private.
fn transport_failure(error: &reqwest::Error) -> Failure {
    let kind = if error.is_timeout() {
        LlmErrorKind::Timeout
    } else if error.is_builder() {
        LlmErrorKind::InvalidRequest("the HTTP request could not be built")
    } else {
        LlmErrorKind::Connection
    };
    Failure {
        worth_a_retry: kind.is_retryable(),
        error: LlmError::new(kind),
    }
}

fn status_failure(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    request_id: Option<String>,
) -> Failure {
    let code = wire::error_code(body);
    let out_of_money = matches!(
        code.as_deref(),
        Some("insufficient_quota" | "billing_not_active" | "billing_hard_limit_reached")
    );
    let worth_a_retry = !out_of_money && retry::status_is_retryable(status, headers);
    let kind = match status.as_u16() {
        _ if out_of_money => LlmErrorKind::QuotaExhausted,
        429 => LlmErrorKind::RateLimited,
        401 | 403 => LlmErrorKind::Unauthorized {
            status: status.as_u16(),
        },
        408 | 409 | 500..=599 => LlmErrorKind::Unavailable {
            status: status.as_u16(),
        },
        other => LlmErrorKind::Rejected {
            status: other,
            code,
            retryable: worth_a_retry,
        },
    };
    let retry_after = retry::asked_wait(headers).filter(|_| kind.is_retryable());
    Failure {
        error: LlmError {
            retry_after,
            request_id,
            ..LlmError::new(kind)
        },
        worth_a_retry,
    }
}

/// An id is short and plain, or it is not repeated.
fn read_request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!id.is_empty() && id.len() <= 128 && id.chars().all(plain)).then(|| id.to_owned())
}
