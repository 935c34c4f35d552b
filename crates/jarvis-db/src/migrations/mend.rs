//! The SQL that makes an object as it should be.

use super::catalogue::Difference;
use std::collections::BTreeSet;

/// What the owner of the database runs to mend `difference`.
pub(super) fn sql(difference: &Difference) -> String {
    let Difference {
        object,
        expected,
        found,
    } = difference;
    let name = object.name.as_str();
    let expected = expected.as_deref();
    let drop_it = || format!("drop {} {name};", object.kind);
    match object.kind.as_str() {
        "row level security" => row_security(name, expected.unwrap_or_default()),
        "rights" => rights(name, None, expected, found.as_deref()),
        "rights on column" => {
            let (table, column) = name.rsplit_once('.').unwrap_or((name, ""));
            rights(table, Some(column), expected, found.as_deref())
        }
        "policy" => match (expected, found) {
            (Some(expected), None) => format!("create policy {name} {expected};"),
            (Some(expected), Some(_)) => format!("drop policy {name}; create policy {name} {expected};"),
            (None, _) => drop_it(),
        },
        "constraint" => {
            let (constraint, table) = name.rsplit_once(" on ").unwrap_or((name, ""));
            let drop_first = match found {
                Some(_) => format!("alter table {table} drop constraint {constraint}; "),
                None => String::new(),
            };
            let add = format!(
                "alter table {table} add constraint {constraint} {};",
                expected.unwrap_or_default()
            );
            drop_first + &add
        }
        "trigger" | "index" => match (expected, found) {
            (Some(expected), None) => format!("{expected};"),
            (Some(expected), Some(_)) => format!("{} {expected};", drop_it()),
            (None, _) => drop_it(),
        },
        "column" if found.is_none() => {
            let (table, column) = name.rsplit_once('.').unwrap_or((name, ""));
            format!(
                "alter table {table} add column {column} {};",
                expected.unwrap_or_default()
            )
        }
        "column" if expected.is_some() => column(name, expected.unwrap_or_default(), found.as_deref()),
        "function" => function(name, expected, found.as_deref()),
        "comment" => {
            let kind = match object.relation.as_deref() {
                None => "function",
                Some(relation) if relation == name => "table",
                Some(_) => "column",
            };
            let text = expected.unwrap_or_default().replace('\'', "''");
            format!("comment on {kind} {name} is '{text}';")
        }
        "extension" => format!("create extension {name} schema extensions;"),
        "table" if found.is_none() => {
            "restore a backup into another database and bring the table back from there: its rows are gone with it"
                .into()
        }
        _ if expected.is_none() => drop_it(),
        _ => format!(
            "make it as the migrations do: {}",
            expected.unwrap_or_default()
        ),
    }
}

fn row_security(table: &str, expected: &str) -> String {
    let enable = expected
        .starts_with("enabled")
        .then(|| format!("alter table {table} enable row level security;"));
    let force = expected
        .ends_with(", forced")
        .then(|| format!("alter table {table} force row level security;"));
    joined(enable.into_iter().chain(force))
}

fn joined(statements: impl Iterator<Item = String>) -> String {
    statements.collect::<Vec<_>>().join(" ")
}

/// A column's definition, as the catalogue says it, in its parts: type, `not null`, default.
fn parts_of_column(definition: &str) -> (&str, bool, Option<&str>) {
    let (rest, default) = match definition.split_once(" default ") {
        Some((rest, default)) => (rest, Some(default)),
        None => (definition, None),
    };
    match rest.strip_suffix(" not null") {
        Some(kind) => (kind, true, default),
        None => (rest, false, default),
    }
}

fn column(name: &str, expected: &str, found: Option<&str>) -> String {
    let (table, column) = name.rsplit_once('.').unwrap_or((name, ""));
    let alter = |what: String| format!("alter table {table} alter column {column} {what};");
    let ((kind, required, default), (old_kind, was_required, old_default)) = (
        parts_of_column(expected),
        parts_of_column(found.unwrap_or_default()),
    );
    let kind = (kind != old_kind).then(|| alter(format!("type {kind}")));
    let default = (default != old_default).then(|| {
        alter(default.map_or_else(
            || "drop default".to_owned(),
            |default| format!("set default {default}"),
        ))
    });
    let required = (required != was_required)
        .then(|| alter(if required { "set not null" } else { "drop not null" }.to_owned()));
    joined([kind, default, required].into_iter().flatten())
}

/// `a may select, b may update`, as the catalogue says it, made into grants and revocations.
fn rights(table: &str, column: Option<&str>, expected: Option<&str>, found: Option<&str>) -> String {
    let set = |text: Option<&str>| -> BTreeSet<(String, String)> {
        text.unwrap_or_default()
            .split(", ")
            .filter_map(|right| right.split_once(" may "))
            .map(|(role, right)| (role.to_owned(), right.to_owned()))
            .collect()
    };
    let (expected, found) = (set(expected), set(found));
    let column = column.map(|c| format!(" ({c})")).unwrap_or_default();
    let revoke = found.difference(&expected).map(|(role, right)| {
        let right = right.trim_end_matches(" with grant option");
        format!("revoke {right}{column} on {table} from {role};")
    });
    let grant = expected.difference(&found).map(|(role, right)| {
        let (right, option) = match right.strip_suffix(" with grant option") {
            Some(right) => (right, " with grant option"),
            None => (right.as_str(), ""),
        };
        format!("grant {right}{column} on {table} to {role}{option};")
    });
    joined(revoke.chain(grant))
}

/// The first line of a function in the catalogue says whose it is and who executes it, the rest defines it.
fn function(name: &str, expected: Option<&str>, found: Option<&str>) -> String {
    let parts = |text: Option<&str>| {
        let text = text.unwrap_or_default();
        let (head, definition) = text.split_once('\n').unwrap_or((text, ""));
        let (owner, callers) = head.split_once(", executed by ").unwrap_or((head, ""));
        let owner = owner.trim_start_matches("owner ").to_owned();
        (owner, callers.to_owned(), definition.trim_end().to_owned())
    };
    let ((owner, callers, definition), (old_owner, old_callers, old_definition)) =
        (parts(expected), parts(found));
    let define = (definition != old_definition).then(|| format!("{definition};"));
    let give = (owner != old_owner && owner != "(owner)")
        .then(|| format!("alter function {name} owner to {owner};"));
    let somebody = |callers: &str| !callers.is_empty() && callers != "nobody but the owner";
    let others = if somebody(&old_callers) {
        format!("public, {}", old_callers.replace("public, ", ""))
    } else {
        "public".to_owned()
    };
    let changed = callers != old_callers;
    let close = changed.then(|| format!("revoke execute on function {name} from {others};"));
    let open =
        (changed && somebody(&callers)).then(|| format!("grant execute on function {name} to {callers};"));
    joined([define, give, close, open].into_iter().flatten())
}
