//! The roles that every database of ours needs, made as the first migration makes them.

use super::error::BackupError;
use crate::error::DbError;
use crate::migrations::Source;
use sqlx::{AssertSqlSafe, PgConnection};

/// The blocks of the first migration that make roles and memberships; each may be run any number of times.
fn blocks() -> Option<Vec<&'static str>> {
    let first = Source::embedded().migrations().first()?.up_text()?;
    ["roles", "memberships"]
        .iter()
        .map(|name| {
            let begin = first.find(&format!("do ${name}$"))?;
            let end = format!("${name}$;");
            let length = first[begin..].find(&end)? + end.len();
            Some(&first[begin..begin + length])
        })
        .collect()
}

/// Makes what is missing. Roles belong to the cluster, so any database of it will do.
pub(super) async fn make(conn: &mut PgConnection) -> Result<(), BackupError> {
    let blocks = blocks().expect("the first migration makes the roles; a test says so");
    for block in blocks {
        sqlx::raw_sql(AssertSqlSafe(block.to_owned()))
            .execute(&mut *conn)
            .await
            .map_err(DbError::from)?;
    }
    Ok(())
}

/// Those of `roles` that the cluster lacks.
pub(super) async fn missing(conn: &mut PgConnection, roles: &[String]) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar(
        "select wanted from unnest($1::text[]) as wanted
          where not exists (select from pg_catalog.pg_roles where rolname = wanted) order by 1",
    )
    .bind(roles)
    .fetch_all(conn)
    .await?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_migration_makes_the_roles_and_their_memberships() {
        let blocks = super::blocks().unwrap();
        assert_eq!(blocks.len(), 2);
        assert!(blocks[0].contains("create role") && blocks[0].ends_with("$roles$;"));
        assert!(blocks[1].contains("jarvis_login") && blocks[1].ends_with("$memberships$;"));
    }
}
