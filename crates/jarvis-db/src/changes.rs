//! Which rows of which tables changed, as the triggers `jarvis.tell_changes` tell it: tables and keys, never contents.
//!
//! A connection of its own listens. For each table that somebody wants to hear of it holds an advisory lock, by which the
//! triggers see in memory that it is worth telling. The lock ends with the connection, however that ends.

use crate::{Db, DbError};
use jarvis_core::GymId;
use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::postgres::PgListener;
use std::collections::BTreeSet;

/// Where the triggers tell it.
const CHANNEL: &str = "jarvis_changes";
/// The first half of the locks, as in the migration.
const LOCKS: i32 = 20_261_127;

/// What was done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Act {
    /// It is new.
    Insert,
    /// It is another.
    Update,
    /// It is gone.
    Delete,
}

impl Act {
    /// As SQL says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// Rows that one statement changed, after its commit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Change {
    /// A table of schema `public`.
    pub table: String,
    /// What was done.
    #[serde(rename = "type")]
    pub act: Act,
    /// The gym of the rows; none where they belong to no gym.
    pub gym: Option<GymId>,
    /// Their primary keys, column by column; none when they are too many to tell.
    pub keys: Option<Vec<Map<String, Value>>>,
}

/// A connection that hears of changes.
#[derive(Debug)]
pub struct Changes {
    listener: PgListener,
    /// Tables whose locks it holds.
    held: BTreeSet<String>,
}

impl Changes {
    /// Connects. It hears of no table yet.
    pub async fn listen(db: &Db) -> Result<Self, DbError> {
        let mut listener = db.listener().await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(Self {
            listener,
            held: BTreeSet::new(),
        })
    }

    /// Hears from now on of exactly these tables; returns those that tell of their changes. A statement that ends after
    /// this one is told, whenever its transaction began.
    pub async fn want(&mut self, tables: &BTreeSet<String>) -> Result<&BTreeSet<String>, DbError> {
        let new: Vec<&str> = tables.difference(&self.held).map(String::as_str).collect();
        if !new.is_empty() {
            let rows = sqlx::query(
                "select c.relname::text, pg_catalog.pg_advisory_lock_shared($1, c.oid::integer) is null
                   from pg_catalog.pg_class c
                   join pg_catalog.pg_trigger t on t.tgrelid = c.oid and t.tgname = 'tell_inserted' and t.tgenabled <> 'D'
                  where c.relnamespace = 'public'::regnamespace and c.relname = any($2)",
            )
            .bind(LOCKS)
            .bind(new)
            .fetch_all(&mut self.listener)
            .await?;
            for row in rows {
                self.held.insert(row.try_get(0)?);
            }
        }
        let old: Vec<&str> = self.held.difference(tables).map(String::as_str).collect();
        if !old.is_empty() {
            sqlx::query(
                "select pg_catalog.pg_advisory_unlock_shared($1, c.oid::integer) from pg_catalog.pg_class c
                  where c.relnamespace = 'public'::regnamespace and c.relname = any($2)",
            )
            .bind(LOCKS)
            .bind(old)
            .execute(&mut self.listener)
            .await?;
            self.held.retain(|table| tables.contains(table));
        }
        Ok(&self.held)
    }

    /// Whether the connection still lives; one that was cut in silence is told by nothing else.
    pub async fn check(&mut self) -> Result<(), DbError> {
        sqlx::query("select 1").execute(&mut self.listener).await?;
        Ok(())
    }

    /// The next change. Dropping the future loses none.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when the connection is lost: changes may have been missed, and no lock is held any more.
    pub async fn next(&mut self) -> Result<Change, DbError> {
        loop {
            let lost = || DbError::unavailable("the connection that hears of changes was lost".to_owned());
            let notice = self.listener.try_recv().await?.ok_or_else(lost)?;
            match serde_json::from_str(notice.payload()) {
                Ok(change) => return Ok(change),
                // Whoever may speak to the database may say anything there.
                Err(error) => tracing::warn!(%error, "a notice of changes cannot be read"),
            }
        }
    }
}
