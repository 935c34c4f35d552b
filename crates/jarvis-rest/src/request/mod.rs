//! What the caller wants, read from method, path, query, headers and body. Nothing here knows a database.

pub mod field;
pub mod filter;
pub mod media;
pub mod order;
pub mod payload;
pub mod preferences;
pub mod query;
pub mod scan;
pub mod select;
pub mod span;

use crate::error::RestError;
use crate::settings::Settings;
use axum::http::{HeaderMap, Method, StatusCode};
use media::MediaType;
use payload::Payload;
use preferences::Preferences;
use query::{Query, decode};
use span::Span;
use std::collections::BTreeMap;

/// What is done, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Rows of a relation.
    Read {
        /// Its name.
        relation: String,
        /// Without a body.
        head: bool,
    },
    /// A change of a relation.
    Write {
        /// Its name.
        relation: String,
        /// Which change.
        change: Change,
    },
    /// A function.
    Call {
        /// Its name.
        function: String,
        /// How.
        how: Invoke,
    },
    /// The description of the schema.
    Describe {
        /// Without a body.
        head: bool,
    },
    /// What may be done with a relation.
    RelationOptions(String),
    /// What may be done with a function.
    FunctionOptions(String),
    /// What may be done with the schema.
    SchemaOptions,
}

/// A change of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// POST
    Insert,
    /// PUT
    Put,
    /// PATCH
    Update,
    /// DELETE
    Delete,
}

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invoke {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
}

/// A request, read.
#[derive(Debug, Clone)]
pub struct ApiRequest {
    /// What is done.
    pub action: Action,
    /// The schema it is about.
    pub schema: String,
    /// Whether the caller chose, or could have chosen, the schema.
    pub chosen_schema: bool,
    /// The query string.
    pub query: Query,
    /// The rows that are wanted of the whole.
    pub span: Span,
    /// The body.
    pub payload: Option<Payload>,
    /// What the caller would like.
    pub preferences: Preferences,
    /// What the answer may be, the most wanted first.
    pub accepts: Vec<MediaType>,
    /// What the body is.
    pub content: MediaType,
    /// For the database: the method, the path, headers and cookies.
    pub told: Told,
}

/// What a function in the database may ask about the request.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Cookies by their names.
    pub cookies: BTreeMap<String, String>,
}

impl ApiRequest {
    /// Reads a request; `path` is without the place where the data API is mounted.
    pub fn read(
        settings: &Settings,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, RestError> {
        let preferences = Preferences::read(headers, settings.tx_end.may_be_chosen());
        let segments: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(segment)
            .collect();
        let (schema, chosen_schema) = schema(settings, method, headers)?;
        let action = action(settings, method, &segments)?;
        let calls_by_get = matches!(
            action,
            Action::Call {
                how: Invoke::Get | Invoke::Head,
                ..
            }
        );
        let query = Query::parse(query.unwrap_or_default(), calls_by_get)?;
        let span = top_span(&action, method, &query, headers)?;
        let content = header(headers, "content-type").map_or(MediaType::Json, MediaType::parse);
        let payload = read_payload(&action, body, &content, &query)?;
        Ok(Self {
            action,
            schema,
            chosen_schema,
            query,
            span,
            payload,
            preferences,
            accepts: MediaType::accepted(header(headers, "accept")),
            content,
            told: told(method, path, headers),
        })
    }
}

fn segment(part: &str) -> String {
    // In a path a plus is a plus.
    decode(
        &part
            .replace('+', "%2B")
            .replace('&', "%26")
            .replace(';', "%3B")
            .replace('=', "%3D"),
    )
    .into_iter()
    .next()
    .map(|(name, _)| name)
    .unwrap_or_default()
}

/// A header as text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
}

fn schema(settings: &Settings, method: &Method, headers: &HeaderMap) -> Result<(String, bool), RestError> {
    let writes = [Method::POST, Method::PATCH, Method::PUT, Method::DELETE].contains(method);
    let name = if writes {
        "content-profile"
    } else {
        "accept-profile"
    };
    match header(headers, name) {
        None => Ok((settings.schemas[0].clone(), settings.schemas.len() > 1)),
        Some(wanted) if settings.schemas.iter().any(|schema| schema == wanted) => {
            Ok((wanted.to_owned(), true))
        }
        Some(wanted) => {
            let hint = format!(
                "Only the following schemas are exposed: {}",
                settings.schemas.join(", ")
            );
            let error = RestError::new(
                StatusCode::NOT_ACCEPTABLE,
                "PGRST106",
                format!("Invalid schema: {wanted}"),
            );
            Err(error.hint(hint))
        }
    }
}

