//! A database of one test's own.

use crate::cluster::{TEMPLATE, URL_VARIABLE, with_database};
use jarvis_core::{Clock, GymId, MemberId, Purpose, SystemClock};
use jarvis_db::{ConnectSettings, Db};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::str::FromStr;
use std::time::Duration;

/// The password of `jarvis_login` in throw-away clusters.
pub const LOGIN_PASSWORD: &str = "only-for-tests";

/// A migrated database of one test's own, dropped with the value.
#[derive(Debug)]
pub struct TestDb {
    name: String,
    server: SecretString,
    url: SecretString,
    admin: PgPool,
}

impl TestDb {
    /// Clones the template of the cluster at `JARVIS_TEST_DATABASE_URL`.
    ///
    /// # Panics
    /// When there is no such cluster, with the way to get one.
    pub async fn new() -> Self {
        Self::clone_of(TEMPLATE).await
    }

    /// A database of PostgreSQL's own making, without any schema of ours.
    pub async fn empty() -> Self {
        Self::clone_of("template0").await
    }

    async fn clone_of(template: &str) -> Self {
        let server: SecretString = std::env::var(URL_VARIABLE)
            .unwrap_or_else(|_| {
                panic!(
                    "{URL_VARIABLE} is not set: run the tests by `make test`, \
                     or `cargo xtask with-postgres -- cargo nextest run`"
                )
            })
            .into();
        let name = format!("t_{}", jarvis_core::ids::uuid_v7(SystemClock.now()).simple());
        create(&server, &name, template).await;
        let url = with_database(&server, &name);
        let admin = PgPoolOptions::new()
            .max_connections(5)
            .acquire_timeout(Duration::from_secs(20))
            .connect_lazy(url.expose_secret())
            .expect("the URL was used just now");
        Self {
            name,
            server,
            url,
            admin,
        }
    }

    /// Connections of the superuser, who sees everything.
    pub fn admin_pool(&self) -> &PgPool {
        &self.admin
    }

    /// The superuser's URL.
    pub fn url(&self) -> &SecretString {
        &self.url
    }

    /// The URL of `jarvis_login`, as the application uses it.
    pub fn login_url(&self) -> SecretString {
        self.url_of("jarvis_login", LOGIN_PASSWORD)
    }

    /// The URL of another role, in this database.
    pub fn url_of(&self, user: &str, password: &str) -> SecretString {
        let options = PgConnectOptions::from_str(self.url.expose_secret()).expect("the URL was used already");
        let (host, port, name) = (options.get_host(), options.get_port(), &self.name);
        format!("postgres://{user}:{password}@{host}:{port}/{name}?sslmode=disable").into()
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The application's own pool, of few connections and short patience.
    pub async fn db(&self) -> Db {
        let settings = ConnectSettings {
            max_connections: 5,
            acquire_timeout: Duration::from_secs(20),
            ..ConnectSettings::new(self.login_url())
        };
        Db::connect(&settings).await.expect("the template is migrated")
    }

    /// A gym called `name`.
    pub async fn seed_gym(&self, name: &str) -> GymId {
        let gym = GymId::new(SystemClock.now());
        let slug = format!("gym-{gym}");
        sqlx::query("insert into public.gyms (id, name, slug) values ($1, $2, $3)")
            .bind(gym.as_uuid())
            .bind(name)
            .bind(slug)
            .execute(&self.admin)
            .await
            .expect("a gym can be made");
        gym
    }

    /// An adult, active member of `gym`, who agreed to exactly `purposes`.
    pub async fn seed_member(
        &self,
        gym: GymId,
        badge: &str,
        first_name: &str,
        purposes: &[Purpose],
    ) -> MemberId {
        let member = MemberId::new(SystemClock.now());
        sqlx::query(
            "insert into public.gym_members_v2 (id, gym_id, badge_id, first_name, last_name, date_of_birth)
             values ($1, $2, $3, $4, 'Martin', '1990-05-17')",
        )
        .bind(member.as_uuid())
        .bind(gym.as_uuid())
        .bind(badge)
        .bind(first_name)
        .execute(&self.admin)
        .await
        .expect("a member can be made");
        for purpose in purposes {
            self.seed_consent(gym, member, *purpose, true).await;
        }
        member
    }

    /// An entry of the consent ledger.
    pub async fn seed_consent(&self, gym: GymId, member: MemberId, purpose: Purpose, granted: bool) {
        sqlx::query(
            "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, statement_version, source, actor)
             values ($1, $2, $3, $4, 'test', 'import', 'testkit')",
        )
        .bind(gym.as_uuid())
        .bind(member.as_uuid())
        .bind(purpose.as_str())
        .bind(granted)
        .execute(&self.admin)
        .await
        .expect("a consent can be recorded");
    }
}

impl Drop for TestDb {
    /// On a thread of its own: a test's runtime cannot be waited for from inside. Set `JARVIS_TEST_KEEP` to look at
    /// the database afterwards.
    fn drop(&mut self) {
        if std::env::var_os("JARVIS_TEST_KEEP").is_some() {
            return;
        }
        let statement = format!("drop database if exists {} with (force)", self.name);
        let server = self.server.clone();
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(server.expose_secret()).await?;
                sqlx::query(AssertSqlSafe(statement))
                    .execute(&mut connection)
                    .await?;
                connection.close().await
            })
        });
        // The whole cluster is thrown away: a database that stays costs disk space and nothing else, and a second
        // panic here would hide the test's own.
        drop(dropping.join());
    }
}

async fn create(server: &SecretString, name: &str, template: &str) {
    let statement = format!("create database {name} template {template} strategy file_copy");
    let mut connection = PgConnection::connect(server.expose_secret())
        .await
        .expect("the test cluster runs");
    let mut attempt = 0;
    loop {
        match sqlx::query(AssertSqlSafe(statement.clone()))
            .execute(&mut connection)
            .await
        {
            Ok(_) => break,
            // "source database is being accessed by other users": autovacuum looks at it now and then.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55006") && attempt < 50 => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("cannot clone {template}: {error}"),
        }
    }
    connection.close().await.expect("the connection closes");
}
