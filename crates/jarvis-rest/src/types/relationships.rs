//! What leads from one relation to another: foreign keys, and foreign keys seen through views.

use super::order::Names;
use super::read::Relation;
use crate::cache::{Name, Origins, columns, to_tables};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A foreign key.
#[derive(Debug, Deserialize)]
pub struct Key {
    name: String,
    /// Whether it is a partition's share of the partitioned table's key.
    inherited: bool,
    table: Name,
    table_oid: i64,
    other: Name,
    other_oid: i64,
    pairs: Vec<Pair>,
    one_to_one: bool,
}

#[derive(Debug, Deserialize)]
struct Pair {
    column: String,
    number: i64,
    other_column: String,
    other_number: i64,
}

/// A relationship.
#[derive(Debug, Clone)]
pub struct Relationship {
    /// The constraint's name.
    pub key: String,
    /// From here.
    pub from: Name,
    /// By these columns.
    pub columns: Vec<String>,
    /// Whether one row here belongs to one row there.
    pub one_to_one: bool,
    /// To there.
    pub to: Name,
    /// To these columns.
    pub to_columns: Vec<String>,
}

/// A view as [`super::read`] reads it: oid, schema, tree, names of columns.
type ViewRow = (i64, String, String, BTreeMap<i64, String>);

/// Where views may lead through, besides the schemas asked for: the extra search path of a Supabase project.
const THROUGH: [&str; 2] = ["public", "extensions"];

/// Which end of a key a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Near,
    Far,
}

/// One end of a key: relation, constraint, number of columns.
type Place = (i64, String, End, usize);

/// The names of a view's columns, by the relation and the number of what they show.
type ByOrigin = BTreeMap<(i64, i64), Vec<String>>;

/// The views that show one end of a key, with the columns by which they do.
struct Shown<'a> {
    ends: BTreeMap<Place, BTreeSet<(i64, usize)>>,
    views: Vec<(&'a Relation, ByOrigin)>,
}

impl<'a> Shown<'a> {
    fn new(keys: &[Key], views: &[ViewRow], relations: &'a [Relation], schemas: &[String]) -> Self {
        let mut ends: BTreeMap<Place, BTreeSet<(i64, usize)>> = BTreeMap::new();
        for key in keys {
            for (place, pair) in key.pairs.iter().enumerate() {
                let near = (key.table_oid, key.name.clone(), End::Near, key.pairs.len());
                ends.entry(near).or_default().insert((pair.number, place));
                let far = (key.other_oid, key.name.clone(), End::Far, key.pairs.len());
                ends.entry(far).or_default().insert((pair.other_number, place));
            }
        }
        let walked = |schema: &String| schemas.contains(schema) || THROUGH.contains(&schema.as_str());
        let direct: Origins = views
            .iter()
            .filter(|view| walked(&view.1))
            .map(|view| (view.0, columns(&view.2)))
            .collect();
        let origins = to_tables(&direct);
        let shown = views.iter().filter_map(|(oid, _, _, names)| {
            let relation = relations.iter().find(|relation| relation.oid == *oid)?;
            let mut by_origin = ByOrigin::new();
            for (number, origin) in origins.get(oid)? {
                by_origin
                    .entry(*origin)
                    .or_default()
                    .push(names.get(number)?.clone());
            }
            Some((relation, by_origin))
        });
        Self {
            ends,
            views: shown.collect(),
        }
    }

    /// Each view that shows all columns of an end of this key, once for each choice of columns where it shows one twice. An
    /// end that two keys of the same name share with different columns belongs to neither.
    fn of(&self, key: &Key, end: End) -> Vec<(Name, Vec<String>)> {
        let oid = if end == End::Near {
            key.table_oid
        } else {
            key.other_oid
        };
        let mut found = Vec::new();
        let from = (oid, key.name.clone(), end, 0);
        let to = (oid, key.name.clone(), end, usize::MAX);
        for ((_, _, _, count), columns) in self.ends.range(from..=to) {
            for (view, shown) in &self.views {
                let mut each: Vec<(usize, &Vec<String>)> = columns
                    .iter()
                    .filter_map(|(number, place)| Some((*place, shown.get(&(oid, *number))?)))
                    .collect();
                if each.len() != *count {
                    continue;
                }
                each.sort_by_key(|(place, _)| *place);
                let mut choices = vec![Vec::new()];
                for (_, names) in each {
                    choices = choices
                        .iter()
                        .flat_map(|chosen: &Vec<String>| {
                            names
                                .iter()
                                .map(|name| [chosen.as_slice(), std::slice::from_ref(name)].concat())
                        })
                        .collect();
                }
                let name = Name::new(&view.schema, &view.name);
                found.extend(choices.into_iter().map(|chosen| (name.clone(), chosen)));
            }
        }
        found
    }
}

/// All relationships, in order.
pub fn all(
    keys: &[Key],
    views: &[ViewRow],
    relations: &[Relation],
    schemas: &[String],
    names: &Names,
) -> Vec<Relationship> {
    let shown = Shown::new(keys, views, relations, schemas);
    let mut found = Vec::new();
    for key in keys.iter().filter(|key| !key.inherited) {
        let ours = schemas.contains(&key.table.schema);
        let table = || {
            (
                key.table.clone(),
                key.pairs.iter().map(|p| p.column.clone()).collect(),
            )
        };
        let other = || {
            (
                key.other.clone(),
                key.pairs.iter().map(|p| p.other_column.clone()).collect(),
            )
        };
        let near = shown.of(key, End::Near);
        let far = shown.of(key, End::Far);
        let from: Vec<(Name, Vec<String>)> = ours.then(table).into_iter().collect();
        let to_other: Vec<(Name, Vec<String>)> = vec![other()];
        for from in from.iter().chain(&near) {
            for to in to_other.iter().chain(&far) {
                found.push(Relationship {
                    key: key.name.clone(),
                    from: from.0.clone(),
                    columns: from.1.clone(),
                    one_to_one: key.one_to_one,
                    to: to.0.clone(),
                    to_columns: to.1.clone(),
                });
            }
        }
    }
    found.sort_by(|a, b| {
        names
            .compare(&a.key, &b.key)
            .then_with(|| names.compare(&a.to.name, &b.to.name))
            .then_with(|| names.compare_lists(&a.to_columns, &b.to_columns))
            .then_with(|| names.compare(&a.to.schema, &b.to.schema))
            .then_with(|| names.compare(&a.from.schema, &b.from.schema))
            .then_with(|| names.compare(&a.from.name, &b.from.name))
            .then_with(|| names.compare_lists(&a.columns, &b.columns))
    });
    found
}
