//! What is exposed, to whom, and how.

use crate::cache::Column;
use crate::claim_path::ClaimPath;
use axum::http::Uri;
use secrecy::SecretString;
use std::time::Duration;

/// How the data API behaves. Settings on the login role (`alter role … set pgrst.db_max_rows = …`) win over these.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// What is exposed; the first is the default. Never empty.
    pub schemas: Vec<String>,
    /// Where else functions, types and operators are looked for.
    pub extra_search_path: Vec<String>,
    /// Who a caller without a token is; nobody when absent.
    pub anon_role: Option<String>,
    /// A function that runs before each statement: schema, name.
    pub pre_request: Option<(String, String)>,
    /// A function that sets settings (`pgrst.…`) whenever the schema is read: schema, name.
    pub pre_config: Option<(String, String)>,
    /// A function that answers at the root.
    pub root_function: Option<String>,
    /// What the root tells of the schema.
    pub openapi_mode: OpenApiMode,
    /// Whether the root tells that a token can be shown.
    pub openapi_security: bool,
    /// Where clients find the data API, when that is not where they ask the root.
    pub openapi_proxy: Option<Uri>,
    /// Most rows of an answer.
    pub max_rows: Option<i64>,
    /// Whether `sum()` and its kin are allowed.
    pub aggregates: bool,
    /// Whether a caller may see PostgreSQL's plan.
    pub plan: bool,
    /// How transactions end.
    pub tx_end: TxEnd,
    /// What verifies tokens: a secret, or a JWK or a set of them as JSON.
    pub jwt_secret: Option<SecretString>,
    /// Whom a token must be for.
    pub jwt_audience: Option<String>,
    /// Where among the claims the role is.
    pub role_claim: ClaimPath,
    /// Settings for the database, such as `app.settings.host`.
    pub app_settings: Vec<(String, String)>,
    /// Whether a filter may name an aliased embed by its target.
    pub legacy_target_names: bool,
    /// Whether `Server-Timing` is told.
    pub server_timing: bool,
    /// Pages of these origins may call with credentials; pages of any origin may call without when there is none.
    pub cors_origins: Vec<String>,
    /// A header that is given back as it came, by which a request is followed through logs.
    pub trace_header: Option<String>,
    /// How long a statement may take, unless the caller's role has a setting of its own.
    pub statement_timeout: Option<Duration>,
    /// Columns of these types are left out of `*`: schema-free names such as `vector`.
    pub private_types: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schemas: vec!["public".to_owned()],
            extra_search_path: vec!["public".to_owned()],
            anon_role: None,
            pre_request: None,
            pre_config: None,
            root_function: None,
            openapi_mode: OpenApiMode::FollowPrivileges,
            openapi_security: false,
            openapi_proxy: None,
            max_rows: None,
            aggregates: false,
            plan: false,
            tx_end: TxEnd::Commit,
            jwt_secret: None,
            jwt_audience: None,
            role_claim: ClaimPath::default(),
            app_settings: Vec::new(),
            legacy_target_names: true,
            server_timing: false,
            cors_origins: Vec::new(),
            trace_header: None,
            statement_timeout: None,
            private_types: Vec::new(),
        }
    }
}

impl Settings {
    /// Whether a column is left out of `*`.
    pub fn is_private(&self, column: &Column) -> bool {
        let plain = column.base.as_str().rsplit('.').next().unwrap_or_default();
        self.private_types.iter().any(|private| private == plain)
    }

