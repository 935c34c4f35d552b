//! The roles that every database of ours needs, made as the first migration makes them, and what belongs to them.

use super::error::BackupError;
use super::manifest::Owned;
use super::scratch::quoted;
use crate::error::DbError;
use crate::migrations::Source;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::collections::BTreeSet;

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

/// Gives objects to whom they belong. Functions that act with the rights of their owner depend on it.
pub(super) async fn give_away(conn: &mut PgConnection, owned: &[Owned]) -> Result<(), BackupError> {
    let superuser: bool =
        sqlx::query_scalar("select rolsuper from pg_catalog.pg_roles where rolname = current_user")
            .fetch_one(&mut *conn)
            .await?;
    // Whoever receives something must be able to make it; a superuser may give it anyway.
    let places: BTreeSet<(&str, &str)> = owned
        .iter()
        .filter_map(|o| Some((o.schema.as_deref()?, o.owner.as_str())))
        .filter(|_| !superuser)
        .collect();
    let mut statements = vec!["set local search_path = ''".to_owned()];
    let right = |(schema, owner): &(&str, &str), verb: &str, word: &str| {
        format!(
            "{verb} create on schema {} {word} {}",
            quoted(schema),
            quoted(owner)
        )
    };
    statements.extend(places.iter().map(|place| right(place, "grant", "to")));
    statements.extend(
        owned
            .iter()
            .map(|o| format!("alter {} {} owner to {}", o.kind, o.identity, quoted(&o.owner))),
    );
    statements.extend(places.iter().map(|place| right(place, "revoke", "from")));
    statements.extend(owned.iter().flat_map(kept_rights));
    let mut tx = conn.begin().await?;
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}

/// What the role that restores may still do with something that it gave away.
fn kept_rights(owned: &Owned) -> Vec<String> {
    let kind = match owned.kind.as_str() {
        "view" | "materialized view" | "foreign table" => "table",
        "aggregate" => "function",
        kind => kind,
    };
    let grants = owned
        .rights
        .iter()
        .map(|right| format!("grant {right} on {kind} {} to session_user", owned.identity));
    let become_owner = format!("set local role {}", quoted(&owned.owner));
    let again = ["reset role".to_owned()];
    let grants: Vec<String> = grants.collect();
    if grants.is_empty() {
        return grants;
    }
    std::iter::once(become_owner).chain(grants).chain(again).collect()
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
