//! `jarvis serve-rest`: a data API over any schema.

use crate::failure::{Done, WithHint, WrongUse};
use crate::global::Global;
use crate::output::{Output, talk};
use crate::serving::stop_signal;
use axum::http::{HeaderName, Uri};
use jarvis_core::SystemClock;
use jarvis_rest::settings::proxy;
use jarvis_rest::{ClaimPath, OpenApiMode, Rest, Settings, StartError, TxEnd};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgConnection};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Requests that run when it is told to stop get this long.
const GRACE: Duration = Duration::from_secs(10);
/// A server that is there refuses within this.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Serve a data API in the language of PostgREST over any schema of the PostgreSQL of DATABASE_URL.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The login of DATABASE_URL must be allowed to become the anonymous role and the roles that tokens name, and should inherit
none of them. `notify pgrst, 'reload schema'` makes it read the schema again; settings on the login role such as
`alter role authenticator set pgrst.db_max_rows = '1000'` win over the options here.

Examples:
  DATABASE_URL=postgres://authenticator:…@host/db jarvis serve-rest --schema public --anon-role anon
  curl 'http://127.0.0.1:8788/films?select=title,director:people(name)&year=gte.1990&order=year.desc'")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        env = "JARVIS_REST_LISTEN",
        default_value = "127.0.0.1:8788",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// A schema to expose; the first is the default, others are chosen by Accept-Profile and Content-Profile
    #[arg(long = "schema", required = true, value_name = "NAME")]
    schemas: Vec<String>,
    /// A further schema in which functions, types and operators are found
    #[arg(long = "search-path", value_name = "NAME")]
    search_path: Vec<String>,
    /// The role of callers without a token; without it they are refused
    #[arg(long, value_name = "ROLE")]
    anon_role: Option<String>,
    /// What verifies tokens: a secret of at least 32 characters, or a JWK or a set of them as JSON
    #[arg(
        long,
        env = "JARVIS_REST_JWT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    jwt_secret: Option<SecretString>,
    /// Whom tokens must be for
    #[arg(long, value_name = "NAME")]
    jwt_audience: Option<String>,
    /// Where among a token's claims the role is
    #[arg(long, default_value = "$.role", value_name = "PATH")]
    jwt_role_claim: ClaimPath,
    /// A function that runs before each statement, as SCHEMA.NAME
    #[arg(long, value_name = "FUNCTION")]
    pre_request: Option<String>,
    /// A function that sets settings (`pgrst.…`) whenever the schema is read, as SCHEMA.NAME
    #[arg(long, value_name = "FUNCTION")]
    pre_config: Option<String>,
    /// A function of the first schema that answers at the root
    #[arg(long, value_name = "FUNCTION")]
    root_function: Option<String>,
    /// What the root tells of the schema: follow-privileges, ignore-privileges or disabled
    #[arg(long, default_value = "follow-privileges", value_name = "MODE")]
    openapi_mode: OpenApiMode,
    /// Tell at the root that a token can be shown
    #[arg(long)]
    openapi_security: bool,
    /// Where clients find this server, told at the root, as https://example.org/rest/v1
    #[arg(long, value_name = "URL", value_parser = proxy)]
    openapi_proxy: Option<Uri>,
    /// The most rows of an answer
    #[arg(long, value_name = "NUMBER")]
    max_rows: Option<NonZeroU32>,
    /// Allow sum(), avg(), count(), max() and min() in a selection
    #[arg(long)]
    aggregates: bool,
    /// Show PostgreSQL's plan to those who ask for it
    #[arg(long)]
    plan: bool,
    /// How transactions end: commit, commit-allow-override, rollback or rollback-allow-override
    #[arg(long, default_value = "commit", value_name = "HOW")]
    tx_end: TxEnd,
    /// A setting for the database, as NAME=VALUE
    #[arg(long = "app-setting", value_name = "NAME=VALUE", value_parser = setting)]
    app_settings: Vec<(String, String)>,
    /// Tell in Server-Timing how long each step took
    #[arg(long)]
    server_timing: bool,
    /// Refuse filters that name an embed with a label by its target
    #[arg(long)]
    strict_target_names: bool,
    /// A page's origin that may call with credentials, as https://my.app; without it pages of any origin may call
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    cors_origins: Vec<String>,
    /// A header that is given back as it came, to follow a request through logs
    #[arg(long, value_name = "NAME")]
    trace_header: Option<HeaderName>,
    /// Connections to the database
    #[arg(long, default_value = "10", value_name = "NUMBER")]
    connections: NonZeroU32,
}

