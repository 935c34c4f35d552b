//! How relations hang together: foreign keys seen from both sides, through junctions, through views, and computed ones.

use super::Name;
use super::views::Origins;
use std::collections::{BTreeSet, HashMap};

/// A way from one relation to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relationship {
    /// Where it starts.
    pub from: Name,
    /// Where it leads.
    pub to: Name,
    /// Whether both are one.
    pub is_self: bool,
    /// Of which kind.
    pub kind: Kind,
    /// Whether it starts at a view.
    pub from_view: bool,
    /// Whether it leads to a view.
    pub to_view: bool,
}

/// Pairs of columns: at the start, at the end.
pub type Pairs = Vec<(String, String)>;

/// The kind of a relationship. The order of kinds is that of PostgREST's answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The other side holds the foreign key.
    OneToMany {
        /// The foreign key.
        constraint: String,
        /// Its columns.
        pairs: Pairs,
    },
    /// This side holds the foreign key.
    ManyToOne {
        /// The foreign key.
        constraint: String,
        /// Its columns.
        pairs: Pairs,
    },
    /// A foreign key that is unique.
    OneToOne {
        /// The foreign key.
        constraint: String,
        /// Its columns.
        pairs: Pairs,
        /// Whether the other side holds it.
        parent: bool,
    },
    /// Through a third relation.
    ManyToMany(Junction),
    /// A function of a row.
    Computed {
        /// The function.
        function: Name,
        /// Whether it returns at most one row.
        single: bool,
    },
}

/// The relation between two others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Junction {
    /// The relation.
    pub table: Name,
    /// The foreign key to the start.
    pub to_start: String,
    /// The foreign key to the end.
    pub to_end: String,
    /// Columns of the start, of the junction.
    pub start_pairs: Pairs,
    /// Columns of the end, of the junction.
    pub end_pairs: Pairs,
}

impl Relationship {
    /// Whether it leads to at most one row.
    pub fn to_one(&self) -> bool {
        matches!(
            self.kind,
            Kind::ManyToOne { .. } | Kind::OneToOne { .. } | Kind::Computed { single: true, .. }
        )
    }
}

/// A foreign key as the catalogue has it.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct ForeignKey {
    /// Its name.
    pub constraint: String,
    /// The relation that holds it: oid and name.
    pub table: i64,
    /// Its name.
    pub table_name: Name,
    /// The relation it points to: oid and name.
    pub other: i64,
    /// Its name.
    pub other_name: Name,
    /// Its columns: name and number here, name and number there.
    pub columns: Vec<(String, i64, String, i64)>,
    /// Whether its columns are unique.
    pub unique: bool,
}

/// A view, as far as its keys matter.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Its name.
    pub name: Name,
    /// Names of its columns by their number.
    pub columns: HashMap<i64, String>,
}

/// All relationships that foreign keys give.
pub(super) fn all(
    keys: &[ForeignKey],
    views: &HashMap<i64, View>,
    origins: &Origins,
    primary_keys: &HashMap<Name, BTreeSet<String>>,
) -> Vec<Relationship> {
    let mut outgoing: Vec<Relationship> = keys.iter().map(direct).collect();
    for key in keys {
        outgoing.extend(through_views(key, views, origins));
    }
    let mut all = outgoing.clone();
    all.extend(junctions(&outgoing, primary_keys));
    all.extend(outgoing.iter().filter_map(inverse));
    all
}

fn kind(key: &ForeignKey, pairs: Pairs) -> Kind {
    let constraint = key.constraint.clone();
    if key.unique {
        Kind::OneToOne {
            constraint,
            pairs,
            parent: false,
        }
    } else {
        Kind::ManyToOne { constraint, pairs }
    }
}

fn direct(key: &ForeignKey) -> Relationship {
    let pairs = key
        .columns
        .iter()
        .map(|(here, _, there, _)| (here.clone(), there.clone()))
        .collect();
    Relationship {
        from: key.table_name.clone(),
        to: key.other_name.clone(),
        is_self: key.table == key.other,
        kind: kind(key, pairs),
        from_view: false,
        to_view: false,
    }
}

