use crate::error::DbError;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a down migration would take away.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Loss {
    /// Schema and table.
    pub table: String,
    /// The column, when the table itself stays.
    pub column: Option<String>,
    /// How many rows hold something there.
    pub rows: i64,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.rows == 1 {
            "1 row"
        } else {
            &format!("{} rows", self.rows)
        };
        match &self.column {
            Some(column) => write!(f, "{rows} in column {}.{column}", self.table),
            None => write!(f, "{rows} of {}", self.table),
        }
    }
}

/// Table and column, quoted where PostgreSQL needs it.
pub(super) type Shape = BTreeSet<(String, String)>;

/// Every column of every table that is neither PostgreSQL's, nor an extension's, nor the history.
pub(super) async fn shape(connection: &mut PgConnection) -> Result<Shape, DbError> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname), format('%I', a.attname)
         from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where a.attnum > 0 and not a.attisdropped
           and n.nspname not in ('pg_catalog', 'information_schema', 'supabase_migrations')
           and n.nspname not like 'pg\\_%'
           and not exists (select from pg_catalog.pg_depend d
                           where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')",
    )
    .fetch_all(connection)
    .await?;
    Ok(columns.into_iter().collect())
}

/// Counts what is in `before` and no more in `after`. To be called where `before` still holds.
pub(super) async fn count(
    connection: &mut PgConnection,
    before: &Shape,
    after: &Shape,
    reference_tables: &[&str],
) -> Result<Vec<Loss>, DbError> {
    let kept: BTreeSet<&str> = after.iter().map(|(table, _)| table.as_str()).collect();
    let gone = before
        .difference(after)
        .filter(|(table, _)| !reference_tables.contains(&table.as_str()));
    let mut asked = BTreeSet::new();
    let mut lost = Vec::new();
    for (table, column) in gone {
        let column = kept.contains(table.as_str()).then_some(column);
        if !asked.insert((table, column)) {
            continue;
        }
        let what = column.map_or("*", |column| column.as_str());
        // Both names come quoted out of the catalogue.
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count({what}) from {table}")))
            .fetch_one(&mut *connection)
            .await?;
        if rows > 0 {
            lost.push(Loss {
                table: table.clone(),
                column: column.cloned(),
                rows,
            });
        }
    }
    Ok(lost)
}

/// Lets nobody write until the transaction ends, so that what is counted stays true; returns the tables. Those of other
/// owners, such as a platform's, are left alone: no down of ours can touch them.
pub(super) async fn hold(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname)
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and pg_has_role(c.relowner, 'usage')
           and n.nspname not in ('pg_catalog', 'information_schema', 'supabase_migrations')
           and n.nspname not like 'pg\\_%'
         order by 1",
    )
    .fetch_all(&mut *connection)
    .await?;
    for table in &tables {
        // The name comes quoted out of the catalogue.
        sqlx::query(AssertSqlSafe(format!(
            "lock table {table} in share row exclusive mode"
        )))
        .execute(&mut *connection)
        .await?;
    }
    Ok(tables)
}

/// How many rows each of `tables` holds that still is in `shape`.
pub(super) async fn rows(
    connection: &mut PgConnection,
    tables: &[String],
    shape: &Shape,
    reference_tables: &[&str],
) -> Result<BTreeMap<String, i64>, DbError> {
    let kept: BTreeSet<&String> = shape.iter().map(|(table, _)| table).collect();
    let mut counted = BTreeMap::new();
    for table in tables {
        if reference_tables.contains(&table.as_str()) || !kept.contains(table) {
            continue;
        }
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&mut *connection)
            .await?;
        counted.insert(table.clone(), rows);
    }
    Ok(counted)
}

/// The rows that a down deletes out of tables it leaves.
pub(super) fn fewer_rows(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> Vec<Loss> {
    let lost = |(table, rows): (&String, &i64)| {
        let rows = rows - after.get(table)?;
        (rows > 0).then(|| Loss {
            table: table.clone(),
            column: None,
            rows,
        })
    };
    before.iter().filter_map(lost).collect()
}
