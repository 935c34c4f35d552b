//! What the database holds, as far as a request needs to know it: relations, relationships, functions, types.

mod load;
pub mod media;
pub mod relationship;
pub mod similar;
mod views;

use crate::sql::Spelled;
use media::Handler;
use relationship::Relationship;
use std::collections::{BTreeMap, HashMap};

pub(crate) use load::ask;
pub use load::{Loaded, load};
pub(crate) use views::{Origins, columns, to_tables, words};

/// A name in a schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
pub struct Name {
    /// The schema; empty for an alias.
    pub schema: String,
    /// The name.
    pub name: String,
}

impl Name {
    /// Of both parts.
    pub fn new(schema: &str, name: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            name: name.to_owned(),
        }
    }

    /// An alias.
    pub fn alias(name: &str) -> Self {
        Self::new("", name)
    }
}

/// A table or a view.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the catalogue")]
pub struct Table {
    /// Its number in the catalogue.
    pub oid: i64,
    /// Its name.
    pub name: Name,
    /// Its comment.
    pub description: Option<String>,
    /// Whether it is a view.
    pub is_view: bool,
    /// Whether rows can be inserted.
    pub insertable: bool,
    /// Whether rows can be updated.
    pub updatable: bool,
    /// Whether rows can be deleted.
    pub deletable: bool,
    /// The columns of its primary key.
    pub primary_key: Vec<String>,
    /// Its columns in order.
    pub columns: Vec<Column>,
}

impl Table {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its comment.
    pub description: Option<String>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Most characters, or bits.
    pub max_length: Option<i64>,
    /// The labels of its enum, in order.
    pub labels: Vec<String>,
    /// Its type as one says it: without a length, and without a domain over a type of PostgreSQL's own.
    pub shown: String,
    /// Its type as declared, domains and lengths included.
    pub declared: Spelled,
    /// The type under its domains, without a length.
    pub base: Spelled,
    /// Its default.
    pub default: Option<Spelled>,
}

/// A function.
#[derive(Debug, Clone)]
pub struct Routine {
    /// Its number in the catalogue.
    pub oid: i64,
    /// Its name.
    pub name: Name,
    /// Its comment.
    pub description: Option<String>,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// What it returns.
    pub returns: Returns,
    /// Whether it may write.
    pub volatile: bool,
    /// The names and types of what it returns, when it returns rows.
    pub columns: Vec<(String, Spelled)>,
    /// The isolation it asks for.
    pub isolation: Option<String>,
    /// Settings for its transaction.
    pub settings: Vec<(String, String)>,
}

/// An argument of a function.
#[derive(Debug, Clone)]
pub struct Argument {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its type.
    pub as_type: Spelled,
    /// Its type as one says it.
    pub shown: String,
    /// Whether it has no default.
    pub required: bool,
    /// Whether it takes all that follow.
    pub variadic: bool,
}

/// What a function returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returns {
    /// Many rather than one.
    pub set: bool,
    /// Rows rather than values.
    pub composite: bool,
    /// The type's or relation's name.
    pub name: Name,
}

impl Routine {
    /// One row or value.
    pub fn single(&self) -> bool {
        !self.returns.set
    }

    /// One value.
    pub fn scalar(&self) -> bool {
        !self.returns.set && !self.returns.composite
    }

    /// Many values.
    pub fn scalar_set(&self) -> bool {
        self.returns.set && !self.returns.composite
    }

    /// Nothing.
    pub fn void(&self) -> bool {
        self.scalar() && self.returns.name == Name::new("pg_catalog", "void")
    }

    /// The relation whose rows it returns.
    pub fn relation(&self) -> Option<&str> {
        self.returns.composite.then_some(self.returns.name.name.as_str())
    }
}

/// What the database holds.
#[derive(Debug, Default)]
pub struct SchemaCache {
    /// Exposed relations.
    pub tables: HashMap<Name, Table>,
    /// Relationships by the relation they start from, and the schema they lead to.
    pub relationships: HashMap<(Name, String), Vec<Relationship>>,
    /// Comments on schemas.
    pub descriptions: HashMap<String, String>,
    /// Exposed functions.
    pub routines: BTreeMap<Name, Vec<Routine>>,
    /// Types of computed fields: relation, function.
    pub computed: HashMap<(Name, String), Spelled>,
    /// Types by all names a cast may use.
    pub types: HashMap<String, Spelled>,
    /// How a domain is read and shown: from, to, function.
    pub representations: HashMap<(String, String), Spelled>,
    /// Functions that make a media type.
    pub handlers: Vec<Handler>,
    /// Settings of the roles that a request may take: role, name, value.
    pub role_settings: HashMap<String, Vec<(String, String)>>,
}

impl SchemaCache {
    /// The function that turns one type into another.
    pub fn representation(&self, from: &str, to: &str) -> Option<&Spelled> {
        self.representations.get(&(from.to_owned(), to.to_owned()))
    }
}
