//! Knowing that the database is down, so that not everybody has to wait to find it out.

use sqlx::postgres::PgPool;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// A database that does not greet a new connection within this time is down.
const GREETING: Duration = Duration::from_secs(1);

/// What is known of an outage. During one, a single caller at a time waits for a connection as long as the pool allows,
/// and so finds out that it is over; the others are told at once that the database is down.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    known: AtomicBool,
    asking: Mutex<()>,
}

impl Outage {
    /// Begins a transaction of the pool, or fails at once when the database is known to be down.
    pub(crate) async fn begin(&self, pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let turn = self.turn()?;
        let begun = pool.begin().await;
        match &begun {
            Ok(_) => self.note(false),
            // No connection in time: it may be down, or there are more callers than connections.
            Err(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => self.ask(pool, turn).await,
            Err(_) => {}
        }
        begun
    }

    /// The turn to ask, while an outage is known; nobody needs one otherwise.
    fn turn(&self) -> Result<Option<MutexGuard<'_, ()>>, sqlx::Error> {
        if !self.known.load(Ordering::Acquire) {
            return Ok(None);
        }
        let turn = self.asking.try_lock();
        turn.map(Some).map_err(|_| sqlx::Error::PoolTimedOut)
    }

    /// Asks whether the database is down. Whoever failed without a turn leaves that to the one who asks already: a
    /// database that cannot answer is not helped by one more connection of everybody who waited for it.
    async fn ask(&self, pool: &PgPool, turn: Option<MutexGuard<'_, ()>>) {
        let _turn = match turn {
            Some(turn) => turn,
            None => match self.asking.try_lock() {
                Ok(turn) if !self.known.load(Ordering::Acquire) => turn,
                _ => return,
            },
        };
        self.note(!greets(pool).await);
    }

    fn note(&self, down: bool) {
        if self.known.swap(down, Ordering::AcqRel) != down {
            if down {
                tracing::error!("the database is down; requests are refused until it is back");
            } else {
                tracing::info!("the database is back");
            }
        }
    }
}

/// Whether the database takes a new connection, or at least says that it has none left.
pub(crate) async fn greets(pool: &PgPool) -> bool {
    let options = pool.connect_options();
    match tokio::time::timeout(GREETING, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => {
            // Whether the goodbye arrives does not matter any more.
            drop(connection.close().await);
            true
        }
        // 57P03: it is starting or stopping.
        Ok(Err(sqlx::Error::Database(error))) => error.code().as_deref() != Some("57P03"),
        Ok(Err(_)) | Err(_) => false,
    }
}
