//! What a channel asks to hear of tables, `config.postgres_changes` of its join.

use super::{Rows, Table, Unread};
use crate::keys::Admitted;
use jarvis_db::changes::Act;
use serde_json::Value;
use std::collections::BTreeSet;

/// The one schema that is exposed.
const SCHEMA: &str = "public";
/// The comparisons of a filter.
const COMPARISONS: [&str; 7] = ["eq", "neq", "lt", "lte", "gt", "gte", "in"];

/// One of the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::realtime) struct Asked {
    pub(super) tables: BTreeSet<String>,
    /// None means all.
    pub(super) act: Option<Act>,
    /// A column and a condition, as the data API reads them.
    pub(super) filter: Option<(String, String)>,
}

impl Asked {
    /// Reads an entry `{event, schema, table, filter}` and looks whether `who` may read it so.
    ///
    /// # Errors
    /// Words for the client.
    pub(in crate::realtime) async fn read(
        entry: &Value,
        rows: &dyn Rows,
        who: &Admitted,
    ) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("InvalidPostgresChanges: {what}"));
        let given = |name: &str| entry[name].as_str().filter(|text| *text != "*");
        let act = match given("event") {
            None if entry["event"] == "*" => None,
            Some("INSERT") => Some(Act::Insert),
            Some("UPDATE") => Some(Act::Update),
            Some("DELETE") => Some(Act::Delete),
            _ => return wrong("event: INSERT, UPDATE, DELETE or *"),
        };
        if given("schema").is_some_and(|schema| schema != SCHEMA) {
            return wrong("schema: only public is exposed");
        }
        if !entry["select"].is_null() {
            return wrong("select: all columns are told; leave it out");
        }
        let Some(name) = given("table") else {
            if given("filter").is_some() {
                return wrong("filter: name a table");
            }
            return Ok(Self {
                tables: rows.tables(),
                act,
                filter: None,
            });
        };
        let Some(table) = rows.table(name) else {
            return wrong("table: no such table with a key in schema public");
        };
        let filter = match given("filter") {
            None => None,
            Some(text) => {
                Some(filter(text, &table).map_err(|what| format!("InvalidPostgresChanges: {what}"))?)
            }
        };
        // Nothing is read yet, but PostgreSQL sees the types and the rights.
        let mut query = vec![("limit".to_owned(), "0".to_owned())];
        query.extend(filter.clone());
        match rows.read(who, name, &query).await {
            Ok(_) => Ok(Self {
                tables: BTreeSet::from([name.to_owned()]),
                act,
                filter,
            }),
            Err(Unread::Refused(why)) => wrong(&why),
            Err(Unread::Unavailable) => Err(super::UNAVAILABLE.to_owned()),
        }
    }
}

/// `column=eq.value`. Columns that are not told cannot be asked about either.
fn filter(text: &str, table: &Table) -> Result<(String, String), String> {
    let (column, condition) = text.split_once('=').ok_or("filter: column=eq.value")?;
    let (comparison, _) = condition.split_once('.').ok_or("filter: column=eq.value")?;
    if !COMPARISONS.contains(&comparison) {
        return Err(format!("filter: one of {}", COMPARISONS.join(", ")));
    }
    if !table.columns.iter().any(|(name, _)| name == column) {
        return Err("filter: no such column".to_owned());
    }
    Ok((column.to_owned(), condition.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_a_column_that_is_told_and_a_comparison() {
        let table = Table {
            columns: vec![("id".to_owned(), "uuid".to_owned())],
        };
        for good in ["id=eq.1", "id=in.(1,2)", "id=neq.a=b.c"] {
            let (column, condition) = filter(good, &table).unwrap();
            assert_eq!(format!("{column}={condition}"), good);
        }
        for wrong in [
            "id",
            "id=1",
            "id=like.x",
            "embedding=eq.1",
            "select=eq.1",
            "id=not.eq.1",
        ] {
            assert!(filter(wrong, &table).is_err(), "{wrong}");
        }
    }
}
