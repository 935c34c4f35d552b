//! The floor of ingestion: a superuser's COPY into a twin of `conversation_events` that has the same indexes and keys
//! and no triggers.

use super::ground::Place;
use crate::DbError;
use chrono::{DateTime, Utc};
use jarvis_core::EventId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Makes the twin, empty.
///
/// # Errors
/// When it is there already, or the role may not create it.
pub async fn make_twin(admin: &mut PgConnection) -> Result<(), DbError> {
    sqlx::raw_sql(
        "create schema bench;
         create table bench.events (like public.conversation_events including defaults including constraints
                                    including indexes)",
    )
    .execute(&mut *admin)
    .await?;
    let keys: Vec<String> = sqlx::query_scalar(
        "select pg_catalog.pg_get_constraintdef(c.oid) from pg_catalog.pg_constraint c
          where c.conrelid = 'public.conversation_events'::regclass and c.contype = 'f' order by c.conname",
    )
    .fetch_all(&mut *admin)
    .await?;
    for key in keys {
        let add = format!("alter table bench.events add {key}");
        sqlx::raw_sql(AssertSqlSafe(add)).execute(&mut *admin).await?;
    }
    Ok(())
}

/// What a table that holds events is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Make {
    /// Indexes, those of its keys among them.
    pub indexes: i64,
    /// Foreign keys.
    pub foreign_keys: i64,
    /// Checks, those against null not counted.
    pub checks: i64,
    /// Triggers but those of foreign keys.
    pub triggers: i64,
    /// Rows.
    pub rows: i64,
}

/// What `public.conversation_events` and its twin are made of.
///
/// # Errors
/// When there is no twin.
pub async fn makes(admin: &mut PgConnection) -> Result<(Make, Make), DbError> {
    let mut both = Vec::new();
    for table in ["public.conversation_events", "bench.events"] {
        let make: Make = sqlx::query_as(AssertSqlSafe(format!(
            "select (select count(*) from pg_catalog.pg_index i where i.indrelid = t.oid) as indexes,
                    (select count(*) from pg_catalog.pg_constraint c where c.conrelid = t.oid and c.contype = 'f') as foreign_keys,
                    (select count(*) from pg_catalog.pg_constraint c where c.conrelid = t.oid and c.contype = 'c') as checks,
                    (select count(*) from pg_catalog.pg_trigger g where g.tgrelid = t.oid and not g.tgisinternal) as triggers,
                    (select count(*) from {table}) as rows
               from (select '{table}'::regclass as oid) as t"
        )))
        .fetch_one(&mut *admin)
        .await?;
        both.push(make);
    }
    let twin = both.pop().ok_or(DbError::NotFound)?;
    Ok((both.pop().ok_or(DbError::NotFound)?, twin))
}

/// Rows of one COPY, as text.
#[derive(Debug)]
pub struct Rows(String);

/// What is said in the made-up events.
pub const SAID: &str = "J'ai mal au genou droit depuis lundi, alors pas de squat pour moi ce soir";

impl Rows {
    /// `count` turns of a session. `run` tells the ids of the sender apart.
    pub fn of(place: &Place, session: &str, run: &str, count: usize, now: DateTime<Utc>) -> Self {
        let mut text = String::new();
        let (gym, member) = (place.gym, place.member);
        for turn in 0..count {
            let id = EventId::new(now);
            // Every field is made up here and needs no escape.
            let _ = writeln!(
                text,
                "{id}\t{session}\t{member}\t{gym}\tuser_transcript\t{SAID}\t{turn}\t0.93\t{now}\t{run}-{turn}\t{now}",
                now = now.to_rfc3339()
            );
        }
        Self(text)
    }
}

/// Copies batches one after the other on a connection of their own, each in its own transaction. Returns how long
/// it took; the connection is not counted.
///
/// # Errors
/// When the database refuses a row.
pub async fn copy(admin_url: &SecretString, batches: Vec<Rows>) -> Result<Duration, DbError> {
    let mut connection = PgConnection::connect(admin_url.expose_secret()).await?;
    let started = Instant::now();
    for batch in batches {
        let mut sink = connection
            .copy_in_raw(
                r#"copy bench.events (id, session_id, member_id, gym_id, event_type, transcript, turn_number,
                                      confidence_score, "timestamp", provider_event_id, received_at) from stdin"#,
            )
            .await?;
        sink.send(batch.0.as_bytes()).await?;
        sink.finish().await?;
    }
    Ok(started.elapsed())
}

/// Writes everything that waits to be written, so that no measurement pays for what came before it.
///
/// # Errors
/// When the role may not ask for it.
pub async fn settle_disk(admin: &mut PgConnection) -> Result<(), DbError> {
    sqlx::raw_sql("checkpoint").execute(admin).await?;
    Ok(())
}

/// Events stored with their words.
///
/// # Errors
/// When the database does not answer.
pub async fn stored_with_words(admin: &mut PgConnection) -> Result<i64, DbError> {
    Ok(
        sqlx::query_scalar("select count(*) from public.conversation_events where transcript is not null")
            .fetch_one(admin)
            .await?,
    )
}