/// `name=value`, where the name has a dot: PostgreSQL keeps the others for itself.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if name.contains('.') => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, with a dot in the name, as in app.settings.host=localhost".to_owned()),
    }
}

impl Arguments {
    fn settings(self) -> Result<Settings, WrongUse> {
        let short = |secret: &SecretString| secret.expose_secret().len() < 32;
        if self.jwt_secret.as_ref().is_some_and(short) {
            return Err(WrongUse(
                "the JWT secret is too short; take at least 32 characters".to_owned(),
            ));
        }
        let first = self.schemas[0].clone();
        let function = |name: String| match name.split_once('.') {
            Some((schema, function)) => (schema.to_owned(), function.to_owned()),
            None => (first.clone(), name),
        };
        Ok(Settings {
            schemas: self.schemas,
            extra_search_path: self.search_path,
            anon_role: self.anon_role,
            pre_request: self.pre_request.map(function),
            pre_config: self.pre_config.map(function),
            root_function: self.root_function,
            openapi_mode: self.openapi_mode,
            openapi_security: self.openapi_security,
            openapi_proxy: self.openapi_proxy,
            max_rows: self.max_rows.map(|rows| i64::from(rows.get())),
            aggregates: self.aggregates,
            plan: self.plan,
            tx_end: self.tx_end,
            jwt_secret: self.jwt_secret,
            jwt_audience: self.jwt_audience,
            role_claim: self.jwt_role_claim,
            app_settings: self.app_settings,
            legacy_target_names: !self.strict_target_names,
            server_timing: self.server_timing,
            cors_origins: self.cors_origins,
            trace_header: self.trace_header.map(|name| name.to_string()),
            statement_timeout: None,
            private_types: Vec::new(),
        })
    }
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let Some(url) = global.database_url.clone() else {
        let message =
            "`jarvis serve-rest` needs DATABASE_URL, with a login that may become the callers' roles";
        return Err(WrongUse(message.to_owned()).into());
    };
    let (listen, connections) = (arguments.listen, arguments.connections.get());
    let settings = arguments.settings()?;
    let first_try = tokio::time::timeout(AT_ONCE, PgConnection::connect(url.expose_secret())).await;
    if let Ok(Err(sqlx::Error::Io(error))) = first_try
        && error.kind() == std::io::ErrorKind::ConnectionRefused
    {
        talk("nothing answers where DATABASE_URL points; waiting some seconds for it");
    }
    let rest = Rest::start(url.expose_secret(), settings, connections, Arc::new(SystemClock))
        .await
        .map_err(|error| refused(&error))?;
    let listener = TcpListener::bind(listen).await.map_err(|error| WithHint {
        problem: format!("cannot listen on {listen}: {error}"),
        hint: "choose another address: --listen 127.0.0.1:0".to_owned(),
    })?;
    let base_url = format!("http://{}", listener.local_addr()?);
    out.data(&serde_json::json!({ "url": base_url }), |_| base_url.clone())?;
    talk("interrupt to end");
    let following = tokio::spawn(rest.clone().follow());
    let served = axum::serve(listener, rest.router()).with_graceful_shutdown(async {
        if stop_signal().await.is_err() {
            tracing::error!("signals cannot be caught; it stops");
        }
    });
    let late = async {
        if stop_signal().await.is_ok() {
            tokio::time::sleep(GRACE).await;
        }
    };
    tokio::select! {
        ended = served => ended?,
        () = late => tracing::warn!("requests that still ran were given up"),
    }
    following.abort();
    rest.close().await;
    Ok(Done::Ok)
}

fn refused(error: &StartError) -> anyhow::Error {
    let hint = match error {
        StartError::NoSchema => "name one: --schema public",
        StartError::Keys(_) => {
            "give a text of at least 32 characters, or the key's JSON as its publisher prints it"
        }
        StartError::Database(_) => "check DATABASE_URL: host, user name, password and database",
    };
    let problem = match error {
        StartError::Database(source) => format!("{error}: {source}"),
        other => other.to_string(),
    };
    WithHint {
        problem,
        hint: hint.to_owned(),
    }
    .into()
}
