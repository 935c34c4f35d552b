use crate::error::DbError;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use std::fmt;

/// What a down migration would take away.
#[derive(Debug, Clone, PartialEq, Eq)]
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
