//! The only door to the database: a transaction that knows for whom it acts.

use crate::error::DbError;
use crate::outage::Outage;
use jarvis_core::{GymId, Scope};
use jarvis_observe::cost;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The oldest PostgreSQL that runs JARVIS, as `server_version_num` counts.
pub const MIN_SERVER_VERSION: i32 = 150_000;

/// The roles that a scope may act as. The login role must be allowed to `SET ROLE` to each.
const SCOPE_ROLES: [&str; 4] = ["jarvis_server", "jarvis_system", "authenticated", "anon"];

/// A transaction that says nothing for this long is ended by the server, so that a stuck caller holds no lock.
const IDLE_IN_TRANSACTION: Duration = Duration::from_mins(1);

/// Sets everything that a scope decides, in one statement, until the end of the transaction. Each setting is
/// always written, to '' when absent, so that nothing of an earlier holder of the connection remains.
const ENTER_SCOPE: &str = "select set_config('role', $1, true),
           set_config('request.jwt.claims', $2, true),
           set_config('app.gym_id', $3, true),
           set_config('app.actor', $4, true),
           set_config('statement_timeout', $5, true),
           set_config('idle_in_transaction_session_timeout', $6, true)";

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct ConnectSettings {
    /// `postgres://…` of a login role, member of the roles that scopes act as.
    pub url: SecretString,
    /// Connections at most, from 1.
    pub max_connections: u32,
    /// How long to wait for a free connection.
    pub acquire_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
}

impl ConnectSettings {
    /// `url` with 10 connections, 5 s to get one and 15 s for a statement.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
        }
    }
}

/// The database, as the application sees it. Cheap to clone; all clones share one pool.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
    outage: Arc<Outage>,
    statement_timeout: Duration,
}

impl Db {
    /// Connects, and checks once that the database can be used.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when it cannot be reached, [`DbError::Unfit`] when its version is too old, when
    /// the login may not act as our roles, or when the schema is missing or behind; each says the way out.
    pub async fn connect(settings: &ConnectSettings) -> Result<Self, DbError> {
        let options = PgConnectOptions::from_str(settings.url.expose_secret())?.application_name("jarvis");
        let mut connection =
            tokio::time::timeout(settings.acquire_timeout, PgConnection::connect_with(&options))
                .await
                .map_err(|_| unreachable_at(&options, "no answer in time"))?
                .map_err(|error| cannot_connect(&options, error))?;
        check_version(&mut connection).await?;
        check_schema(&mut connection).await?;
        check_roles(&mut connection, options.get_username()).await?;
        crate::migrations::check_current(&mut connection).await?;
        connection.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections.max(1))
            .acquire_timeout(settings.acquire_timeout)
            // Heard by `jarvis_observe::statements`.
            .acquire_time_level(log::LevelFilter::Debug)
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            outage: Arc::default(),
            statement_timeout: settings.statement_timeout,
        })
    }

    /// Opens a transaction that sees exactly what `scope` may see.
    pub async fn begin(&self, scope: &Scope) -> Result<ScopedTx, DbError> {
        let tx = self.enter(scope).await?;
        Ok(ScopedTx { tx, scope: *scope })
    }

    /// Opens a plain transaction in [`Scope::System`], for the job queue, which knows no scopes.
    pub async fn begin_system(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.enter(&Scope::System).await
    }

    async fn enter(&self, scope: &Scope) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut tx = self.begin_counted().await?;
        sqlx::query(ENTER_SCOPE)
            .bind(scope.role())
            .bind(claims(scope))
            .bind(scope_gym(scope).map(|gym| gym.to_string()).unwrap_or_default())
            .bind(scope.actor().map(|actor| actor.to_string()).unwrap_or_default())
            .bind(self.statement_timeout.as_millis().to_string())
            .bind(IDLE_IN_TRANSACTION.as_millis().to_string())
            .execute(&mut *tx)
            .await?;
        Ok(tx)
    }

    /// `sqlx` tells of every statement but BEGIN: what of the time was no wait for a connection was that.
    async fn begin_counted(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let (started, waited) = (Instant::now(), cost::pool_wait_so_far());
        let tx = self.outage.begin(&self.pool).await?;
        let waited = cost::pool_wait_so_far().saturating_sub(waited);
        cost::add_statement(started.elapsed().saturating_sub(waited));
        Ok(tx)
    }

    /// A connection of its own, outside of the pool, that hears notifications and reconnects by itself.
    pub async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        let options =
            PgConnectOptions::clone(&self.pool.connect_options()).application_name("jarvis-listener");
        let own = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(self.pool.options().get_acquire_timeout())
            .connect_lazy_with(options);
        PgListener::connect_with(&own).await
    }

    /// Whether the schema still has every migration of this program: somebody can undo one while it runs.
    ///
    /// # Errors
    /// [`DbError::Unfit`] when one is missing, else what the database says.
    pub async fn check_schema(&self) -> Result<(), DbError> {
        let mut tx = self.begin_counted().await?;
        crate::migrations::check_current(&mut tx).await?;
        Ok(tx.rollback().await?)
    }

    /// Whether the database greets a new connection, outside of the pool: tells one that is down from one that is busy.
    pub async fn greets(&self) -> bool {
        crate::outage::greets(&self.pool).await
    }

    /// How many connections there are now.
    pub fn connections(&self) -> Connections {
        let (open, idle) = (self.pool.size(), self.pool.num_idle());
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(open);
        Connections {
            busy: open - idle,
            idle,
            max: self.pool.options().get_max_connections(),
        }
    }

    /// Closes every connection once it is given back. Transactions that are open may finish.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Lent to somebody.
    pub busy: u32,
    /// Waiting to be lent.
    pub idle: u32,
    /// The most there may be.
    pub max: u32,
}