fn action(settings: &Settings, method: &Method, segments: &[String]) -> Result<Action, RestError> {
    let unsupported = || {
        RestError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST117",
            format!("Unsupported HTTP method: {method}"),
        )
    };
    let call = |function: &str| {
        let function = function.to_owned();
        match method.as_str() {
            "GET" => Ok(Action::Call {
                function,
                how: Invoke::Get,
            }),
            "HEAD" => Ok(Action::Call {
                function,
                how: Invoke::Head,
            }),
            "POST" => Ok(Action::Call {
                function,
                how: Invoke::Post,
            }),
            "OPTIONS" => Ok(Action::FunctionOptions(function)),
            other => {
                let message = format!("Cannot use the {other} method on RPC");
                Err(RestError::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "PGRST101",
                    message,
                ))
            }
        }
    };
    match segments {
        [] => match (method.as_str(), &settings.root_function) {
            (_, Some(function)) => call(function),
            ("GET", None) => Ok(Action::Describe { head: false }),
            ("HEAD", None) => Ok(Action::Describe { head: true }),
            ("OPTIONS", None) => Ok(Action::SchemaOptions),
            _ => Err(unsupported()),
        },
        [rpc, function] if rpc == "rpc" => call(function),
        [relation] => {
            let relation = relation.clone();
            let change = |change| {
                Ok(Action::Write {
                    relation: relation.clone(),
                    change,
                })
            };
            match method.as_str() {
                "GET" => Ok(Action::Read {
                    relation,
                    head: false,
                }),
                "HEAD" => Ok(Action::Read { relation, head: true }),
                "POST" => change(Change::Insert),
                "PUT" => change(Change::Put),
                "PATCH" => change(Change::Update),
                "DELETE" => change(Change::Delete),
                "OPTIONS" => Ok(Action::RelationOptions(relation)),
                _ => Err(unsupported()),
            }
        }
        _ => Err(RestError::new(
            StatusCode::NOT_FOUND,
            "PGRST125",
            "Invalid path specified in request URL",
        )),
    }
}

fn top_span(action: &Action, method: &Method, query: &Query, headers: &HeaderMap) -> Result<Span, RestError> {
    let asked = query.spans.get(&Vec::new()).copied().unwrap_or(Span::ALL);
    let ranged = if *method == Method::GET {
        header(headers, "range")
    } else {
        None
    };
    let span = asked.both(ranged)?;
    if matches!(
        action,
        Action::Write {
            change: Change::Put,
            ..
        }
    ) && span != Span::ALL
    {
        let message = "limit/offset querystring parameters are not allowed for PUT";
        return Err(RestError::bad("PGRST114", message));
    }
    Ok(span)
}

fn read_payload(
    action: &Action,
    body: &[u8],
    content: &MediaType,
    query: &Query,
) -> Result<Option<Payload>, RestError> {
    let columns = query.columns.as_ref();
    match action {
        Action::Write {
            change: Change::Delete,
            ..
        } => Ok(None),
        Action::Write {
            change: Change::Put, ..
        } => Payload::read(body, content, None, false).map(Some),
        Action::Write { .. } => Payload::read(body, content, columns, false).map(Some),
        Action::Call {
            how: Invoke::Post, ..
        } => Payload::read(body, content, columns, true).map(Some),
        _ => Ok(None),
    }
}

fn told(method: &Method, path: &str, headers: &HeaderMap) -> Told {
    let lossy = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let cookies = headers
        .get_all("cookie")
        .iter()
        .map(lossy)
        .collect::<Vec<_>>()
        .join(";");
    Told {
        method: method.to_string(),
        path: path.to_owned(),
        headers: headers
            .iter()
            .filter(|(name, _)| name.as_str() != "cookie")
            .map(|(name, value)| (name.as_str().to_owned(), lossy(value)))
            .collect(),
        cookies: cookies
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect(),
    }
}
