//! Reading the catalogue: each question once, answered as JSON.

use super::nullability;
use super::order::Names;
use super::relationships::{self, Key};
use crate::cache::ask;
use serde::Deserialize;
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What types are made of.
#[derive(Debug)]
pub struct Catalogue {
    /// The schemas that were asked for, in order.
    pub schemas: Vec<String>,
    /// Their tables, foreign tables and views, in order.
    pub relations: Vec<Relation>,
    /// What leads from one relation to another.
    pub relationships: Vec<relationships::Relationship>,
    /// Their functions; overloads stand together.
    pub functions: Vec<Function>,
    /// Every type of the database, in order.
    pub types: Vec<Type>,
}

/// A table, a foreign table or a view.
#[derive(Debug, Deserialize)]
pub struct Relation {
    /// Its oid.
    pub oid: i64,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// As in `pg_class.relkind`.
    pub kind: String,
    /// What its owner says of it.
    pub comment: Option<String>,
    /// Whether rows can be inserted into this view.
    pub insertable: bool,
    /// Whether rows of this view can be updated.
    pub updatable: bool,
    /// Its columns in order.
    pub columns: Vec<Column>,
}

impl Relation {
    /// Whether it is a view, materialised or not.
    pub fn is_view(&self) -> bool {
        matches!(self.kind.as_str(), "v" | "m")
    }

    /// Where a name is looked up first: tables, foreign tables, views, materialised views.
    pub fn rank(&self) -> usize {
        ["f", "v", "m"]
            .iter()
            .position(|kind| *kind == self.kind)
            .map_or(0, |at| at + 1)
    }
}

/// A column.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the catalogue")]
pub struct Column {
    /// Its place in the relation.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// The name of its type; for a domain, of the type below.
    pub type_name: String,
    /// The schema of that type.
    pub type_schema: String,
    /// Whether it is never null.
    pub not_null: bool,
    /// Whether PostgreSQL knows a value for it.
    pub has_default: bool,
    /// As in `pg_attribute.attidentity`.
    pub identity: String,
    /// Whether it is computed of others.
    pub generated: bool,
    /// Whether it can be written through this relation.
    pub writable: bool,
    /// What its owner says of it.
    pub comment: Option<String>,
}

impl Column {
    /// Whether PostgreSQL alone gives it a value.
    pub fn never_written(&self) -> bool {
        self.identity == "a" || self.generated
    }

    /// Whether an insert may leave it out.
    pub fn may_be_left_out(&self) -> bool {
        !self.not_null || self.has_default || !self.identity.is_empty()
    }
}

/// A function.
#[derive(Debug, Deserialize)]
pub struct Function {
    /// Its oid.
    pub oid: i64,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What its owner says of it.
    pub comment: Option<String>,
    /// Its arguments, with those it gives back.
    pub arguments: Vec<Argument>,
    /// Its arguments, as PostgreSQL shows them.
    pub shown_arguments: String,
    /// What it gives back, as PostgreSQL shows it.
    pub shown_result: String,
    /// The type that it gives back.
    pub returns: i64,
    /// Whether it gives back any number of those.
    pub set: bool,
    /// How many rows PostgreSQL expects.
    pub rows: f64,
}

/// An argument of a function.
#[derive(Debug, Deserialize)]
pub struct Argument {
    /// Its name; empty for none.
    pub name: String,
    /// The oid of its type.
    #[serde(rename = "type")]
    pub of: i64,
    /// As in `pg_proc.proargmodes`.
    pub mode: String,
    /// Whether it may be left out.
    pub has_default: bool,
}

/// A type.
#[derive(Debug, Deserialize)]
pub struct Type {
    /// Its oid.
    pub oid: i64,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its name, as PostgreSQL shows it.
    pub shown: String,
    /// The relation whose row it is.
    pub relation: Option<i64>,
    /// What its owner says of it.
    pub comment: Option<String>,
    /// The labels of an enum.
    pub labels: Vec<String>,
    /// The parts of a composite type that is no relation's row.
    pub attributes: Vec<Attribute>,
}

/// A part of a composite type.
#[derive(Debug, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The oid of its type.
    #[serde(rename = "type")]
    pub of: i64,
}

/// Why the catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A schema that was asked for is not there, or not for this login.
    #[error("there is no schema `{missing}` that this login may use; there are: {}", there.join(", "))]
    NoSuchSchema {
        /// What was asked for.
        missing: String,
        /// What could have been asked for.
        there: Vec<String>,
    },
    /// The database cannot be asked.
    #[error("the database cannot be asked")]
    Database(#[from] sqlx::Error),
}

