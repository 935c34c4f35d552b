//! Tables of somebody else by the names of ours.

use super::error::MigrationError;
use super::history::table_exists;
use super::source::Source;
use crate::error::DbError;
use sqlx::PgConnection;

/// What the migrations make in schema `public`.
const OUR_TABLES: [&str; 14] = [
    "gyms",
    "users",
    "kiosks",
    "gym_members_v2",
    "member_fitness_profile",
    "member_preferences",
    "member_visits",
    "conversation_sessions",
    "conversation_events",
    "member_facts",
    "conversation_summaries",
    "member_analytics",
    "manager_alerts",
    "insights_reports",
];

/// Refuses a database where somebody else's tables have the names of ours, before anything is changed.
pub(super) async fn refuse_taken(
    connection: &mut PgConnection,
    source: &Source,
) -> Result<(), MigrationError> {
    let Some(landmark) = source.landmark else {
        return Ok(());
    };
    if table_exists(connection, landmark).await? {
        return Ok(());
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_catalog.pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and c.relname = any ($1) order by 1",
    )
    .bind(&OUR_TABLES[..])
    .fetch_all(connection)
    .await
    .map_err(DbError::from)?;
    if tables.is_empty() {
        Ok(())
    } else {
        Err(MigrationError::NamesTaken { tables })
    }
}
