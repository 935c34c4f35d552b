//! What members answered since the backup: a restore brings data back, and must not undo a refusal.

use super::error::BackupError;
use super::forgotten;
use crate::error::DbError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

/// What was taken over from the database that is replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// Lines of the ledger of consents.
    pub consents: usize,
    /// Members whose data was restricted since.
    pub restricted: usize,
    /// Members whose restriction was lifted since.
    pub lifted: usize,
    /// Facts that were forgotten since, and are forgotten again.
    pub forgotten: usize,
}

impl std::ops::AddAssign for Answers {
    fn add_assign(&mut self, more: Self) {
        self.consents += more.consents;
        self.restricted += more.restricted;
        self.lifted += more.lifted;
        self.forgotten += more.forgotten;
    }
}

/// A member's restriction.
#[derive(sqlx::FromRow)]
struct Restriction {
    gym_id: Uuid,
    member_id: Uuid,
    reason: Option<String>,
    actor: String,
    recorded_at: DateTime<Utc>,
}

/// Takes over what `old` knows of consents, restrictions and forgetting and `new` does not, for members who are in `new`, in one
/// transaction. Triggers of `new` enqueue what a refusal removes. Doing it again does nothing.
pub(super) async fn take_over(
    old: &mut PgConnection,
    new: &mut PgConnection,
) -> Result<Answers, BackupError> {
    let mut old = old.begin().await?;
    let mut new = new.begin().await?;
    for tx in [&mut old, &mut new] {
        sqlx::raw_sql("set local row_security = off; set local statement_timeout = '10min'; set local lock_timeout = '20s'")
            .execute(&mut **tx)
            .await?;
    }
    let mut answers = Answers::default();
    if has(&mut old, "jarvis.consent_ledger").await? && has(&mut new, "jarvis.consent_ledger").await? {
        answers.consents = consents(&mut old, &mut new).await?;
    }
    if has(&mut old, "jarvis.restrictions").await? && has(&mut new, "jarvis.restrictions").await? {
        (answers.restricted, answers.lifted) = restrictions(&mut old, &mut new).await?;
    }
    // An older schema cannot forget: it must be migrated first, as a restore does unless it is told not to.
    if has(&mut old, "jarvis.forgotten_facts").await? && can_forget(&mut new).await? {
        answers.forgotten = forgotten::take_over(&mut old, &mut new).await?;
    }
    new.commit().await?;
    Ok(answers)
}

async fn has(conn: &mut PgConnection, table: &str) -> Result<bool, DbError> {
    Ok(
        sqlx::query_scalar("select pg_catalog.to_regclass($1) is not null")
            .bind(table)
            .fetch_one(conn)
            .await?,
    )
}

async fn can_forget(conn: &mut PgConnection) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar(
        "select pg_catalog.to_regprocedure('jarvis.forget_words(uuid, uuid, text[])') is not null",
    )
    .fetch_one(conn)
    .await?)
}

/// In their order, with their dates and whoever gave them. A yes that a child said alone counts for nothing, and is left
/// where it was.
async fn consents(old: &mut PgConnection, new: &mut PgConnection) -> Result<usize, BackupError> {
    let known: Vec<Uuid> = sqlx::query_scalar("select id from jarvis.consent_ledger")
        .fetch_all(&mut *new)
        .await?;
    let lines = sqlx::query(
        "select id, gym_id, member_id, purpose, granted, by_guardian, statement_version, source, actor, recorded_at
           from jarvis.consent_ledger where not id = any ($1) order by seq",
    )
    .bind(&known)
    .fetch_all(old)
    .await?;
    let mut taken = 0;
    for line in lines {
        let done = sqlx::query(
            "insert into jarvis.consent_ledger
               (id, gym_id, member_id, purpose, granted, by_guardian, statement_version, source, actor, recorded_at)
             select $1, m.gym_id, m.id, $4, $5, $6, $7, $8, $9, $10 from public.gym_members_v2 m
              where m.gym_id = $2 and m.id = $3
                and (not $5 or $6 or m.date_of_birth is null
                     or m.date_of_birth <= least($10, clock_timestamp())::date - interval '15 years')",
        )
        .bind(line.get::<Uuid, _>(0))
        .bind(line.get::<Uuid, _>(1))
        .bind(line.get::<Uuid, _>(2))
        .bind(line.get::<String, _>(3))
        .bind(line.get::<bool, _>(4))
        .bind(line.get::<bool, _>(5))
        .bind(line.get::<String, _>(6))
        .bind(line.get::<String, _>(7))
        .bind(line.get::<String, _>(8))
        .bind(line.get::<DateTime<Utc>, _>(9))
        .execute(&mut *new)
        .await?;
        taken += usize::from(done.rows_affected() > 0);
    }
    Ok(taken)
}

async fn restrictions(old: &mut PgConnection, new: &mut PgConnection) -> Result<(usize, usize), BackupError> {
    let theirs: Vec<Restriction> =
        sqlx::query_as("select gym_id, member_id, reason, actor, recorded_at from jarvis.restrictions")
            .fetch_all(&mut *old)
            .await?;
    let mut restricted = 0;
    for one in &theirs {
        let done = sqlx::query(
            "insert into jarvis.restrictions (gym_id, member_id, reason, actor, recorded_at)
             select m.gym_id, m.id, $3, $4, $5 from public.gym_members_v2 m where m.gym_id = $1 and m.id = $2
             on conflict do nothing",
        )
        .bind(one.gym_id)
        .bind(one.member_id)
        .bind(&one.reason)
        .bind(&one.actor)
        .bind(one.recorded_at)
        .execute(&mut *new)
        .await?;
        restricted += usize::from(done.rows_affected() > 0);
    }
    let (gyms, members): (Vec<Uuid>, Vec<Uuid>) = theirs.iter().map(|r| (r.gym_id, r.member_id)).unzip();
    let there: Vec<Uuid> = sqlx::query_scalar("select id from public.gym_members_v2")
        .fetch_all(old)
        .await?;
    // Somebody whom the other database does not know may have been restricted for a reason that it does not know either.
    let lifted = sqlx::query(
        "delete from jarvis.restrictions r
          where r.member_id = any ($3)
            and not exists (select from unnest($1::uuid[], $2::uuid[]) as o (gym_id, member_id)
                             where o.gym_id = r.gym_id and o.member_id = r.member_id)",
    )
    .bind(&gyms)
    .bind(&members)
    .bind(&there)
    .execute(new)
    .await?;
    Ok((
        restricted,
        usize::try_from(lifted.rows_affected()).unwrap_or(usize::MAX),
    ))
}
