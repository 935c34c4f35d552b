//! What the data API is asked for while it is measured.

use crate::DbError;
use sqlx::PgConnection;
use sqlx::types::Uuid;

/// Rows of a gym that was filled.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The gym.
    pub gym: Uuid,
    /// A member with a profile, preferences and summaries.
    pub member: Uuid,
    /// A session of theirs that goes on.
    pub session: String,
}

/// Gives every member a profile and preferences, and picks the rows that are asked for.
///
/// # Errors
/// When the database was not filled, or the role may not write there.
pub async fn prepare(admin: &mut PgConnection) -> Result<Ground, DbError> {
    for statement in [
        "insert into public.member_fitness_profile (member_id, gym_id) select id, gym_id from public.gym_members_v2
         on conflict do nothing",
        "insert into public.member_preferences (member_id, gym_id) select id, gym_id from public.gym_members_v2
         on conflict do nothing",
        "analyze public.member_fitness_profile, public.member_preferences",
    ] {
        sqlx::raw_sql(statement).execute(&mut *admin).await?;
    }
    let (gym, member): (Uuid, Uuid) = sqlx::query_as(
        "select gym_id, member_id from public.conversation_summaries group by 1, 2 order by count(*) desc, 2 limit 1",
    )
    .fetch_one(&mut *admin)
    .await?;
    let session = "bench-rest".to_owned();
    sqlx::query(
        "insert into public.conversation_sessions (session_id, gym_id, member_id) values ($1, $2, $3)",
    )
    .bind(&session)
    .bind(gym)
    .bind(member)
    .execute(&mut *admin)
    .await?;
    Ok(Ground { gym, member, session })
}

/// The folder of PostgreSQL's programs, on the machine where it runs.
///
/// # Errors
/// When the role may not know.
pub async fn programs(admin: &mut PgConnection) -> Result<String, DbError> {
    Ok(
        sqlx::query_scalar("select setting from pg_catalog.pg_config where name = 'BINDIR'")
            .fetch_one(admin)
            .await?,
    )
}