fn through_views(key: &ForeignKey, views: &HashMap<i64, View>, origins: &Origins) -> Vec<Relationship> {
    let here: Vec<i64> = key.columns.iter().map(|column| column.1).collect();
    let there: Vec<i64> = key.columns.iter().map(|column| column.3).collect();
    let starts = seen_in(key.table, &here, views, origins);
    let ends = seen_in(key.other, &there, views, origins);
    let here_names: Vec<String> = key.columns.iter().map(|column| column.0.clone()).collect();
    let there_names: Vec<String> = key.columns.iter().map(|column| column.2.clone()).collect();
    let make =
        |from: &Name, from_columns: &[String], to: &Name, to_columns: &[String], from_view, to_view| {
            Relationship {
                from: from.clone(),
                to: to.clone(),
                is_self: from_view && to_view && from == to,
                kind: kind(
                    key,
                    from_columns
                        .iter()
                        .cloned()
                        .zip(to_columns.iter().cloned())
                        .collect(),
                ),
                from_view,
                to_view,
            }
        };
    let mut found = Vec::new();
    for (view, columns) in &starts {
        found.push(make(view, columns, &key.other_name, &there_names, true, false));
        for (other, other_columns) in &ends {
            found.push(make(view, columns, other, other_columns, true, true));
        }
    }
    for (other, other_columns) in &ends {
        found.push(make(
            &key.table_name,
            &here_names,
            other,
            other_columns,
            false,
            true,
        ));
    }
    found
}

/// Views that show all these columns of a table, and under which names; a column that a view shows twice counts twice.
fn seen_in(
    table: i64,
    columns: &[i64],
    views: &HashMap<i64, View>,
    origins: &Origins,
) -> Vec<(Name, Vec<String>)> {
    let mut found = Vec::new();
    for (oid, shown) in origins {
        let Some(view) = views.get(oid) else { continue };
        let mut choices: Vec<Vec<String>> = vec![Vec::new()];
        for column in columns {
            let names = shown.iter().filter(|(_, origin)| *origin == (table, *column));
            let names: Vec<&String> = names.filter_map(|(number, _)| view.columns.get(number)).collect();
            choices = choices
                .iter()
                .flat_map(|taken| {
                    names
                        .iter()
                        .map(move |name| [taken.as_slice(), &[(*name).clone()]].concat())
                })
                .collect();
        }
        found.extend(choices.into_iter().map(|names| (view.name.clone(), names)));
    }
    found
}

fn swapped(pairs: &Pairs) -> Pairs {
    pairs.iter().map(|(a, b)| (b.clone(), a.clone())).collect()
}

fn inverse(relationship: &Relationship) -> Option<Relationship> {
    let kind = match &relationship.kind {
        Kind::ManyToOne { constraint, pairs } => Kind::OneToMany {
            constraint: constraint.clone(),
            pairs: swapped(pairs),
        },
        Kind::OneToOne {
            constraint,
            pairs,
            parent,
        } => Kind::OneToOne {
            constraint: constraint.clone(),
            pairs: swapped(pairs),
            parent: !parent,
        },
        _ => return None,
    };
    Some(Relationship {
        from: relationship.to.clone(),
        to: relationship.from.clone(),
        is_self: relationship.is_self,
        kind,
        from_view: relationship.to_view,
        to_view: relationship.from_view,
    })
}

/// Two foreign keys whose columns are part of the holder's primary key make it a junction.
fn junctions(outgoing: &[Relationship], primary_keys: &HashMap<Name, BTreeSet<String>>) -> Vec<Relationship> {
    let mut by_holder: HashMap<&Name, Vec<(&Relationship, &String, &Pairs)>> = HashMap::new();
    for relationship in outgoing {
        if let Kind::ManyToOne { constraint, pairs } = &relationship.kind {
            by_holder
                .entry(&relationship.from)
                .or_default()
                .push((relationship, constraint, pairs));
        }
    }
    let mut found = Vec::new();
    for (holder, keys) in by_holder {
        let Some(primary) = primary_keys.get(holder) else {
            continue;
        };
        for (start, to_start, start_pairs) in &keys {
            for (end, to_end, end_pairs) in &keys {
                let within = start_pairs
                    .iter()
                    .chain(end_pairs.iter())
                    .all(|(column, _)| primary.contains(column));
                if to_start == to_end || !within {
                    continue;
                }
                found.push(Relationship {
                    from: start.to.clone(),
                    to: end.to.clone(),
                    is_self: start.to == end.to,
                    kind: Kind::ManyToMany(Junction {
                        table: holder.clone(),
                        to_start: (*to_start).clone(),
                        to_end: (*to_end).clone(),
                        start_pairs: swapped(start_pairs),
                        end_pairs: swapped(end_pairs),
                    }),
                    from_view: start.to_view,
                    to_view: end.to_view,
                });
            }
        }
    }
    found
}
