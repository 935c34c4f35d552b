//! Which relationship an embed means.

use crate::cache::relationship::{Kind, Pairs, Relationship};
use crate::cache::similar::{ANY, nearest};
use crate::cache::{Name, SchemaCache};
use crate::error::RestError;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// Finds the one relationship from `origin` that the caller means by `target` and `hint`.
pub fn find(
    cache: &SchemaCache,
    schema: &str,
    origin: &str,
    target: &str,
    hint: Option<&str>,
) -> Result<Relationship, RestError> {
    let place = (Name::new(schema, origin), schema.to_owned());
    let known = cache
        .relationships
        .get(&place)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let found: Vec<&Relationship> = known.iter().filter(|one| means(one, target, hint)).collect();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(unknown(cache, schema, origin, target, hint)),
        several => Err(ambiguous(origin, target, several)),
    }
}

fn means(relationship: &Relationship, target: &str, hint: Option<&str>) -> bool {
    let to = relationship.to.name == target;
    let (constraint, pairs) = match &relationship.kind {
        Kind::Computed { function, .. } => return function.name == target,
        Kind::ManyToMany(junction) => {
            let hinted = hint.is_none_or(|hint| hint == junction.table.name);
            return to && hinted && !relationship.is_self;
        }
        Kind::OneToMany { constraint, pairs }
        | Kind::ManyToOne { constraint, pairs }
        | Kind::OneToOne {
            constraint, pairs, ..
        } => (constraint, pairs),
    };
    let one_column = |name: &str, end: fn(&(String, String)) -> &String| {
        pairs.len() == 1 && pairs.iter().map(end).any(|column| column == name)
    };
    let here = |name: &str| one_column(name, |pair| &pair.0);
    let there = |name: &str| one_column(name, |pair| &pair.1);
    if relationship.is_self {
        // One foreign key, two ways: the table's name leads to the children, the column's to the parent.
        let children = matches!(relationship.kind, Kind::OneToMany { .. });
        let parent = matches!(relationship.kind, Kind::ManyToOne { .. });
        return match hint {
            None => to && children || here(target) && parent,
            Some(hint) => to && children && there(hint),
        };
    }
    match hint {
        None => to || (constraint == target || here(target)) && !relationship.to_view,
        Some(hint) => to && (constraint == hint || here(hint) || there(hint)),
    }
}

fn unknown(cache: &SchemaCache, schema: &str, origin: &str, target: &str, hint: Option<&str>) -> RestError {
    let using = hint
        .map(|hint| format!("' using the hint '{hint}"))
        .unwrap_or_default();
    let message =
        format!("Could not find a relationship between '{origin}' and '{target}' in the schema cache");
    let details = format!(
        "Searched for a foreign key relationship between '{origin}' and '{target}{using}' in the schema '{schema}', but no matches were found."
    );
    let place = (Name::new(schema, origin), schema.to_owned());
    let instead = if let Some(known) = cache.relationships.get(&place) {
        let names = known.iter().map(|one| one.to.name.as_str());
        nearest(names, target, ANY)
            .filter(|(_, likeness)| *likeness < 1.0)
            .map(|(name, _)| (name, target))
    } else {
        let parents = cache
            .relationships
            .keys()
            .filter(|(_, towards)| towards == schema);
        nearest(parents.map(|(from, _)| from.name.as_str()), origin, ANY).map(|(name, _)| (name, origin))
    };
    let perhaps = instead.map(|(name, given)| format!("Perhaps you meant '{name}' instead of '{given}'."));
    RestError::bad("PGRST200", message)
        .details(details)
        .perhaps(perhaps)
}

fn ambiguous(origin: &str, target: &str, several: &[&Relationship]) -> RestError {
    let message =
        format!("Could not embed because more than one relationship was found for '{origin}' and '{target}'");
    let hints: Vec<String> = several
        .iter()
        .map(|one| {
            let by = match &one.kind {
                Kind::ManyToMany(junction) => &junction.table.name,
                Kind::OneToMany { constraint, .. }
                | Kind::ManyToOne { constraint, .. }
                | Kind::OneToOne { constraint, .. } => constraint,
                Kind::Computed { function, .. } => &function.name,
            };
            format!("'{}!{by}'", one.to.name)
        })
        .collect();
    let hint = format!(
        "Try changing '{target}' to one of the following: {}. Find the desired relationship in the 'details' key.",
        hints.join(", ")
    );
    let details: Vec<Value> = several.iter().map(|one| describe(one)).collect();
    RestError::new(StatusCode::MULTIPLE_CHOICES, "PGRST201", message)
        .details(details)
        .hint(hint)
}

fn describe(relationship: &Relationship) -> Value {
    let columns = |pairs: &Pairs, end: fn(&(String, String)) -> &String| {
        format!(
            "({})",
            pairs
                .iter()
                .map(|pair| end(pair).as_str())
                .collect::<Vec<_>>()
                .join(", ")
        )
    };
    let key = |constraint: &str, pairs: &Pairs| {
        format!(
            "{constraint} using {}{} and {}{}",
            relationship.from.name,
            columns(pairs, |pair| &pair.0),
            relationship.to.name,
            columns(pairs, |pair| &pair.1)
        )
    };
    let (cardinality, text) = match &relationship.kind {
        Kind::OneToMany { constraint, pairs } => ("one-to-many", key(constraint, pairs)),
        Kind::ManyToOne { constraint, pairs } => ("many-to-one", key(constraint, pairs)),
        Kind::OneToOne {
            constraint, pairs, ..
        } => ("one-to-one", key(constraint, pairs)),
        Kind::ManyToMany(junction) => (
            "many-to-many",
            format!(
                "{} using {}{} and {}{}",
                junction.table.name,
                junction.to_start,
                columns(&junction.start_pairs, |pair| &pair.1),
                junction.to_end,
                columns(&junction.end_pairs, |pair| &pair.1)
            ),
        ),
        Kind::Computed { function, .. } => ("computed", function.name.clone()),
    };
    json!({
        "cardinality": cardinality,
        "embedding": format!("{} with {}", relationship.from.name, relationship.to.name),
        "relationship": text,
    })
}
