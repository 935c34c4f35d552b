//! What stands in a database, and how two databases differ.

use crate::error::DbError;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const READ: &str = include_str!("catalogue.sql");

type Row = (String, String, Option<String>, String, Option<String>);

/// One object: a table, its row level security, its rights, a column, a policy, a function, a comment, …
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Object {
    /// What it is, such as `table`, `policy`, `function`, `rights`, `row level security`, `comment`.
    pub kind: String,
    /// The schema it stands in; empty for an extension.
    pub schema: String,
    /// The table or view it belongs to, when it does, with its schema.
    pub relation: Option<String>,
    /// Its whole name; of a policy, trigger, rule or constraint its own and `on` which table.
    pub name: String,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preposition = match self.kind.as_str() {
            "row level security" | "rights" | "comment" => " of",
            _ => "",
        };
        write!(f, "{}{preposition} {}", self.kind, self.name)
    }
}

/// Everything that stands in a database, with its definition in PostgreSQL's words: tables, columns, types, defaults,
/// constraints, indexes, policies, rights, triggers, functions, views, comments, flags of row level security.
///
/// Two catalogues can be compared when the same version of PostgreSQL wrote both. Not in it: PostgreSQL's own
/// schemas, what belongs to an extension, the migrations' history, the order of columns, roles, and who may use
/// schema `public`. The role that owns schema `jarvis` is called `(owner)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue(BTreeMap<Object, String>);

/// How one object differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which object.
    pub object: Object,
    /// Its definition where it is as it should be; absent when it should not be there.
    pub expected: Option<String>,
    /// Its definition in the database that was looked at; absent when it is missing.
    pub found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.expected, &self.found) {
            (Some(_), None) => write!(f, "{} is missing", self.object),
            (None, _) => write!(f, "{} should not be there", self.object),
            (Some(expected), Some(found)) => {
                let (expected, found) = changed_lines(expected, found);
                write!(f, "{}: expected `{expected}`, found `{found}`", self.object)
            }
        }
    }
}

/// The first lines in which two texts differ; a text that ends before has nothing there.
fn changed_lines<'a>(expected: &'a str, found: &'a str) -> (&'a str, &'a str) {
    let (mut left, mut right) = (expected.lines(), found.lines());
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => return (expected, found),
            (a, b) => return (a.unwrap_or_default().trim(), b.unwrap_or_default().trim()),
        }
    }
}

impl Catalogue {
    /// Reads the catalogue of the database behind `connection`, in a transaction (or savepoint) that changes nothing.
    /// Any login may.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn read(connection: &mut PgConnection) -> Result<Self, DbError> {
        let mut tx = connection.begin().await?;
        sqlx::query("set local search_path = ''")
            .execute(&mut *tx)
            .await?;
        let rows: Vec<Row> = sqlx::query_as(READ).fetch_all(&mut *tx).await?;
        tx.rollback().await?;
        let objects = rows
            .into_iter()
            .map(|(kind, schema, relation, name, definition)| {
                let object = Object {
                    kind,
                    schema,
                    relation,
                    name,
                };
                (object, definition.unwrap_or_default())
            });
        Ok(Self(objects.collect()))
    }

    /// The objects with their definitions.
    pub fn objects(&self) -> impl Iterator<Item = (&Object, &str)> {
        self.0
            .iter()
            .map(|(object, definition)| (object, definition.as_str()))
    }

    /// The same without the objects that `left_out` picks.
    #[must_use]
    pub fn without(mut self, left_out: impl Fn(&Object) -> bool) -> Self {
        self.0.retain(|object, _| !left_out(object));
        self
    }

    /// How `found` differs from this one, which is as it should be. What belongs to a table that is missing or should
    /// not be there is not told one by one.
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let objects: BTreeSet<&Object> = self.0.keys().chain(found.0.keys()).collect();
        let whole = |object: &&&Object| object.relation.is_none();
        let one_sided: BTreeSet<&str> = objects
            .iter()
            .filter(whole)
            .filter(|o| self.0.contains_key(**o) != found.0.contains_key(**o))
            .map(|object| object.name.as_str())
            .collect();
        let told = |object: &&Object| {
            object
                .relation
                .as_deref()
                .is_none_or(|relation| !one_sided.contains(relation))
        };
        let difference = |object: &Object| {
            let (expected, found) = (self.0.get(object), found.0.get(object));
            (expected != found).then(|| Difference {
                object: object.clone(),
                expected: expected.cloned(),
                found: found.cloned(),
            })
        };
        objects.into_iter().filter(told).filter_map(difference).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, relation: Option<&str>, name: &str) -> Object {
        Object {
            kind: kind.to_owned(),
            schema: "public".to_owned(),
            relation: relation.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    fn catalogue(objects: &[(Object, &str)]) -> Catalogue {
        let objects = objects.iter().map(|(o, d)| (o.clone(), (*d).to_owned()));
        Catalogue(objects.collect())
    }

    #[test]
    fn a_missing_an_extra_and_a_changed_object_are_told_apart() {
        let table = object("table", None, "public.a");
        let expected = catalogue(&[
            (table.clone(), "owner"),
            (object("policy", Some("public.a"), "one on public.a"), "x"),
            (object("column", Some("public.a"), "public.a.id"), "uuid"),
        ]);
        let found = catalogue(&[
            (table, "owner"),
            (object("column", Some("public.a"), "public.a.id"), "text"),
            (object("trigger", Some("public.a"), "t on public.a"), "x"),
        ]);
        let told: Vec<String> = expected
            .differences(&found)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "column public.a.id: expected `uuid`, found `text`",
                "policy one on public.a is missing",
                "trigger t on public.a should not be there",
            ]
        );
        assert!(expected.differences(&expected).is_empty());
    }

    #[test]
    fn of_a_missing_table_only_the_table_is_told() {
        let expected = catalogue(&[
            (object("table", None, "public.a"), "owner"),
            (object("column", Some("public.a"), "public.a.id"), "uuid"),
        ]);
        let told = expected.differences(&Catalogue::default());
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].to_string(), "table public.a is missing");
    }

    #[test]
    fn of_a_long_definition_the_first_line_that_differs_is_told() {
        assert_eq!(changed_lines("a\nb\nc", "a\nx\nc"), ("b", "x"));
        assert_eq!(changed_lines("a", "a\n  b"), ("", "b"));
    }
}
