//! Calling a function.

use super::change::needed;
use super::tree::{Condition, ReadNode};
use crate::cache::similar::{ANY, NAME, nearest};
use crate::cache::{Argument, Name, Routine, SchemaCache};
use crate::error::RestError;
use crate::request::media::MediaType;
use crate::request::payload::Payload;
use crate::request::{ApiRequest, Invoke};
use axum::http::StatusCode;
use std::collections::BTreeSet;

/// A call.
#[derive(Debug)]
pub struct Call {
    /// Of which function.
    pub routine: Routine,
    /// With what.
    pub arguments: Arguments,
    /// What comes back of its rows.
    pub returning: Vec<String>,
    /// Whether it may write.
    pub writes: bool,
}

/// What a function is called with.
#[derive(Debug)]
pub enum Arguments {
    /// By name: argument, values.
    Named(Vec<(Argument, Vec<String>)>),
    /// By name, from JSON.
    Json(Vec<Argument>, String),
    /// The one argument without a name.
    Only(Argument, Vec<u8>),
}

/// Finds the one function that fits the names of the arguments.
pub fn find<'a>(
    request: &ApiRequest,
    cache: &'a SchemaCache,
    function: &str,
    how: Invoke,
) -> Result<&'a Routine, RestError> {
    let name = Name::new(&request.schema, function);
    let overloads = cache.routines.get(&name).map(Vec::as_slice).unwrap_or_default();
    let keys = keys(request, how);
    let posted = how == Invoke::Post;
    let mut fitting: Vec<&Routine> = overloads
        .iter()
        .filter(|routine| fits(routine, &keys, posted, &request.content))
        .collect();
    if fitting.is_empty() {
        fitting = overloads
            .iter()
            .filter(|routine| posted && takes_body(routine, &request.content))
            .collect();
    }
    match fitting.as_slice() {
        [only] => Ok(only),
        [] => Err(unknown(cache, &name, &keys, posted, &request.content)),
        several => Err(ambiguous(several)),
    }
}

fn keys(request: &ApiRequest, how: Invoke) -> BTreeSet<String> {
    match how {
        Invoke::Get | Invoke::Head => request
            .query
            .arguments
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
        Invoke::Post => request.payload.as_ref().map(Payload::keys).unwrap_or_default(),
    }
}

fn is_raw(content: &MediaType) -> bool {
    matches!(content, MediaType::Plain | MediaType::Xml | MediaType::Bytes)
}

fn fits(routine: &Routine, keys: &BTreeSet<String>, posted: bool, content: &MediaType) -> bool {
    if routine.arguments.is_empty() {
        return keys.is_empty() && !(posted && is_raw(content));
    }
    let known: BTreeSet<&String> = routine.arguments.iter().map(|argument| &argument.name).collect();
    let required = routine.arguments.iter().filter(|argument| argument.required);
    keys.iter().all(|key| known.contains(key))
        && required.into_iter().all(|argument| keys.contains(&argument.name))
}

fn takes_body(routine: &Routine, content: &MediaType) -> bool {
    let [only] = routine.arguments.as_slice() else {
        return false;
    };
    let fitting = match content {
        MediaType::Json => ["json", "jsonb"].contains(&only.shown.as_str()),
        MediaType::Plain => only.shown == "text",
        MediaType::Xml => only.shown == "xml",
        MediaType::Bytes => only.shown == "bytea",
        _ => false,
    };
    only.name.is_empty() && fitting
}

fn unknown(
    cache: &SchemaCache,
    name: &Name,
    keys: &BTreeSet<String>,
    posted: bool,
    content: &MediaType,
) -> RestError {
    let function = format!("{}.{}", name.schema, name.name);
    let given: Vec<&str> = keys.iter().map(String::as_str).collect();
    let list = given.join(", ");
    let raw = posted && is_raw(content);
    let with = |text: String| {
        if given.is_empty() {
            " without parameters".to_owned()
        } else {
            text
        }
    };
    let shown = if raw {
        String::new()
    } else {
        with(format!("({list})"))
    };
    let plural = if given.len() > 1 { "s" } else { "" };
    let named = with(format!(" with parameter{plural} {list}"));
    let searched = match (posted, content) {
        (true, MediaType::Plain) => " with a single unnamed text parameter".to_owned(),
        (true, MediaType::Xml) => " with a single unnamed xml parameter".to_owned(),
        (true, MediaType::Bytes) => " with a single unnamed bytea parameter".to_owned(),
        (true, MediaType::Json) => format!("{named} or with a single unnamed json/jsonb parameter"),
        _ => named,
    };
    let message = format!("Could not find the function {function}{shown} in the schema cache");
    let details = format!(
        "Searched for the function {function}{searched}, but no matches were found in the schema cache."
    );
    let perhaps = if raw {
        None
    } else {
        suggestion(cache, name, &given)
    };
    RestError::new(StatusCode::NOT_FOUND, "PGRST202", message)
        .details(details)
        .perhaps(perhaps)
}

