//! The audit: who read or changed what, never what it said. Changes are entered by the database; reads by who reads.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, MemberId};
use sqlx::Row as _;
use uuid::Uuid;

/// What is read that the audit must tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// A context with facts about health, as the assistant is given it.
    Context,
    /// The facts of a member.
    Facts,
    /// The history of a member's facts.
    FactHistory,
    /// What was said in a conversation.
    Transcript,
    /// Memories of a member, by a question.
    Recall,
}

impl Read {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Context => ("context.read", "context"),
            Self::Facts => ("fact.read", "fact"),
            Self::FactHistory => ("fact_history.read", "fact"),
            Self::Transcript => ("transcript.read", "conversation"),
            Self::Recall => ("memory.recall", "conversation"),
        }
    }
}

/// Enters a read, by the actor of the transaction's scope. `of` names the conversation, when it is one.
pub async fn note_read(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    read: Read,
    of: Option<&str>,
) -> Result<(), DbError> {
    let (action, entity) = read.words();
    sqlx::query!(
        "select jarvis.note_read($1, $2, $3, $4, $5)",
        gym.as_uuid(),
        member.as_uuid(),
        action,
        entity,
        of,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// As [`note_read`], of several members; one who occurs twice is entered once.
pub async fn note_reads(
    tx: &mut ScopedTx,
    gym: GymId,
    members: &[MemberId],
    read: Read,
) -> Result<(), DbError> {
    let (action, entity) = read.words();
    let members: Vec<Uuid> = members.iter().map(|m| m.as_uuid()).collect();
    sqlx::query!(
        "select jarvis.note_read($1, m.id, $3, $4, null) from (select distinct unnest($2::uuid[])) as m (id)",
        gym.as_uuid(),
        &members,
        action,
        entity,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// Only about this member.
    pub member: Option<MemberId>,
    /// Only by this actor, such as `operator` or `user:…`.
    pub actor: Option<&'a str>,
    /// Only this action, or those that begin with it up to a dot, such as `fact`.
    pub action: Option<&'a str>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before this entry: the last one of the page before.
    pub before: Option<i64>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// Number; later entries have greater ones.
    pub id: i64,
    /// When.
    pub recorded_at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What was done, such as `fact.read`.
    pub action: String,
    /// On what.
    pub entity: String,
    /// Its identifier.
    pub entity_id: Option<String>,
    /// The member it is about.
    pub member_id: Option<Uuid>,
    /// The reason that was given.
    pub reason: Option<String>,
}

/// A page of the audit of a gym, newest first.
pub async fn list(
    tx: &mut ScopedTx,
    gym: GymId,
    filter: &Filter<'_>,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    let rows = sqlx::query(
        "select id, recorded_at, actor, action, entity, entity_id, member_id, reason from jarvis.audit_log
          where gym_id = $1 and ($2::uuid is null or member_id = $2) and ($3::text is null or actor = $3)
            and ($4::text is null or action = $4 or starts_with(action, $4 || '.'))
            and ($5::timestamptz is null or recorded_at >= $5) and ($6::bigint is null or id < $6)
          order by id desc limit $7",
    )
    .bind(gym.as_uuid())
    .bind(filter.member.map(MemberId::as_uuid))
    .bind(filter.actor)
    .bind(filter.action)
    .bind(filter.since)
    .bind(filter.before)
    .bind(limit)
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Entry {
            id: row.get(0),
            recorded_at: row.get(1),
            actor: row.get(2),
            action: row.get(3),
            entity: row.get(4),
            entity_id: row.get(5),
            member_id: row.get(6),
            reason: row.get(7),
        })
        .collect())
}
