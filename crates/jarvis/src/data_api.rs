//! The data API inside the server: `/rest/v1` over schema `public`, behind our keys and tokens.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures_util::future::BoxFuture;
use jarvis_api::keys::{Admitted, Gatekeeper, Refusal};
use jarvis_api::realtime::{Rows, Table, Unread};
use jarvis_core::clock::SharedClock;
use jarvis_rest::{Gate, Identity, Rest, RestError, Settings, StartError};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Where it is.
const PREFIX: &str = "/rest/v1";
/// What is exposed. Schemas `jarvis` and `auth` never are.
const SCHEMA: &str = "public";
/// How long a statement may take, as those of the API; a setting of the role wins.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);
/// Vectors can be turned back into text: they are never part of `*`.
const PRIVATE_TYPES: [&str; 3] = ["vector", "halfvec", "sparsevec"];

/// How much the data API may take.
#[derive(Debug, Clone, clap::Args)]
pub struct DataApi {
    /// Connections to the database that the data API has for itself
    #[arg(
        id = "data_api_connections",
        long = "data-api-connections",
        env = "JARVIS_DATA_API_CONNECTIONS",
        default_value_t = Self::default().connections,
        value_name = "NUMBER"
    )]
    pub connections: NonZeroU32,
    /// The most rows of an answer of the data API
    #[arg(
        id = "data_api_max_rows",
        long = "data-api-max-rows",
        env = "JARVIS_DATA_API_MAX_ROWS",
        default_value_t = Self::default().max_rows,
        value_name = "NUMBER"
    )]
    pub max_rows: NonZeroU32,
}

impl Default for DataApi {
    fn default() -> Self {
        Self {
            connections: NonZeroU32::new(10).expect("10 is not 0"),
            max_rows: NonZeroU32::new(1_000).expect("1000 is not 0"),
        }
    }
}

struct Keys(Arc<Gatekeeper>);

impl Gate for Keys {
    fn admit<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Identity, RestError>> {
        Box::pin(async move { self.0.admit(headers).await.map(identity).map_err(refused) })
    }
}

fn identity(admitted: Admitted) -> Identity {
    Identity {
        anonymous: admitted.role == "anon",
        role: admitted.role.to_owned(),
        claims: admitted.claims,
    }
}

/// Reads changed rows for whoever listens to them, with exactly the rights that they have here.
pub struct AsListener(pub Rest);

impl Rows for AsListener {
    fn tables(&self) -> BTreeSet<String> {
        self.0.tables(SCHEMA).into_iter().collect()
    }

    fn table(&self, name: &str) -> Option<Table> {
        let columns = self.0.table(SCHEMA, name)?.columns;
        let columns = columns
            .into_iter()
            .map(|column| (column.name, in_short(&column.shown)));
        Some(Table {
            columns: columns.collect(),
        })
    }

    fn read<'a>(
        &'a self,
        who: &'a Admitted,
        table: &'a str,
        query: &'a [(String, String)],
    ) -> BoxFuture<'a, Result<Vec<Value>, Unread>> {
        Box::pin(async move {
            let pairs = query
                .iter()
                .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
            let query = pairs.collect::<Vec<_>>().join("&");
            let body = self
                .0
                .read_as(&identity(who.clone()), &escaped(table), &query)
                .await
                .map_err(|error| {
                    if error.status.is_server_error() {
                        Unread::Unavailable
                    } else {
                        Unread::Refused(error.message.clone())
                    }
                })?;
            serde_json::from_slice(&body).map_err(|_| Unread::Unavailable)
        })
    }
}

/// For a query or a path: everything but letters and digits by its bytes.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() {
            all.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

/// A type as PostgreSQL names it inside, and Supabase's clients read it: `int4`, `_text`.
fn in_short(shown: &str) -> String {
    if let Some(element) = shown.strip_suffix("[]") {
        return format!("_{}", in_short(element));
    }
    match shown {
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "boolean" => "bool",
        "character varying" => "varchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    }
    .to_owned()
}

/// In the words that clients of Supabase know.
fn refused(refusal: Refusal) -> RestError {
    let words = refusal.to_string();
    match refusal {
        Refusal::Missing => RestError::token("JARVIS401", &words)
            .hint("Send an API key in the header `apikey`; `jarvis keys` prints them."),
        Refusal::UnknownKey => RestError::token("JARVIS401", &words)
            .hint("Check the key for its end, and whether it is revoked: `jarvis keys list`."),
        Refusal::Invalid => RestError::token("PGRST301", "No suitable key or wrong key type")
            .hint("Sign in again; a kiosk's token is not for the data API."),
        Refusal::Expired => RestError::token("PGRST303", &words),
        Refusal::Unavailable => RestError::new(StatusCode::SERVICE_UNAVAILABLE, "PGRST000", words),
    }
}

/// Reads the schema, with a pool of its own, so that the data API cannot starve the rest.
pub async fn start(
    settings: &DataApi,
    url: &SecretString,
    keys: Arc<Gatekeeper>,
    clock: SharedClock,
) -> Result<Rest, StartError> {
    let rest = Settings {
        schemas: vec![SCHEMA.to_owned()],
        extra_search_path: vec![SCHEMA.to_owned(), "extensions".to_owned()],
        max_rows: Some(i64::from(settings.max_rows.get())),
        statement_timeout: Some(STATEMENT_TIMEOUT),
        private_types: PRIVATE_TYPES.map(str::to_owned).to_vec(),
        ..Settings::default()
    };
    let gate: Arc<dyn Gate> = Arc::new(Keys(keys));
    Rest::start_behind(
        Some(gate),
        url.expose_secret(),
        rest,
        settings.connections.get(),
        clock,
    )
    .await
}

/// Its routes, and those of Supabase that have nothing here.
pub fn router(rest: &Rest) -> Router {
    rest.router_at(PREFIX)
        .route("/storage/v1/{*path}", any(nothing_here))
        .route("/functions/v1/{*path}", any(nothing_here))
}

async fn nothing_here(request: Request) -> Response {
    let body = serde_json::json!({
        "statusCode": "501",
        "error": "not_implemented",
        "message": "JARVIS has no such service",
        "hint": "Keep using your provider's, or do it in your own server: the data API is at /rest/v1.",
    });
    let mut response = (StatusCode::NOT_IMPLEMENTED, axum::Json(body)).into_response();
    if request.headers().contains_key(header::ORIGIN) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}
