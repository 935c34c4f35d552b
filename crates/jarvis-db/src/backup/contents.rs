//! What tables and sequences hold, in numbers that do not depend on the order of rows or on who asks.

use super::manifest::{Manifest, SequenceValue, TableContent};
use crate::error::DbError;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::collections::BTreeMap;

/// Puts together one query per table. Generated columns are not data. The text of a vector would be long and slow to
/// make: types of extensions are taken as they are sent over the wire.
const QUERIES: &str = "
    select pg_catalog.format('%I.%I', n.nspname, c.relname),
           pg_catalog.format(
             'select pg_catalog.count(*), coalesce(pg_catalog.sum((''x'' || pg_catalog.encode(pg_catalog.substr(
                pg_catalog.sha256(pg_catalog.convert_to(line, ''UTF8'')), 1, 8), ''hex''))::bit(64)::bigint), 0)::text
                from (select row(%s)::text as line from only %I.%I) as lines',
             (select pg_catalog.string_agg(
                       case when t.typsend <> 0 and exists (select from pg_catalog.pg_depend e
                                   where e.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and e.objid = t.oid
                                     and e.deptype = 'e')
                            then pg_catalog.format('%s(%I)', t.typsend::pg_catalog.regproc, a.attname)
                            else pg_catalog.quote_ident(a.attname) end, ', ' order by a.attnum)
                from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
               where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''),
             n.nspname, c.relname)
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and c.relpersistence <> 't'
       and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' and not n.nspname = any ($1)
       and not exists (select from pg_catalog.pg_depend e
                        where e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and e.objid = c.oid
                          and e.deptype = 'e')
     order by 1";

/// Counts and sums every table.
pub(super) async fn tables(
    conn: &mut PgConnection,
    left_out: &[String],
) -> Result<Vec<TableContent>, DbError> {
    let queries = sqlx::query(QUERIES).bind(left_out).fetch_all(&mut *conn).await?;
    let mut found = Vec::with_capacity(queries.len());
    for query in queries {
        // Put together by PostgreSQL, which quotes the names of its own catalogue.
        let row = sqlx::query(AssertSqlSafe(query.get::<String, _>(1)))
            .fetch_one(&mut *conn)
            .await?;
        found.push(TableContent {
            table: query.get(0),
            rows: row.get(0),
            sum: row.get(1),
        });
    }
    Ok(found)
}

/// Where every sequence stands.
pub(super) async fn sequences(
    conn: &mut PgConnection,
    left_out: &[String],
) -> Result<Vec<SequenceValue>, DbError> {
    let rows = sqlx::query(
        "select pg_catalog.format('%I.%I', s.schemaname, s.sequencename), s.last_value
           from pg_catalog.pg_sequences s
          where s.last_value is not null and not s.schemaname = any ($1) order by 1",
    )
    .bind(left_out)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| SequenceValue {
            sequence: row.get(0),
            last_value: row.get(1),
        })
        .collect())
}

/// How a restored database differs from what was backed up; counts and names, no data. Structures are compared only
/// between servers of one major version: others word the same thing differently.
pub(super) fn differences(backup: &Manifest, restored: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    let there: BTreeMap<&str, &TableContent> =
        restored.tables.iter().map(|t| (t.table.as_str(), t)).collect();
    for table in &backup.tables {
        match there.get(table.table.as_str()) {
            None => found.push(format!("{} is missing", table.table)),
            Some(other) if other.rows != table.rows => {
                found.push(format!(
                    "{} has {} rows instead of {}",
                    table.table, other.rows, table.rows
                ));
            }
            Some(other) if other.sum != table.sum => {
                found.push(format!(
                    "{} holds other values in its {} rows",
                    table.table, table.rows
                ));
            }
            Some(_) => {}
        }
    }
    if there.len() > backup.tables.len() {
        found.push(format!(
            "{} tables instead of {}",
            there.len(),
            backup.tables.len()
        ));
    }
    let at: BTreeMap<&str, i64> = restored
        .sequences
        .iter()
        .map(|s| (s.sequence.as_str(), s.last_value))
        .collect();
    for sequence in &backup.sequences {
        if at
            .get(sequence.sequence.as_str())
            .is_none_or(|value| *value < sequence.last_value)
        {
            found.push(format!(
                "{} stands before {}",
                sequence.sequence, sequence.last_value
            ));
        }
    }
    if backup.server_major == restored.server_major {
        found.extend(structure(&backup.catalogue, &restored.catalogue));
    }
    if backup.migrations != restored.migrations {
        found.push("other migrations are recorded".into());
    }
    found
}

/// Objects that differ; at most ten are named.
fn structure(backup: &BTreeMap<String, String>, restored: &BTreeMap<String, String>) -> Vec<String> {
    let changed = backup
        .iter()
        .filter_map(|(object, hash)| match restored.get(object) {
            None => Some(format!("{object} is missing")),
            Some(other) if other != hash => Some(format!("{object} is another")),
            Some(_) => None,
        });
    let surplus = restored.keys().filter(|object| !backup.contains_key(*object));
    let surplus = surplus.map(|object| format!("{object} should not be there"));
    changed.chain(surplus).take(10).collect()
}
