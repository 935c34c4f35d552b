//! Tables and views.

use super::swagger::{default, headline, items, kind, object, reference};
use crate::cache::relationship::Kind;
use crate::cache::{Column, SchemaCache, Table};
use crate::settings::Settings;
use serde_json::{Map, Value, json};

/// A row of the relation.
pub fn definition(table: &Table, cache: &SchemaCache, settings: &Settings) -> Value {
    let properties: Map<String, Value> = table
        .columns
        .iter()
        .map(|column| (column.name.clone(), property(table, column, cache, settings)))
        .collect();
    let required: Vec<&str> = table
        .columns
        .iter()
        .filter(|column| !column.nullable)
        .map(|column| column.name.as_str())
        .collect();
    let or_nothing = |value: Value, empty: bool| if empty { Value::Null } else { value };
    object(json!({
        "type": "object",
        "description": table.description,
        "required": or_nothing(json!(required), required.is_empty()),
        "properties": or_nothing(json!(properties), properties.is_empty()),
    }))
}

fn property(table: &Table, column: &Column, cache: &SchemaCache, settings: &Settings) -> Value {
    let value = column
        .default
        .as_ref()
        .and_then(|expression| default(&column.shown, expression.as_str()));
    let labels = (!column.labels.is_empty()).then_some(&column.labels);
    object(json!({
        "type": kind(&column.shown),
        "items": items(&column.shown),
        "format": column.shown,
        "description": description(table, column, cache, settings),
        "default": value,
        "enum": labels,
        "maxLength": column.max_length,
    }))
}

/// The comment, and notes about keys in the form that clients of PostgREST look for.
fn description(table: &Table, column: &Column, cache: &SchemaCache, settings: &Settings) -> Option<String> {
    let mut notes = Vec::new();
    if table.primary_key.contains(&column.name) {
        notes.push("This is a Primary Key.<pk/>".to_owned());
    }
    if let Some((relation, other)) = points_to(table, column, cache) {
        notes.push(format!(
            "This is a Foreign Key to `{relation}.{other}`.<fk table='{relation}' column='{other}'/>"
        ));
    }
    if settings.is_private(column) {
        notes.push("This is no part of `*`: ask for it by name.".to_owned());
    }
    if notes.is_empty() {
        return column.description.clone();
    }
    let comment = column
        .description
        .as_ref()
        .map(|comment| format!("{comment}\n\n"));
    Some(format!(
        "{}Note:\n{}",
        comment.unwrap_or_default(),
        notes.join("\n")
    ))
}

/// Where a foreign key of this column alone leads; to a table rather than to a view.
fn points_to<'a>(table: &Table, column: &Column, cache: &'a SchemaCache) -> Option<(&'a str, &'a str)> {
    let place = (table.name.clone(), table.name.schema.clone());
    let all = cache.relationships.get(&place)?;
    let mut found: Vec<_> = all
        .iter()
        .filter_map(|relationship| match &relationship.kind {
            Kind::ManyToOne { pairs, .. }
            | Kind::OneToOne {
                pairs, parent: false, ..
            } => match pairs.as_slice() {
                [(here, there)] if *here == column.name => Some((relationship, there)),
                _ => None,
            },
            _ => None,
        })
        .collect();
    found.sort_by_key(|(relationship, _)| relationship.to_view);
    let (relationship, there) = found.first()?;
    Some((&relationship.to.name, there))
}

/// What all relations share.
pub fn shared_parameters() -> Map<String, Value> {
    let one = |name: &str, place: &str, about: &str| json!({"name": name, "in": place, "description": about, "required": false, "type": "string"});
    let prefer = |values: &[&str]| {
        let mut parameter = one("Prefer", "header", "Preference");
        if !values.is_empty() {
            parameter["enum"] = json!(values);
        }
        parameter
    };
    let returned = ["return=representation", "return=minimal", "return=none"];
    let posted = [
        "return=representation",
        "return=minimal",
        "return=none",
        "resolution=ignore-duplicates",
        "resolution=merge-duplicates",
    ];
    let paging = "Limiting and Pagination";
    let mut unit = one("Range-Unit", "header", paging);
    unit["default"] = json!("items");
    let all = [
        ("preferParams", prefer(&[])),
        ("preferReturn", prefer(&returned)),
        ("preferCount", prefer(&["count=none"])),
        ("preferPost", prefer(&posted)),
        ("select", one("select", "query", "Filtering Columns")),
        ("on_conflict", one("on_conflict", "query", "On Conflict")),
        ("order", one("order", "query", "Ordering")),
        ("range", one("Range", "header", paging)),
        ("rangeUnit", unit),
        ("offset", one("offset", "query", paging)),
        ("limit", one("limit", "query", paging)),
    ];
    all.into_iter()
        .map(|(name, parameter)| (name.to_owned(), parameter))
        .collect()
}

/// The relation's own: a row as the body, and a filter for each column.
pub fn parameters(table: &Table) -> Vec<(String, Value)> {
    let name = &table.name.name;
    let body = json!({
        "name": name,
        "in": "body",
        "description": name,
        "required": false,
        "schema": reference("definitions", name),
    });
    let filters = table.columns.iter().map(|column| {
        let filter = object(json!({
            "name": column.name,
            "in": "query",
            "description": column.description,
            "required": false,
            "type": "string",
        }));
        (filter_name(name, column), filter)
    });
    std::iter::once((format!("body.{name}"), body))
        .chain(filters)
        .collect()
}

fn filter_name(relation: &str, column: &Column) -> String {
    format!("rowFilter.{relation}.{}", column.name)
}

/// What may be done with the relation.
pub fn path(table: &Table) -> Value {
    let name = &table.name.name;
    let (summary, about) = table.description.as_deref().map_or((None, None), headline);
    let filters: Vec<String> = table
        .columns
        .iter()
        .map(|column| filter_name(name, column))
        .collect();
    let body = format!("body.{name}");
    let operation = |filtered: bool, others: &[&str], responses: Value| {
        let filters = filters.iter().filter(|_| filtered).map(String::as_str);
        let all = filters.chain(others.iter().copied());
        let parameters: Vec<Value> = all.map(|name| reference("parameters", name)).collect();
        object(json!({
            "tags": [name],
            "summary": summary,
            "description": about,
            "parameters": parameters,
            "responses": responses,
        }))
    };
    let reading = [
        "select",
        "order",
        "range",
        "rangeUnit",
        "offset",
        "limit",
        "preferCount",
    ];
    let rows = json!({"type": "array", "items": reference("definitions", name)});
    let read = json!({
        "200": {"description": "OK", "schema": rows},
        "206": {"description": "Partial Content"},
    });
    let done = json!({"204": {"description": "No Content"}});
    let mut path = json!({"get": operation(true, &reading, read)});
    if table.insertable || table.updatable || table.deletable {
        let created = json!({"201": {"description": "Created"}});
        path["post"] = operation(false, &[&body, "select", "preferPost"], created);
        path["patch"] = operation(true, &[&body, "preferReturn"], done.clone());
        path["delete"] = operation(true, &["preferReturn"], done);
    }
    path
}
