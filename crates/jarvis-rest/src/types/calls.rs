//! Which functions can be called, with what, and which of their overloads cannot be told apart.

use super::order::Names;
use super::read::{Argument, Catalogue, Function, Type};

/// `json`, `jsonb` and `text`: a single argument of these may go without a name, since a request's body can be it.
const BODIES: [i64; 3] = [114, 3802, 25];

/// The overloads of one name.
pub struct Called<'a> {
    /// Their schema.
    pub schema: &'a str,
    /// Their name.
    pub name: &'a str,
    /// The overloads.
    pub overloads: Vec<Call<'a>>,
}

/// One of the overloads.
pub struct Call<'a> {
    /// The function.
    pub function: &'a Function,
    /// What it is given, in order of the names.
    pub arguments: Vec<&'a Argument>,
    /// The columns of `returns table`, in order of the names; empty for other functions.
    pub columns: Vec<&'a Argument>,
    /// What relation or composite type its rows are, and of what it is a field.
    pub rows: Option<Rows>,
    /// The relation, by oid, that it is a computed field of.
    pub field_of: Option<i64>,
    /// Why it cannot be called.
    pub error: Option<String>,
}

/// The rows that a function gives back.
pub struct Rows {
    /// The relation whose row it takes; `*` for none.
    pub from: String,
    /// What it gives rows of.
    pub to: String,
    /// Whether it is at most one row.
    pub single: bool,
}

/// All that can be called, in order.
pub fn all<'a>(catalogue: &'a Catalogue, names: &Names) -> Vec<Called<'a>> {
    let mut found: Vec<(&Function, Vec<&Function>)> = Vec::new();
    for function in catalogue
        .functions
        .iter()
        .filter(|function| callable(catalogue, function))
    {
        match found.last_mut() {
            Some((first, all)) if (&first.schema, &first.name) == (&function.schema, &function.name) => {
                all.push(function);
            }
            _ => found.push((function, vec![function])),
        }
    }
    found
        .into_iter()
        .map(|(first, overloads)| Called {
            schema: &first.schema,
            name: &first.name,
            overloads: overloads
                .iter()
                .map(|function| call(catalogue, function, &overloads, names))
                .collect(),
        })
        .collect()
}

fn given(function: &Function) -> Vec<&Argument> {
    let mut arguments = function.arguments.iter().collect::<Vec<_>>();
    arguments.retain(|argument| matches!(argument.mode.as_str(), "i" | "b" | "v"));
    arguments
}

/// The composite type, or type of a relation's row, with this oid.
fn composite(catalogue: &Catalogue, oid: i64) -> Option<&Type> {
    catalogue.type_of(oid).filter(|of| of.relation.is_some())
}

/// Arguments are given by name. Without names go those that may be left out, and a single one that is the body or a row.
fn callable(catalogue: &Catalogue, function: &Function) -> bool {
    let given = given(function);
    let body = |argument: &Argument| BODIES.contains(&argument.of);
    given
        .iter()
        .all(|argument| !argument.name.is_empty() || argument.has_default && body(argument))
        || matches!(given.as_slice(), [only] if body(only) || composite(catalogue, only.of).is_some())
}

fn call<'a>(
    catalogue: &'a Catalogue,
    function: &'a Function,
    overloads: &[&Function],
    names: &Names,
) -> Call<'a> {
    let sorted = |mut all: Vec<&'a Argument>| {
        all.sort_by(|a, b| names.compare(&a.name, &b.name));
        all
    };
    let table = function.arguments.iter().filter(|argument| argument.mode == "t");
    Call {
        function,
        arguments: sorted(given(function)),
        columns: sorted(table.collect()),
        rows: rows(catalogue, function),
        field_of: field_of(catalogue, function),
        error: error(catalogue, function, overloads),
    }
}

fn rows(catalogue: &Catalogue, function: &Function) -> Option<Rows> {
    let of = composite(catalogue, function.returns)?;
    let relation = of.relation.and_then(|oid| catalogue.relation(oid));
    let from = match function.arguments.as_slice() {
        [only] => composite(catalogue, only.of),
        _ => None,
    };
    Some(Rows {
        single: !function.set || function.rows <= 1.0,
        from: from.map_or("*", |of| &of.shown).to_owned(),
        to: relation.map_or(&of.name, |relation| &relation.name).clone(),
    })
}

/// A function of one row of a relation of its schema is a field of that relation, unless that has a column of the name.
fn field_of(catalogue: &Catalogue, function: &Function) -> Option<i64> {
    let given = given(function);
    let [only] = given.as_slice() else { return None };
    let relation = catalogue.relation(composite(catalogue, only.of)?.relation?)?;
    let taken = || relation.columns.iter().any(|column| column.name == function.name);
    (relation.schema == function.schema && !taken()).then_some(relation.oid)
}

fn error(catalogue: &Catalogue, function: &Function, overloads: &[&Function]) -> Option<String> {
    let named = |oid: i64| catalogue.type_of(oid).map_or("unknown", |of| &of.name);
    let full = format!("{}.{}", function.schema, function.name);
    let ambiguous = |candidates: &str| {
        format!(
            "Could not choose the best candidate function between: {candidates}. Try renaming the parameters or the function \
             itself in the database so function overloading can be resolved"
        )
    };
    let others = || overloads.iter().filter(|other| other.oid != function.oid);
    let given_here = given(function);
    if given_here.is_empty() {
        let silent = others().find(
            |other| matches!(given(other).as_slice(), [only] if only.name.is_empty() && only.has_default),
        );
        if let Some(other) = silent {
            let candidates = format!("{full}(), {full}( => {})", named(other.returns));
            return Some(ambiguous(&candidates));
        }
    }
    let [only] = given_here.as_slice() else {
        return None;
    };
    if only.name.is_empty() {
        return composite(catalogue, only.of).map(|_| {
            format!(
                "the function {full} with parameter or with a single unnamed json/jsonb parameter, but no matches were found \
                 in the schema cache"
            )
        });
    }
    let mut same: Vec<i64> = others()
        .filter_map(|other| match given(other).as_slice() {
            [theirs] if theirs.name == only.name && theirs.of != only.of => Some(theirs.of),
            _ => None,
        })
        .collect();
    if same.is_empty() {
        return None;
    }
    same.push(only.of);
    same.sort_unstable();
    let candidates: Vec<String> = same
        .iter()
        .map(|of| format!("{full}({} => {})", only.name, named(*of)))
        .collect();
    Some(ambiguous(&candidates.join(", ")))
}
