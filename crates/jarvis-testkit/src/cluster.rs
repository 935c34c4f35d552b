//! A throw-away PostgreSQL.

use jarvis_db::embedded::{Embedded, EmbeddedError, EmbeddedSettings};
use jarvis_db::migrations::{self, MigrationError, Source};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The environment variable that tells tests where the cluster is: a superuser's URL.
pub const URL_VARIABLE: &str = "JARVIS_TEST_DATABASE_URL";

/// The migrated database that tests clone.
pub const TEMPLATE: &str = "jarvis_template";

/// Why a throw-away cluster does not run.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The server does not run.
    #[error(transparent)]
    Server(#[from] EmbeddedError),
    /// The template cannot be migrated.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The server refuses what we ask.
    #[error("the throw-away PostgreSQL refuses: {0}")]
    Database(#[from] sqlx::Error),
    /// A program cannot be started.
    #[error("cannot start {program}: {source}")]
    Program {
        /// Which one.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

impl ClusterError {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Server(error) => error.hint(),
            Self::Migration(error) => error.hint(),
            Self::Database(_) | Self::Program { .. } => None,
        }
    }
}

/// A throw-away PostgreSQL with the migrated template database: quick, because nothing is made to survive a crash of
/// the machine. It ends with this process, however this process ends, and leaves no file.
#[derive(Debug)]
pub struct Cluster {
    server: Option<Embedded>,
    guard: Child,
    folder: PathBuf,
    url: SecretString,
}

impl Cluster {
    /// Starts it, and migrates the template.
    pub async fn start() -> Result<Self, ClusterError> {
        let cluster = Self::start_empty().await?;
        prepare_template(&cluster.url, Source::embedded()).await?;
        Ok(cluster)
    }

    /// Starts it without a template.
    pub async fn start_empty() -> Result<Self, ClusterError> {
        let folder = std::env::temp_dir().join(format!("jarvis-test-{}", uuid::Uuid::now_v7()));
        let settings = EmbeddedSettings {
            max_connections: 300,
            durable: false,
            ..EmbeddedSettings::new(&folder)
        };
        let server = Embedded::start_server(&settings, &|_| {}).await?;
        let guard = guard(server.pid(), &folder)?;
        Ok(Self {
            url: server.admin_url().clone(),
            server: Some(server),
            guard,
            folder,
        })
    }

    /// The superuser's URL, in the database `postgres`.
    pub fn url(&self) -> &SecretString {
        &self.url
    }

    /// Stops the server and removes its files.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        if let Some(server) = self.server.take() {
            server.stop().await?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    /// The guard ends the server if need be, and removes the files; dropping its input tells it to.
    fn drop(&mut self) {
        drop(self.server.take());
        drop(self.guard.stdin.take());
        let begun = Instant::now();
        while self.folder.exists() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Reaps the guard; it has nothing left to do when the folder is gone.
        drop(self.guard.wait());
    }
}

/// A shell that waits for the end of this process (its input closes then, even by a SIGKILL), ends the server and
/// removes its files. It looks at the process's name first, because numbers are used again.
fn guard(server: u32, folder: &Path) -> Result<Child, ClusterError> {
    const SCRIPT: &str = r#"
        cat > /dev/null
        tries=0
        while [ "$tries" -lt 50 ] && grep -qs postgres "/proc/$1/comm"; do
            [ "$tries" -eq 20 ] && kill -QUIT "$1"
            [ "$tries" -eq 0 ] && kill -INT "$1"
            tries=$((tries + 1))
            sleep 0.1
        done
        rm -rf "$2"
    "#;
    Command::new("/bin/sh")
        .arg("-c")
        .arg(SCRIPT)
        .arg("guard-of-postgres")
        .arg(server.to_string())
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|source| ClusterError::Program {
            program: "/bin/sh".into(),
            source,
        })
}

/// Makes the template in the cluster at `url` by `source`, and closes it against everybody but its cloners.
pub(crate) async fn prepare_template(url: &SecretString, source: &Source) -> Result<(), ClusterError> {
    let mut connection = PgConnection::connect(url.expose_secret()).await?;
    sqlx::query(AssertSqlSafe(format!("create database {TEMPLATE}")))
        .execute(&mut connection)
        .await?;
    let template = with_database(url, TEMPLATE);
    migrations::up(&template, source).await?;
    for statement in [
        format!("alter database {TEMPLATE} with is_template true allow_connections false"),
        format!("alter role jarvis_login password '{}'", crate::LOGIN_PASSWORD),
    ] {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await?;
    Ok(())
}

/// `url` with another database name.
pub(crate) fn with_database(url: &SecretString, database: &str) -> SecretString {
    let url = url.expose_secret();
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(base, query)| (base, Some(query)));
    let server = match base.match_indices('/').nth(2) {
        Some((at, _)) => &base[..at],
        None => base,
    };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{server}/{database}{query}").into()
}
