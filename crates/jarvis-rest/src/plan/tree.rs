//! The tree of what is read: a relation, and the relations embedded in it.

use crate::cache::Name;
use crate::cache::relationship::Relationship;
use crate::error::RestError;
use crate::request::field::Field;
use crate::request::filter::{EmbedPath, Filter, Logic};
use crate::request::order::OrderTerm;
use crate::request::select::{Aggregate, Embed, Selected, SelectedField};
use crate::request::span::Span;
use crate::sql::Spelled;

/// A relation that is read.
#[derive(Debug, Clone)]
pub struct ReadNode {
    /// Where its rows come from.
    pub from: Name,
    /// Its name in the statement.
    pub alias: Option<String>,
    /// The relation whose columns it has.
    pub relation: Name,
    /// What of it.
    pub select: Vec<SelectField>,
    /// Which rows.
    pub filters: Vec<Condition>,
    /// In which order.
    pub order: Vec<OrderBy>,
    /// How many.
    pub span: Span,
    /// The name the caller used for it.
    pub target: String,
    /// The name it has in the answer, if it is another.
    pub label: Option<String>,
    /// Which of several relationships.
    pub hint: Option<String>,
    /// Whether a row without it is left out.
    pub inner: bool,
    /// Whether its columns are lifted into the row.
    pub spread: Option<Spread>,
    /// Its name as a part of the parent's statement.
    pub part: String,
    /// How it hangs on its parent.
    pub relationship: Option<Relationship>,
    /// The parent's name in the statement.
    pub parent: Name,
    /// What the parent takes of each child, by the child's place.
    pub embeds: Vec<EmbedSelect>,
    /// What hangs on it.
    pub children: Vec<ReadNode>,
    /// How deep it hangs.
    pub depth: usize,
    /// Whether a filter named it by its target although it has a label.
    pub named_by_target: bool,
}

impl ReadNode {
    /// Its name in the answer.
    pub fn shown(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.target)
    }

    /// Its name in the statement.
    pub fn reference(&self) -> Name {
        self.alias
            .as_deref()
            .map_or_else(|| self.from.clone(), Name::alias)
    }

    /// Whether it leads to at most one row of the parent.
    pub fn to_one(&self) -> bool {
        self.relationship.as_ref().is_some_and(Relationship::to_one)
    }
}

/// How columns are lifted.
#[derive(Debug, Clone)]
pub enum Spread {
    /// Of one row: as they are.
    One,
    /// Of many: as arrays.
    Many {
        /// Fields that only the order needs: of which part, what.
        extra: Vec<(Option<String>, SelectField)>,
        /// The order within the arrays.
        order: Vec<OrderBy>,
    },
}

/// A field whose type is known as far as the cache knows it.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Which.
    pub field: Field,
    /// Its type under its domains.
    pub base: Option<Spelled>,
    /// Its type as declared.
    pub declared: Option<Spelled>,
    /// A function that shows or reads it.
    pub transform: Option<Spelled>,
    /// The row rather than a field.
    pub whole_row: bool,
}

impl Resolved {
    /// Of which nothing is known.
    pub fn unknown(field: Field) -> Self {
        Self {
            field,
            base: None,
            declared: None,
            transform: None,
            whole_row: false,
        }
    }

    /// Whether `->` works on it as it is.
    pub fn is_json(&self) -> bool {
        self.base
            .as_ref()
            .is_some_and(|base| matches!(base.as_str(), "json" | "jsonb"))
    }
}

/// A field of the answer.
#[derive(Debug, Clone)]
pub struct SelectField {
    /// Which.
    pub field: Resolved,
    /// Its name in the answer.
    pub alias: Option<String>,
    /// A type to cast to.
    pub cast: Option<Spelled>,
    /// What to compute.
    pub aggregate: Option<Aggregate>,
    /// A type to cast that to.
    pub aggregate_cast: Option<Spelled>,
}

impl SelectField {
    /// A field as it is.
    pub fn plain(field: Resolved) -> Self {
        Self {
            field,
            alias: None,
            cast: None,
            aggregate: None,
            aggregate_cast: None,
        }
    }
}

