//! Everything that is stored, as text.

use sqlx::{AssertSqlSafe, PgPool, Row as _};

/// Every column of every row of every table, as `schema.table: row`; not the migrations themselves, which are kept
/// word by word.
pub async fn everything(pool: &PgPool) -> Vec<String> {
    let tables = sqlx::query(
        "select format('%I.%I', n.nspname, c.relname) as name
           from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('r', 'p', 'm')
            and n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', 'supabase_migrations')
          order by 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let table: String = table.get("name");
        let found = sqlx::query_scalar::<_, String>(AssertSqlSafe(format!("select t::text from {table} t")))
            .fetch_all(pool)
            .await
            .unwrap();
        rows.extend(found.into_iter().map(|row| format!("{table}: {row}")));
    }
    rows
}

/// The lines in which one of the words occurs, whatever the case.
pub fn traces<'a>(lines: impl IntoIterator<Item = &'a str>, words: &[&str]) -> Vec<&'a str> {
    let lines = lines.into_iter();
    lines
        .filter(|line| {
            let line = line.to_lowercase();
            words.iter().any(|word| line.contains(word))
        })
        .collect()
}

/// How many rows a query counts.
pub async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}