impl Catalogue {
    /// Connects to a database and reads what these schemas hold; in one transaction that writes nothing, so that any login will
    /// do.
    pub async fn read(url: &str, schemas: &[String]) -> Result<Self, ReadError> {
        let mut connection = PgConnection::connect(url).await?;
        let read = Self::read_through(&mut connection, schemas).await;
        // What was read is whole, or the error is told: how the connection ends adds nothing.
        drop(connection.close().await);
        read
    }

    async fn read_through(connection: &mut PgConnection, schemas: &[String]) -> Result<Self, ReadError> {
        let mut tx = connection
            .begin_with("begin isolation level repeatable read, read only")
            .await?;
        let there: Vec<String> = ask(&mut tx, include_str!("sql/schemas.sql"), &[]).await?;
        if let Some(missing) = schemas.iter().find(|schema| !there.contains(schema)) {
            let missing = missing.clone();
            return Err(ReadError::NoSuchSchema { missing, there });
        }
        let mut relations: Vec<Relation> = ask(&mut tx, include_str!("sql/relations.sql"), schemas).await?;
        let keys: Vec<Key> = ask(&mut tx, include_str!("sql/keys.sql"), &[]).await?;
        let views: Vec<(i64, String, String, BTreeMap<i64, String>)> =
            ask(&mut tx, include_str!("sql/views.sql"), &[]).await?;
        let not_null: HashSet<(i64, i64)> = ask(&mut tx, include_str!("sql/not_null.sql"), &[])
            .await?
            .into_iter()
            .collect();
        let mut functions: Vec<Function> = ask(&mut tx, include_str!("sql/functions.sql"), schemas).await?;
        let mut types: Vec<Type> = ask(&mut tx, include_str!("sql/types.sql"), &[]).await?;
        tx.rollback().await?;

        let trees: HashMap<i64, &str> = views.iter().map(|view| (view.0, view.2.as_str())).collect();
        nullability::apply(&mut relations, &trees, &not_null);
        let names = Names::new();
        let relationships = relationships::all(&keys, &views, &relations, schemas, &names);
        let schemas: BTreeSet<&String> = schemas.iter().collect();
        let mut schemas: Vec<String> = schemas.into_iter().cloned().collect();
        schemas.sort_by(|a, b| names.compare(a, b));
        let by_name = |a: (&str, &str, i64), b: (&str, &str, i64)| {
            let by_schema = names.compare(a.0, b.0);
            by_schema
                .then_with(|| names.compare(a.1, b.1))
                .then(a.2.cmp(&b.2))
        };
        relations.sort_by(|a, b| by_name((&a.schema, &a.name, a.oid), (&b.schema, &b.name, b.oid)));
        for relation in &mut relations {
            relation.columns.sort_by(|a, b| names.compare(&a.name, &b.name));
        }
        types.sort_by(|a, b| by_name((&a.schema, &a.name, a.oid), (&b.schema, &b.name, b.oid)));
        functions.sort_by(|a, b| {
            by_name((&a.schema, &a.name, 0), (&b.schema, &b.name, 0))
                .then_with(|| names.compare(&a.shown_arguments, &b.shown_arguments))
                .then_with(|| names.compare(&a.shown_result, &b.shown_result))
                .then(a.oid.cmp(&b.oid))
        });
        Ok(Self {
            schemas,
            relations,
            relationships,
            functions,
            types,
        })
    }

    /// A type by its oid.
    pub fn type_of(&self, oid: i64) -> Option<&Type> {
        self.types.iter().find(|of| of.oid == oid)
    }

    /// A relation by its oid.
    pub fn relation(&self, oid: i64) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.oid == oid)
    }

    /// The relation that a type's name means, from within a schema: of that schema, else of any; tables before views.
    pub fn relation_named(&self, schema: &str, name: &str) -> Option<&Relation> {
        let named = || self.relations.iter().filter(|relation| relation.name == name);
        let here = named()
            .filter(|relation| relation.schema == schema)
            .min_by_key(|r| r.rank());
        here.or_else(|| named().min_by_key(|relation| relation.rank()))
    }

    /// The enum that a type's name means, from within a schema: of that schema, else the first of any.
    pub fn enum_named(&self, schema: &str, name: &str) -> Option<&Type> {
        self.best(schema, |of| of.name == name && !of.labels.is_empty())
    }

    /// As [`Self::enum_named`], for composite types.
    pub fn composite_named(&self, schema: &str, name: &str) -> Option<&Type> {
        self.best(schema, |of| of.name == name && !of.attributes.is_empty())
    }

    fn best(&self, schema: &str, fits: impl Fn(&Type) -> bool) -> Option<&Type> {
        let mut all = self.types.iter().filter(|of| fits(of));
        let first = all.clone().next();
        all.find(|of| of.schema == schema).or(first)
    }

    /// Whether types are made for this schema.
    pub fn shows(&self, schema: &str) -> bool {
        self.schemas.iter().any(|shown| shown == schema)
    }
}
