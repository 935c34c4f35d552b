//! The body of a change or of a call.

use super::media::MediaType;
use super::query::decode;
use crate::error::RestError;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON, with the names that are in it.
    Json {
        /// As it was sent, or as it was made from CSV or a form.
        text: String,
        /// The names of its columns or arguments.
        keys: BTreeSet<String>,
    },
    /// Arguments of a function from a form.
    Form(Vec<(String, String)>),
    /// The one argument of a function.
    Raw(Vec<u8>),
}

impl Payload {
    /// The names of its columns or arguments.
    pub fn keys(&self) -> BTreeSet<String> {
        match self {
            Self::Json { keys, .. } => keys.clone(),
            Self::Form(pairs) => pairs.iter().map(|(key, _)| key.clone()).collect(),
            Self::Raw(_) => BTreeSet::new(),
        }
    }

    /// Reads a body. `columns` names what is used of it; then the JSON is PostgreSQL's to read.
    pub fn read(
        body: &[u8],
        media: &MediaType,
        columns: Option<&BTreeSet<String>>,
        calls: bool,
    ) -> Result<Self, RestError> {
        match media {
            MediaType::Json => json(body, columns, calls),
            MediaType::Csv => csv(&text(body)?),
            MediaType::Form => Ok(form(&text(body)?, calls)),
            MediaType::Plain | MediaType::Xml | MediaType::Bytes if calls => Ok(Self::Raw(body.to_vec())),
            other => Err(RestError::body(format!(
                "Content-Type not acceptable: {}",
                other.name()
            ))),
        }
    }
}

fn text(body: &[u8]) -> Result<String, RestError> {
    String::from_utf8(body.to_vec()).map_err(|_| RestError::body("The body is not UTF-8"))
}

fn json(body: &[u8], columns: Option<&BTreeSet<String>>, calls: bool) -> Result<Payload, RestError> {
    let text = text(body)?;
    if let Some(columns) = columns {
        return Ok(Payload::Json {
            text,
            keys: columns.clone(),
        });
    }
    let text = if text.is_empty() && calls {
        "{}".to_owned()
    } else {
        text
    };
    let value: Value = serde_json::from_str(&text).map_err(|_| RestError::body("Empty or invalid json"))?;
    match keys_of(&value)? {
        Some(keys) => Ok(Payload::Json { text, keys }),
        None => Ok(Payload::Json {
            text: "[]".to_owned(),
            keys: BTreeSet::new(),
        }),
    }
}

/// The names in an object, or in every object of an array; `None` when there is nothing to take.
fn keys_of(value: &Value) -> Result<Option<BTreeSet<String>>, RestError> {
    let names = |object: &Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
    let uneven = || RestError::body("All object keys must match");
    match value {
        Value::Object(object) => Ok(Some(names(object))),
        Value::Array(rows) => {
            let Some(first) = rows.first() else {
                return Ok(None);
            };
            let first = names(first.as_object().ok_or_else(uneven)?);
            let even = rows
                .iter()
                .all(|row| row.as_object().is_some_and(|row| names(row) == first));
            if even { Ok(Some(first)) } else { Err(uneven()) }
        }
        _ => Ok(None),
    }
}

fn form(text: &str, calls: bool) -> Payload {
    let pairs: Vec<(String, String)> = decode(text)
        .into_iter()
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect();
    if calls {
        return Payload::Form(pairs);
    }
    let object: Map<String, Value> = pairs
        .into_iter()
        .map(|(key, value)| (key, Value::String(value)))
        .collect();
    let keys = object.keys().cloned().collect();
    Payload::Json {
        text: Value::Object(object).to_string(),
        keys,
    }
}

/// RFC 4180 with a first line of names; `NULL` is null.
fn csv(text: &str) -> Result<Payload, RestError> {
    let uneven = || RestError::body("All lines must have same number of fields");
    let mut lines = csv_lines(text).into_iter();
    let names = lines.next().ok_or_else(|| RestError::body("not enough input"))?;
    let mut rows = Vec::new();
    for line in lines {
        if line.len() != names.len() {
            return Err(uneven());
        }
        let cells = line.into_iter().map(|cell| {
            if cell == "NULL" {
                Value::Null
            } else {
                Value::String(cell)
            }
        });
        rows.push(Value::Object(names.iter().cloned().zip(cells).collect()));
    }
    Ok(Payload::Json {
        text: Value::Array(rows).to_string(),
        keys: names.into_iter().collect(),
    })
}

fn csv_lines(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell, mut quoted, mut started) =
        (Vec::new(), Vec::new(), String::new(), false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => line.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => continue,
            '\n' if !quoted => {
                if started {
                    line.push(std::mem::take(&mut cell));
                    lines.push(std::mem::take(&mut line));
                }
                started = false;
                continue;
            }
            other => cell.push(other),
        }
        started = true;
    }
    if started {
        line.push(cell);
        lines.push(line);
    }
    lines
}