/// A condition of rows.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Of a field.
    Filter(Box<Filter>, Box<Resolved>),
    /// That a child is there, or not: the child's part.
    Embedded {
        /// Whether it must be missing.
        missing: bool,
        /// Which.
        part: String,
    },
    /// Several.
    Group {
        /// Whether it is turned round.
        negated: bool,
        /// `or` rather than `and`.
        any: bool,
        /// What it joins.
        parts: Vec<Condition>,
    },
}

/// A term of an order.
#[derive(Debug, Clone)]
pub struct OrderBy {
    /// A child's part whose field it is.
    pub part: Option<String>,
    /// By what.
    pub field: Resolved,
    /// `ASC` or `DESC`.
    pub direction: Option<&'static str>,
    /// Where nulls stand.
    pub nulls: Option<&'static str>,
}

/// What a parent takes of a child.
#[derive(Debug, Clone)]
pub enum EmbedSelect {
    /// An object.
    One {
        /// Its name in the answer.
        label: String,
    },
    /// An array.
    Many {
        /// Its name in the answer.
        label: String,
    },
    /// Nothing; it only filters.
    Nothing,
    /// Its columns.
    Spread(Vec<SpreadField>),
}

/// A lifted column.
#[derive(Debug, Clone)]
pub struct SpreadField {
    /// Its name in the child.
    pub name: String,
    /// What to compute.
    pub aggregate: Option<Aggregate>,
    /// A type to cast that to.
    pub aggregate_cast: Option<Spelled>,
    /// Its name in the answer.
    pub alias: Option<String>,
}

/// What the request says of one node, before the cache is asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Fields.
    pub fields: Vec<SelectedField>,
    /// Filters, those of parameters first.
    pub filters: Vec<Logic>,
    /// Order.
    pub order: Vec<OrderTerm>,
    /// How many.
    pub span: Option<Span>,
    /// The embed, unless it is the root.
    pub embed: Option<Embed>,
    /// Children.
    pub children: Vec<Asked>,
    /// Whether a filter named it by its target although it has a label.
    pub named_by_target: bool,
}

impl Asked {
    /// The tree of a selection.
    pub fn of(items: &[Selected], embed: Option<Embed>) -> Self {
        let mut node = Self {
            embed,
            ..Self::default()
        };
        for item in items {
            match item {
                Selected::Field(field) => node.fields.push(field.clone()),
                Selected::Embed(embed) => node.children.push(Self::of(&embed.items, Some(embed.clone()))),
            }
        }
        node
    }

    /// The node that a path leads to. With `legacy`, an embed with a label is found by its target too.
    pub fn at(&mut self, path: &EmbedPath, legacy: bool) -> Result<&mut Self, RestError> {
        let mut node = self;
        for name in path {
            let place = node
                .children
                .iter()
                .position(|child| child.is_named(name, legacy));
            let Some(place) = place else {
                return Err(node.missing(name));
            };
            node = &mut node.children[place];
            node.named_by_target |= node.embed.as_ref().is_some_and(|embed| {
                embed.target == *name && embed.alias.as_ref().is_some_and(|alias| alias != name)
            });
        }
        Ok(node)
    }

    fn is_named(&self, name: &str, legacy: bool) -> bool {
        self.embed.as_ref().is_some_and(|embed| {
            let shown = embed.alias.as_ref().unwrap_or(&embed.target);
            shown == name || legacy && embed.target == name
        })
    }

    fn missing(&self, name: &str) -> RestError {
        let error = RestError::not_embedded(name);
        let labelled = self.children.iter().find(|child| child.is_named(name, true));
        match labelled.and_then(|child| child.embed.as_ref()) {
            Some(Embed {
                target,
                alias: Some(alias),
                ..
            }) => error
                .details("Target names are not allowed in filters if they have an alias")
                .hint(format!(
                    "Change '{target}' to '{alias}' in filters, orders or limits."
                )),
            _ => error,
        }
    }
}
