//! The design that the guide describes, to be compared with.

use crate::DbError;
use sqlx::PgConnection;

/// Builds the guide's tables, empty, with its index, policies and function.
///
/// # Errors
/// When the schema `guide` is there already, or the role may not create it.
pub async fn build(admin: &mut PgConnection) -> Result<(), DbError> {
    sqlx::raw_sql("set search_path = public, extensions")
        .execute(&mut *admin)
        .await?;
    sqlx::raw_sql(include_str!("guide.sql")).execute(admin).await?;
    Ok(())
}
