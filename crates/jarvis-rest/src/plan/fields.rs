//! Fields: their types, their casts, their names in the answer.

use super::tree::{Condition, OrderBy, Resolved, SelectField};
use crate::cache::{Name, Routine, SchemaCache};
use crate::error::RestError;
use crate::request::field::{Field, JsonTo};
use crate::request::filter::{Filter, Logic, Test};
use crate::request::order::OrderTerm;
use crate::request::select::SelectedField;
use crate::settings::Settings;
use crate::sql::Spelled;

/// What is known about the fields of one relation.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// The cache.
    pub cache: &'a SchemaCache,
    /// The settings.
    pub settings: &'a Settings,
    /// The relation.
    pub relation: &'a Name,
    /// The function whose rows are read.
    pub routine: Option<&'a Routine>,
}

impl Fields<'_> {
    /// A field with its type.
    pub fn resolve(self, field: &Field) -> Resolved {
        let mut resolved = Resolved::unknown(field.clone());
        if let Some(column) = self
            .cache
            .tables
            .get(self.relation)
            .and_then(|table| table.column(&field.name))
        {
            resolved.base = Some(column.base.clone());
            resolved.declared = Some(column.declared.clone());
        } else if let Some(base) = self
            .cache
            .computed
            .get(&(self.relation.clone(), field.name.clone()))
        {
            resolved.base = Some(base.clone());
        } else if let Some(routine) = self.routine {
            resolved.base = routine
                .columns
                .iter()
                .find(|(name, _)| *name == field.name)
                .map(|(_, base)| base.clone());
        }
        resolved
    }

    fn shown(self, field: &Field) -> Resolved {
        self.transformed(field, |declared| self.cache.representation(declared, "json"))
    }

    fn transformed<'b>(self, field: &Field, find: impl Fn(&str) -> Option<&'b Spelled>) -> Resolved {
        let mut resolved = self.resolve(field);
        resolved.transform = resolved
            .declared
            .as_ref()
            .and_then(|declared| find(declared.as_str()))
            .cloned();
        resolved
    }

    /// The fields of a selection; `aggregated` when rows are computed over, here or further up.
    pub fn select(self, fields: &[SelectedField], aggregated: bool) -> Result<Vec<SelectField>, RestError> {
        let mut all = Vec::new();
        for selected in fields {
            let star = selected.field.name == "*" && selected.aggregate.is_none();
            if star && (aggregated || self.must_expand()) {
                all.extend(self.star());
                continue;
            }
            all.push(SelectField {
                field: self.shown(&selected.field),
                alias: selected.alias.clone(),
                cast: selected.cast.as_deref().map(|name| self.cast(name)).transpose()?,
                aggregate: selected.aggregate,
                aggregate_cast: selected
                    .aggregate_cast
                    .as_deref()
                    .map(|name| self.cast(name))
                    .transpose()?,
            });
        }
        for field in &mut all {
            name_by_field(field);
        }
        Ok(all)
    }

    /// A type that a caller named; only names the catalogue has get into a statement.
    fn cast(self, name: &str) -> Result<Spelled, RestError> {
        let known = self.cache.types.get(&name.to_lowercase());
        known
            .cloned()
            .ok_or_else(|| RestError::bad("42704", format!("type \"{name}\" does not exist")))
    }

    /// Whether `*` must be written out: for columns that are shown by a function, and for those that are private.
    fn must_expand(self) -> bool {
        self.cache.tables.get(self.relation).is_some_and(|table| {
            table.columns.iter().any(|column| {
                self.settings.is_private(column)
                    || self
                        .cache
                        .representation(column.declared.as_str(), "json")
                        .is_some()
            })
        })
    }

    fn star(self) -> Vec<SelectField> {
        let Some(table) = self.cache.tables.get(self.relation) else {
            return vec![SelectField::plain(Resolved::unknown(Field::column("*")))];
        };
        let open = table
            .columns
            .iter()
            .filter(|column| !self.settings.is_private(column));
        open.map(|column| SelectField::plain(self.shown(&Field::column(&column.name))))
            .collect()
    }

    /// A filter with what is known of its field.
    pub fn filter(self, filter: &Filter) -> Condition {
        let mut resolved = self.transformed(&filter.field, |declared| {
            self.cache.representation("text", declared)
        });
        if matches!(filter.test, Test::Search(..)) {
            resolved.transform = None;
        }
        Condition::Filter(Box::new(filter.clone()), Box::new(resolved))
    }

    /// A group of filters.
    pub fn logic(self, logic: &Logic) -> Condition {
        match logic {
            Logic::Filter(filter) => self.filter(filter),
            Logic::Group { negated, any, parts } => Condition::Group {
                negated: *negated,
                any: *any,
                parts: parts.iter().map(|part| self.logic(part)).collect(),
            },
        }
    }

    /// An order.
    pub fn order(self, terms: &[OrderTerm]) -> Vec<OrderBy> {
        let order = |term: &OrderTerm| OrderBy {
            part: term.relation.clone(),
            field: if term.relation.is_some() {
                Resolved::unknown(term.field.clone())
            } else {
                self.resolve(&term.field)
            },
            direction: term.direction,
            nulls: term.nulls,
        };
        terms.iter().map(order).collect()
    }
}

/// A way into JSON is named by its last key; a field that a function shows keeps its own name.
fn name_by_field(selected: &mut SelectField) {
    if selected.alias.is_some() || selected.aggregate.is_some() {
        return;
    }
    let field = &selected.field.field;
    let last_key = field.path.iter().rev().find_map(|step| match &step.to {
        JsonTo::Key(key) => Some(key.clone()),
        JsonTo::Index(_) => None,
    });
    if !field.path.is_empty() {
        selected.alias = Some(last_key.unwrap_or_else(|| field.name.clone()));
    } else if selected.field.transform.is_some() {
        selected.alias = Some(field.name.clone());
    }
}