/// A transaction in one scope. Dropping it rolls back.
///
/// Derefs to [`PgConnection`]: pass `&mut tx` where a connection is wanted, `&mut *tx` to sqlx.
#[derive(Debug)]
pub struct ScopedTx {
    tx: Transaction<'static, Postgres>,
    scope: Scope,
}

impl ScopedTx {
    /// For whom this transaction acts.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The one gym of this transaction; none for persons, who may have several, and for the system.
    pub fn gym(&self) -> Option<GymId> {
        scope_gym(&self.scope)
    }

    /// Makes the changes last.
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.tx.commit().await?)
    }

    /// Undoes the changes and waits for it.
    pub async fn rollback(self) -> Result<(), DbError> {
        Ok(self.tx.rollback().await?)
    }

    /// The plain transaction, still in its scope.
    pub fn into_inner(self) -> Transaction<'static, Postgres> {
        self.tx
    }
}

impl Deref for ScopedTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for ScopedTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl AsMut<PgConnection> for ScopedTx {
    fn as_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

fn scope_gym(scope: &Scope) -> Option<GymId> {
    match scope {
        Scope::Gym { gym, .. } => Some(*gym),
        Scope::Person(_) | Scope::System | Scope::Anonymous => None,
    }
}

/// The claims as a signed-in person's token carries them; empty for everybody else.
fn claims(scope: &Scope) -> String {
    match scope {
        Scope::Person(user) => serde_json::json!({"sub": user, "role": "authenticated"}).to_string(),
        Scope::Gym { .. } | Scope::System | Scope::Anonymous => String::new(),
    }
}

fn place(options: &PgConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}

pub(crate) fn unreachable_at(options: &PgConnectOptions, reason: &str) -> DbError {
    DbError::unavailable(format!("cannot reach PostgreSQL at {}: {reason}", place(options)))
}

pub(crate) fn cannot_connect(options: &PgConnectOptions, error: sqlx::Error) -> DbError {
    match DbError::from(error) {
        DbError::Unavailable { reason } => unreachable_at(options, &reason),
        DbError::Denied { reason } => DbError::Unfit {
            problem: format!("PostgreSQL at {} refuses the login: {reason}", place(options)),
            hint: "check the user name and the password in the database URL".into(),
        },
        other => other,
    }
}

/// Refuses a server that is older than [`MIN_SERVER_VERSION`].
pub(crate) async fn check_version(connection: &mut PgConnection) -> Result<(), DbError> {
    let (number, text): (i32, String) = sqlx::query_as(
        "select current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(connection)
    .await?;
    if number >= MIN_SERVER_VERSION {
        return Ok(());
    }
    Err(DbError::Unfit {
        problem: format!(
            "this is PostgreSQL {text}; JARVIS needs {} or newer",
            MIN_SERVER_VERSION / 10_000
        ),
        hint: "upgrade the server, or use `jarvis up`, which brings its own PostgreSQL".into(),
    })
}

async fn check_schema(connection: &mut PgConnection) -> Result<(), DbError> {
    let present: bool = sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                        where n.nspname = 'jarvis' and c.relname = 'consent_ledger')",
    )
    .fetch_one(connection)
    .await?;
    if present {
        return Ok(());
    }
    Err(DbError::Unfit {
        problem: "the database has no JARVIS schema yet".into(),
        hint: "create it with `jarvis migration up`".into(),
    })
}

