//! Inserting, updating and deleting.

use super::fields::Fields;
use super::tree::{Condition, ReadNode};
use crate::cache::relationship::Kind;
use crate::cache::{Name, SchemaCache, Table};
use crate::error::RestError;
use crate::request::filter::{Operator, Test};
use crate::request::payload::Payload;
use crate::request::preferences::{Resolution, Returned};
use crate::request::{ApiRequest, Change};
use crate::settings::Settings;
use crate::sql::Spelled;
use axum::http::StatusCode;
use std::collections::BTreeSet;

/// A change.
#[derive(Debug)]
pub struct Changing {
    /// Which.
    pub change: Change,
    /// Of what.
    pub target: Name,
    /// The columns that are written.
    pub columns: Vec<Written>,
    /// The rows, as JSON.
    pub body: Option<String>,
    /// Which rows are changed.
    pub filters: Vec<Condition>,
    /// What comes back.
    pub returning: Vec<String>,
    /// The primary key.
    pub primary_key: Vec<String>,
    /// What happens to a row that is there already, and what decides that.
    pub conflict: Option<(Resolution, Vec<String>)>,
    /// Whether a missing column gets its default.
    pub defaults: bool,
}

/// A column that is written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// The type that the JSON is read as.
    pub read_as: Spelled,
    /// A function that makes the column's value of it.
    pub transform: Option<Spelled>,
    /// Its default.
    pub default: Option<Spelled>,
}

impl Changing {
    /// Plans a change.
    pub fn plan(
        request: &ApiRequest,
        cache: &SchemaCache,
        settings: &Settings,
        table: &Table,
        change: Change,
        read: &ReadNode,
    ) -> Result<Self, RestError> {
        let fields = Fields {
            cache,
            settings,
            relation: &table.name,
            routine: None,
        };
        let query = &request.query;
        let mut filters: Vec<Condition> = query.root_filters().map(|filter| fields.filter(filter)).collect();
        if change != Change::Insert {
            let groups = query.logic.iter().filter(|(path, _)| path.is_empty());
            filters.extend(groups.map(|(_, logic)| fields.logic(logic)));
        }
        let preferences = &request.preferences;
        let conflict = match change {
            Change::Put => {
                require_key(request, table)?;
                Some((Resolution::Merge, table.primary_key.clone()))
            }
            Change::Insert => {
                let decides = query
                    .on_conflict
                    .clone()
                    .unwrap_or_else(|| table.primary_key.clone());
                preferences.resolution.map(|resolution| (resolution, decides))
            }
            Change::Update | Change::Delete => None,
        };
        let returning = match preferences.returned {
            None | Some(Returned::Minimal) => Vec::new(),
            Some(_) => needed(read, &table.primary_key),
        };
        let keys = request.payload.as_ref().map(Payload::keys).unwrap_or_default();
        Ok(Self {
            change,
            target: table.name.clone(),
            columns: written(cache, table, &keys)?,
            body: match &request.payload {
                Some(Payload::Json { text, .. }) => Some(text.clone()),
                _ => None,
            },
            filters: if change == Change::Insert {
                Vec::new()
            } else {
                filters
            },
            returning,
            primary_key: table.primary_key.clone(),
            conflict,
            defaults: preferences.missing_default == Some(true) && change != Change::Put,
        })
    }
}

/// PUT names one row by its whole primary key.
fn require_key(request: &ApiRequest, table: &Table) -> Result<(), RestError> {
    let query = &request.query;
    let key: BTreeSet<&String> = table.primary_key.iter().collect();
    let equal = query
        .root_filters()
        .all(|filter| !filter.negated && matches!(filter.test, Test::Quantified(Operator("="), None, _)));
    let whole = query.filter_keys.iter().collect::<BTreeSet<_>>() == key;
    if key.is_empty() || !equal || !whole || !query.logic.is_empty() {
        let message = "Filters must include all and only primary key columns with 'eq' operators";
        return Err(RestError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST105",
            message,
        ));
    }
    Ok(())
}

fn written(cache: &SchemaCache, table: &Table, keys: &BTreeSet<String>) -> Result<Vec<Written>, RestError> {
    let written = |name: &String| {
        let column = table.column(name).ok_or_else(|| {
            let message = format!(
                "Could not find the '{name}' column of '{}' in the schema cache",
                table.name.name
            );
            RestError::bad("PGRST204", message)
        })?;
        let transform = cache.representation("json", column.declared.as_str()).cloned();
        Ok(Written {
            name: name.clone(),
            read_as: if transform.is_some() {
                Spelled::from_catalogue("json".to_owned())
            } else {
                column.declared.clone()
            },
            transform,
            default: column.default.clone(),
        })
    };
    keys.iter().map(written).collect()
}

/// The columns that must come back so that the selection and its embeds can be made of them.
pub fn needed(read: &ReadNode, primary_key: &[String]) -> Vec<String> {
    let mut names: BTreeSet<String> = read
        .select
        .iter()
        .map(|field| field.field.field.name.clone())
        .collect();
    if names.contains("*") {
        return vec!["*".to_owned()];
    }
    for child in &read.children {
        match child.relationship.as_ref().map(|relationship| &relationship.kind) {
            Some(
                Kind::OneToMany { pairs, .. } | Kind::ManyToOne { pairs, .. } | Kind::OneToOne { pairs, .. },
            ) => {
                names.extend(pairs.iter().map(|(here, _)| here.clone()));
            }
            Some(Kind::ManyToMany(junction)) => {
                names.extend(junction.start_pairs.iter().map(|(here, _)| here.clone()));
            }
            // Which columns its function looks at, nobody knows.
            Some(Kind::Computed { .. }) => return vec!["*".to_owned()],
            None => {}
        }
    }
    names.extend(primary_key.iter().cloned());
    names.into_iter().collect()
}