    /// Takes over what is set on the login role. An unreadable value changes nothing and is logged.
    pub fn overlay(&mut self, name: &str, value: &str) {
        let switch = |place: &mut bool| match value {
            "true" | "on" | "1" => *place = true,
            "false" | "off" | "0" => *place = false,
            _ => tracing::warn!(setting = name, "the role's setting is not true or false"),
        };
        match name {
            "pgrst.db_plan_enabled" => switch(&mut self.plan),
            "pgrst.db_aggregates_enabled" => switch(&mut self.aggregates),
            "pgrst.server_timing_enabled" => switch(&mut self.server_timing),
            "pgrst.openapi_mode" => match value.parse() {
                Ok(mode) => self.openapi_mode = mode,
                Err(error) => tracing::warn!(setting = name, %error, "the role's setting is unknown"),
            },
            "pgrst.openapi_security_active" => switch(&mut self.openapi_security),
            "pgrst.openapi_server_proxy_uri" => match proxy(value) {
                Ok(uri) => self.openapi_proxy = Some(uri),
                Err(error) => tracing::warn!(setting = name, error, "the role's setting is no address"),
            },
            "pgrst.db_max_rows" => {
                if let Ok(rows) = value.parse() {
                    self.max_rows = Some(rows);
                } else {
                    tracing::warn!(setting = name, "the role's setting is no number");
                }
            }
            "pgrst.server_cors_allowed_origins" => {
                let origins = value
                    .split(',')
                    .map(str::trim)
                    .filter(|origin| !origin.is_empty());
                self.cors_origins = origins.map(str::to_owned).collect();
            }
            "pgrst.server_trace_header" => self.trace_header = (!value.is_empty()).then(|| value.to_owned()),
            "pgrst.jwt_role_claim_key" => match value.parse() {
                Ok(path) => self.role_claim = path,
                Err(error) => tracing::warn!(setting = name, %error, "the role's setting is no path"),
            },
            "pgrst.db_tx_end" => match value.parse() {
                Ok(end) => self.tx_end = end,
                Err(error) => tracing::warn!(setting = name, %error, "the role's setting is unknown"),
            },
            _ => {}
        }
    }
}

/// What the root tells of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenApiMode {
    /// What the caller's role may use.
    FollowPrivileges,
    /// Everything that is exposed.
    IgnorePrivileges,
    /// Nothing.
    Disabled,
}

/// A word that is none of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("say follow-privileges, ignore-privileges or disabled")]
pub struct UnknownOpenApiMode;

impl std::str::FromStr for OpenApiMode {
    type Err = UnknownOpenApiMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "follow-privileges" => Ok(Self::FollowPrivileges),
            "ignore-privileges" => Ok(Self::IgnorePrivileges),
            "disabled" => Ok(Self::Disabled),
            _ => Err(UnknownOpenApiMode),
        }
    }
}

/// An address with scheme and host, as `https://example.org/rest/v1`.
///
/// # Errors
/// What to write instead.
pub fn proxy(text: &str) -> Result<Uri, &'static str> {
    let known = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    text.parse()
        .ok()
        .filter(known)
        .ok_or("write http:// or https://, then the host and the path")
}

/// How transactions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxEnd {
    /// Kept.
    Commit,
    /// Kept unless the caller says `Prefer: tx=rollback`.
    CommitAllowOverride,
    /// Undone.
    Rollback,
    /// Undone unless the caller says `Prefer: tx=commit`.
    RollbackAllowOverride,
}

impl TxEnd {
    /// Whether the caller has a say.
    pub fn may_be_chosen(self) -> bool {
        matches!(self, Self::CommitAllowOverride | Self::RollbackAllowOverride)
    }

    /// Whether it is undone, given the caller's say.
    pub fn undone(self, asked: Option<bool>) -> bool {
        asked.unwrap_or(matches!(self, Self::Rollback | Self::RollbackAllowOverride))
    }
}

/// A word that is none of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("say commit, commit-allow-override, rollback or rollback-allow-override")]
pub struct UnknownTxEnd;

impl std::str::FromStr for TxEnd {
    type Err = UnknownTxEnd;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "commit" => Ok(Self::Commit),
            "commit-allow-override" => Ok(Self::CommitAllowOverride),
            "rollback" => Ok(Self::Rollback),
            "rollback-allow-override" => Ok(Self::RollbackAllowOverride),
            _ => Err(UnknownTxEnd),
        }
    }
}