/// Membership in the sense of `SET ROLE` exists as a privilege of its own since PostgreSQL 16.
async fn check_roles(connection: &mut PgConnection, login: &str) -> Result<(), DbError> {
    let missing: Vec<String> = sqlx::query_scalar(
        "select wanted.role from unnest($1::text[]) with ordinality as wanted(role, n)
         left join pg_catalog.pg_roles r on r.rolname = wanted.role
         where r.oid is null
            or not pg_has_role(r.oid, case when current_setting('server_version_num')::int >= 160000
                                           then 'SET' else 'MEMBER' end)
         order by wanted.n",
    )
    .bind(&SCOPE_ROLES[..])
    .fetch_all(connection)
    .await?;
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(DbError::Unfit {
        problem: format!("the login role {login} may not act as {missing}"),
        hint: format!(
            "connect as jarvis_login, or run as an administrator: \
             grant {missing} to \"{login}\" with inherit false, set true (before PostgreSQL 16: grant {missing} to \"{login}\")"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jarvis_core::{Actor, UserId};
    use jarvis_testkit::TestDb;
    use uuid::Uuid;

    /// Role, gym, actor, claims and timeout of the pool's connection, outside of any transaction.
    async fn at_rest(db: &Db) -> Vec<String> {
        sqlx::query_scalar(
            "select array[current_user::text, coalesce(current_setting('app.gym_id', true), ''),
                          coalesce(current_setting('app.actor', true), ''),
                          coalesce(current_setting('request.jwt.claims', true), ''),
                          current_setting('statement_timeout'),
                          current_setting('idle_in_transaction_session_timeout')]",
        )
        .fetch_one(&db.pool)
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_connection_goes_back_to_the_pool_as_it_came() {
        let test = TestDb::new().await;
        let settings = ConnectSettings {
            max_connections: 1,
            acquire_timeout: Duration::from_secs(20),
            ..ConnectSettings::new(test.login_url())
        };
        let db = Db::connect(&settings).await.unwrap();
        let clean = at_rest(&db).await;
        assert_eq!(clean, ["jarvis_login", "", "", "", "0", "0"]);
        let gym = GymId::from(Uuid::from_u128(1));
        for scope in [
            Scope::gym(gym, Actor::Server),
            Scope::Person(UserId::from(Uuid::from_u128(2))),
            Scope::System,
            Scope::Anonymous,
        ] {
            db.begin(&scope).await.unwrap().commit().await.unwrap();
            assert_eq!(at_rest(&db).await, clean, "after a commit of {scope:?}");
            db.begin(&scope).await.unwrap().rollback().await.unwrap();
            assert_eq!(at_rest(&db).await, clean, "after a rollback of {scope:?}");
            let mut failing = db.begin(&scope).await.unwrap();
            assert!(sqlx::query("select 1 / 0").execute(&mut *failing).await.is_err());
            drop(failing);
            assert_eq!(
                at_rest(&db).await,
                clean,
                "after an error and a drop of {scope:?}"
            );
        }
    }
}