fn suggestion(cache: &SchemaCache, name: &Name, given: &[&str]) -> Option<String> {
    let found = match cache.routines.get(name) {
        None => {
            let names = cache
                .routines
                .keys()
                .filter(|known| known.schema == name.schema)
                .map(|known| known.name.as_str());
            nearest(names, &name.name, NAME).map(|(near, _)| near.to_owned())
        }
        Some(overloads) => {
            let listed = |names: &mut Vec<&str>| {
                names.sort_unstable();
                format!("({})", names.join(", "))
            };
            let lists: Vec<String> = overloads
                .iter()
                .map(|routine| {
                    listed(
                        &mut routine
                            .arguments
                            .iter()
                            .map(|argument| argument.name.as_str())
                            .collect(),
                    )
                })
                .collect();
            let wanted = listed(&mut given.to_vec());
            nearest(lists.iter().map(String::as_str), &wanted, ANY)
                .map(|(near, _)| format!("{}{near}", name.name))
        }
    };
    found.map(|found| format!("Perhaps you meant to call the function {}.{found}", name.schema))
}

fn ambiguous(several: &[&Routine]) -> RestError {
    let shown = |routine: &&Routine| {
        let arguments = routine
            .arguments
            .iter()
            .map(|argument| format!("{} => {}", argument.name, argument.shown));
        format!(
            "{}.{}({})",
            routine.name.schema,
            routine.name.name,
            arguments.collect::<Vec<_>>().join(", ")
        )
    };
    let list: Vec<String> = several.iter().map(shown).collect();
    let message = format!(
        "Could not choose the best candidate function between: {}",
        list.join(", ")
    );
    let hint = "Try renaming the parameters or the function itself in the database so function overloading can be resolved";
    RestError::new(StatusCode::MULTIPLE_CHOICES, "PGRST203", message).hint(hint)
}

impl Call {
    /// Plans a call.
    pub fn plan(request: &ApiRequest, routine: &Routine, how: Invoke, read: &ReadNode) -> Self {
        let mut returning = needed(read, &[]);
        if returning != ["*"] && !returning.is_empty() {
            let mut filtered = Vec::new();
            names(&read.filters, &mut filtered);
            for name in filtered {
                if !returning.contains(&name) {
                    returning.push(name);
                }
            }
        }
        Self {
            routine: routine.clone(),
            arguments: arguments(request, routine, how),
            returning,
            writes: how == Invoke::Post && routine.volatile,
        }
    }
}

fn names(conditions: &[Condition], found: &mut Vec<String>) {
    for condition in conditions {
        match condition {
            Condition::Filter(filter, _) => found.push(filter.field.name.clone()),
            Condition::Group { parts, .. } => names(parts, found),
            Condition::Embedded { .. } => {}
        }
    }
}

fn arguments(request: &ApiRequest, routine: &Routine, how: Invoke) -> Arguments {
    let given: Vec<(String, String)> = match (&request.payload, how) {
        (_, Invoke::Get | Invoke::Head) => request.query.arguments.clone(),
        (Some(Payload::Form(pairs)), _) => pairs.clone(),
        (Some(Payload::Raw(bytes)), _) => match routine.arguments.first() {
            Some(only) => return Arguments::Only(only.clone(), bytes.clone()),
            None => Vec::new(),
        },
        (Some(Payload::Json { text, keys }), _) => {
            return match routine.arguments.as_slice() {
                [only] if only.name.is_empty() => Arguments::Only(only.clone(), text.clone().into_bytes()),
                all => {
                    let named = all
                        .iter()
                        .filter(|argument| keys.contains(&argument.name))
                        .cloned();
                    Arguments::Json(named.collect(), text.clone())
                }
            };
        }
        (None, Invoke::Post) => Vec::new(),
    };
    let named = routine.arguments.iter().filter_map(|argument| {
        let mut values: Vec<String> = given
            .iter()
            .filter(|(name, _)| *name == argument.name)
            .map(|(_, value)| value.clone())
            .collect();
        if !argument.variadic && values.len() > 1 {
            // Of several the last one counts.
            values.drain(..values.len() - 1);
        }
        (!values.is_empty()).then(|| (argument.clone(), values))
    });
    Arguments::Named(named.collect())
}
