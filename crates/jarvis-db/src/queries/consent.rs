//! The consent ledger: append-only, the newest row of a purpose is in force.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{ConsentSet, GymId, MemberId, Purpose};
use uuid::Uuid;

/// A line to append.
#[derive(Debug, Clone, Copy)]
pub struct NewConsent<'a> {
    /// The line's id.
    pub id: Uuid,
    /// The member.
    pub member: MemberId,
    /// The purpose.
    pub purpose: Purpose,
    /// Given or withdrawn.
    pub granted: bool,
    /// Given by the guardian of a member under 15.
    pub by_guardian: bool,
    /// Version of the text that was shown.
    pub statement_version: &'a str,
    /// Where: `kiosk`, `reception`, `import`, `cli` or `api`.
    pub source: &'a str,
    /// Who recorded it.
    pub actor: &'a str,
    /// When.
    pub recorded_at: DateTime<Utc>,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConsentLine {
    /// The purpose.
    pub purpose: String,
    /// Given or withdrawn.
    pub granted: bool,
    /// Given by a guardian.
    pub by_guardian: bool,
    /// Version of the text that was shown.
    pub statement_version: Option<String>,
    /// Where it was recorded.
    pub source: String,
    /// Who recorded it.
    pub actor: String,
    /// When.
    pub recorded_at: DateTime<Utc>,
}

/// Appends a line.
pub async fn insert(tx: &mut ScopedTx, gym: GymId, line: &NewConsent<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "insert into jarvis.consent_ledger
           (id, gym_id, member_id, purpose, granted, by_guardian, statement_version, source, actor, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        line.id,
        gym.as_uuid(),
        line.member.as_uuid(),
        line.purpose.as_str(),
        line.granted,
        line.by_guardian,
        line.statement_version,
        line.source,
        line.actor,
        line.recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The purposes in force now; the database decides, so that its triggers and we never disagree.
pub async fn in_force(tx: &mut ScopedTx, gym: GymId, member: MemberId) -> Result<ConsentSet, DbError> {
    let purposes: Vec<String> = Purpose::ALL.iter().map(|p| p.as_str().to_owned()).collect();
    let granted = sqlx::query_scalar!(
        r#"select p as "purpose!" from unnest($3::text[]) as p where jarvis.has_consent($1, $2, p)"#,
        gym.as_uuid(),
        member.as_uuid(),
        &purposes,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(granted.iter().filter_map(|p| p.parse().ok()).collect())
}

/// The purposes in force now for each of several members, in their order.
pub async fn in_force_of(
    tx: &mut ScopedTx,
    gym: GymId,
    members: &[MemberId],
) -> Result<Vec<ConsentSet>, DbError> {
    let ids: Vec<Uuid> = members.iter().map(|m| m.as_uuid()).collect();
    let purposes: Vec<String> = Purpose::ALL.iter().map(|p| p.as_str().to_owned()).collect();
    let granted = sqlx::query_scalar!(
        r#"select array(select p from unnest($3::text[]) as p where jarvis.has_consent($1, m.id, p)) as "purposes!"
             from unnest($2::uuid[]) with ordinality as m(id, n) order by m.n"#,
        gym.as_uuid(),
        &ids,
        &purposes,
    )
    .fetch_all(&mut **tx)
    .await?;
    let set = |purposes: Vec<String>| purposes.iter().filter_map(|p| p.parse().ok()).collect();
    Ok(granted.into_iter().map(set).collect())
}

/// Every line of one member, newest first.
pub async fn list(tx: &mut ScopedTx, gym: GymId, member: MemberId) -> Result<Vec<ConsentLine>, DbError> {
    Ok(sqlx::query_as!(
        ConsentLine,
        "select purpose, granted, by_guardian, statement_version, source, actor, recorded_at
           from jarvis.consent_ledger where gym_id = $1 and member_id = $2 order by recorded_at desc, id desc",
        gym.as_uuid(),
        member.as_uuid(),
    )
    .fetch_all(&mut **tx)
    .await?)
}
