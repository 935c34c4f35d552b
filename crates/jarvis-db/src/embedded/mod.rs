//! A PostgreSQL of our own, beside the program: found, initialised, started, recovered, stopped.
//!
//! It listens on 127.0.0.1 only and asks everybody for a password. The passwords are made at random and kept in the
//! data folder, readable by its owner alone. PostgreSQL refuses to run as root; started by root, it runs as the user
//! `jarvis` when there is one, else as `nobody`.
//!
//! Layout of the data folder: `jarvis.lock` (held as long as the process lives), `secrets/`, `postgres/<major>/`.

mod account;
mod binaries;
mod error;
mod folder;
mod postmaster;
mod server;

pub(crate) use binaries::cached_program;
pub use binaries::{cache_dir, data_dir};
pub use error::EmbeddedError;

use crate::error::DbError;
use crate::migrations::{self, Source};
use account::Account;
use binaries::Binaries;
use folder::Folder;
use postmaster::Postmaster;
use secrecy::{ExposeSecret, SecretString};
use server::{SUPERUSER, Server};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The database that JARVIS lives in.
pub const DATABASE: &str = "jarvis";

/// The role that the application signs in as. The schema's first migration makes it.
const LOGIN: &str = "jarvis_login";

/// How to run the embedded PostgreSQL.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// The data folder, see [`data_dir`]. Made when missing.
    pub data_dir: PathBuf,
    /// The folder that holds `bin/postgres`; by default `JARVIS_PG_DIR`, else the cache.
    pub pg_dir: Option<PathBuf>,
    /// The port on 127.0.0.1; by default a free one.
    pub port: Option<u16>,
    /// Connections at most.
    pub max_connections: u32,
    /// PostgreSQL's own cache of pages, in MiB. Read at every start.
    pub shared_buffers_mib: u32,
    /// Whether what is committed survives a crash of the machine; a crash of the server it always survives. Only
    /// throw-away clusters do without.
    pub durable: bool,
    /// How long the server may take to become ready, including recovery after a crash.
    pub start_timeout: Duration,
}

impl EmbeddedSettings {
    /// A durable server on `data_dir`, on a free port, for up to 100 connections, with PostgreSQL's own cache of 128 MiB, ready within 2 minutes.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            pg_dir: None,
            port: None,
            max_connections: 100,
            shared_buffers_mib: 128,
            durable: true,
            start_timeout: Duration::from_mins(2),
        }
    }

    /// The server's log holds neither statements nor errors of statements: both may quote what a member said, and
    /// whoever sent the statement hears of its error. What happens to the server itself is logged.
    fn configuration(&self, port: u16) -> String {
        let (max_connections, durable) = (self.max_connections, if self.durable { "on" } else { "off" });
        let cache = self.shared_buffers_mib;
        format!(
            "# Written by JARVIS at every start; settings of your own belong into postgresql.auto.conf (alter system).\n\
             listen_addresses = '127.0.0.1'\n\
             port = {port}\n\
             unix_socket_directories = ''\n\
             max_connections = {max_connections}\n\
             password_encryption = 'scram-sha-256'\n\
             shared_buffers = '{cache}MB'\n\
             fsync = {durable}\n\
             full_page_writes = {durable}\n\
             timezone = 'UTC'\n\
             logging_collector = on\n\
             log_directory = 'log'\n\
             log_filename = 'postgresql-%a.log'\n\
             log_rotation_age = '1d'\n\
             log_rotation_size = 0\n\
             log_truncate_on_rotation = on\n\
             log_timezone = 'UTC'\n\
             log_min_messages = 'log'\n\
             log_error_verbosity = 'terse'\n\
             log_min_error_statement = 'panic'\n\
             log_parameter_max_length = 0\n\
             log_parameter_max_length_on_error = 0\n\
             log_checkpoints = off\n"
        )
    }
}

/// The cache for a server that has `memory` MiB: a quarter, as PostgreSQL's manual advises ("Resource Consumption", `shared_buffers`),
/// from PostgreSQL's own 128 MiB to 1 GiB, which holds the vectors of some 250 000 summaries.
#[must_use]
pub fn cache_mib(memory: Option<u32>) -> u32 {
    memory.map_or(128, |mib| (mib / 4).clamp(128, 1024))
}

/// The memory in MiB that this process may use: that of the machine, or of its control group where that is less; nothing where
/// neither can be read.
#[must_use]
pub fn memory_mib() -> Option<u32> {
    let read = |path| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<u64>().ok());
    let kib = machine.into_iter().chain(group.map(|bytes| bytes / 1024)).min()?;
    u32::try_from(kib / 1024).ok()
}

/// What is going on while the server starts, for a progress line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The data directory is being made; about two seconds, once.
    Initialising,
    /// The server is starting.
    Starting,
    /// The server works through its log after a crash; it may take a while.
    Recovering,
    /// A server that a killed process left behind was taken over.
    TakenOver {
        /// Its process.
        pid: u32,
    },
    /// The schema is being made or brought up to date.
    Migrating,
    /// Everything is ready.
    Ready,
}

/// Hears about every [`Stage`].
pub type Progress<'a> = &'a (dyn Fn(Stage) + Send + Sync);

/// A PostgreSQL that runs for us. Call [`Embedded::stop`] to end it in order; when dropped, it is only asked to end.
#[derive(Debug)]
pub struct Embedded {
    postmaster: Postmaster,
    folder: Folder,
    port: u16,
    admin_url: SecretString,
    login_url: Option<SecretString>,
    /// As asked for, with the port that was found.
    settings: EmbeddedSettings,
    binaries: Binaries,
    account: Account,
}

impl Embedded {
    /// Starts the server, makes the database when it is missing, and brings the schema up to date.
    pub async fn start(settings: &EmbeddedSettings, progress: Progress<'_>) -> Result<Self, EmbeddedError> {
        let mut embedded = Self::open(settings, progress).await?;
        match embedded.prepare(progress).await {
            Ok(()) => {
                embedded.folder.announce(embedded.port)?;
                progress(Stage::Ready);
                Ok(embedded)
            }
            Err(error) => {
                embedded.stop().await?;
                Err(error)
            }
        }
    }

    /// Starts the server and nothing else; [`Embedded::admin_url`] leads to the database `postgres`.
    pub async fn start_server(
        settings: &EmbeddedSettings,
        progress: Progress<'_>,
    ) -> Result<Self, EmbeddedError> {
        let mut embedded = Self::open(settings, progress).await?;
        embedded.folder.announce(embedded.port)?;
        Ok(embedded)
    }

    async fn open(settings: &EmbeddedSettings, progress: Progress<'_>) -> Result<Self, EmbeddedError> {
        let account = Account::choose();
        let binaries = Binaries::find(settings.pg_dir.as_deref(), &account)?;
        let folder = Folder::open(&settings.data_dir, binaries.major(), &account)?;
        let server = Server {
            settings,
            binaries: &binaries,
            account: &account,
            folder: &folder,
            progress,
        };
        let (postmaster, port, password) = server.start().await?;
        let pid = postmaster.pid;
        tracing::info!(pid, port, user = account.name(), "PostgreSQL is ready");
        Ok(Self {
            postmaster,
            port,
            admin_url: url(port, SUPERUSER, &password, "postgres"),
            login_url: None,
            settings: EmbeddedSettings {
                port: Some(port),
                ..settings.clone()
            },
            binaries,
            account,
            folder,
        })
    }

    /// Starts the server again, at the same port, if it ended without being told to; returns whether it had.
    /// To be called now and then: whoever is connected reconnects by itself, but nobody else restarts the server.
    pub async fn revive(&mut self) -> Result<bool, EmbeddedError> {
        if self.postmaster.is_running() {
            return Ok(false);
        }
        tracing::error!(pid = self.postmaster.pid, "PostgreSQL ended by itself");
        let server = Server {
            settings: &self.settings,
            binaries: &self.binaries,
            account: &self.account,
            folder: &self.folder,
            progress: &|_| {},
        };
        let (postmaster, ..) = server.start().await?;
        tracing::info!(
            pid = postmaster.pid,
            port = self.port,
            "PostgreSQL is ready again"
        );
        self.postmaster = postmaster;
        Ok(true)
    }

    async fn prepare(&mut self, progress: Progress<'_>) -> Result<(), EmbeddedError> {
        let superuser = self.folder.known_secret(SUPERUSER)?;
        let login = self.folder.secret(LOGIN)?;
        self.create_database(&superuser).await?;
        self.admin_url = url(self.port, SUPERUSER, &superuser, DATABASE);
        progress(Stage::Migrating);
        migrations::up(&self.admin_url, Source::embedded()).await?;
        self.set_login_password(&superuser, &login).await?;
        self.login_url = Some(url(self.port, LOGIN, &login, DATABASE));
        Ok(())
    }

    async fn create_database(&self, superuser: &SecretString) -> Result<(), DbError> {
        let options = server::options(self.port, SUPERUSER, superuser, "postgres");
        let mut connection = PgConnection::connect_with(&options).await?;
        let present: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
        if !present {
            sqlx::query("create database jarvis")
                .execute(&mut connection)
                .await?;
        }
        Ok(connection.close().await?)
    }

    async fn set_login_password(
        &self,
        superuser: &SecretString,
        login: &SecretString,
    ) -> Result<(), DbError> {
        let options = server::options(self.port, SUPERUSER, superuser, DATABASE);
        let mut connection = PgConnection::connect_with(&options).await?;
        // Our own passwords are hexadecimal, and a role's password cannot be a bound parameter.
        let statement = format!("alter role {LOGIN} password '{}'", login.expose_secret());
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }

    /// For migrations and operators: the superuser, in the database of JARVIS.
    pub fn admin_url(&self) -> &SecretString {
        &self.admin_url
    }

    /// The superuser, in another database of this server.
    pub fn url_of(&self, database: &str) -> SecretString {
        let url = self.admin_url.expose_secret();
        let (server, options) = (url.rsplit_once('/'), url.rsplit_once('?'));
        let server = server.map_or(url, |(server, _)| server);
        let options = options
            .map(|(_, options)| format!("?{options}"))
            .unwrap_or_default();
        format!("{server}/{database}{options}").into()
    }

    /// For the application: the login role, in the database of JARVIS. None after [`Embedded::start_server`].
    pub fn login_url(&self) -> Option<&SecretString> {
        self.login_url.as_ref()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid
    }

    /// The server's data directory.
    pub fn cluster_dir(&self) -> PathBuf {
        self.folder.cluster()
    }

    /// Whether the server runs still.
    pub fn is_running(&mut self) -> bool {
        self.postmaster.is_running()
    }

    /// Ends the server in order: connections are closed, everything is written. After 30 s it is made to end.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        let patience = if self.settings.durable { 30 } else { 3 };
        self.postmaster.stop(Duration::from_secs(patience)).await
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.postmaster.ask_to_stop();
    }
}

/// A server that another process runs on a data folder.
#[derive(Debug, Clone)]
pub struct Running {
    /// The process that runs it (ours, not PostgreSQL's).
    pub pid: u32,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The superuser, in the database of JARVIS.
    pub admin_url: SecretString,
    /// The login role, in the database of JARVIS.
    pub login_url: SecretString,
}

/// The server that another process runs on `data_dir`, so that a command can join it; none when there is none, or
/// when it is still starting.
pub fn running(data_dir: &Path) -> Result<Option<Running>, EmbeddedError> {
    let Some(holder) = folder::holder(data_dir)? else {
        return Ok(None);
    };
    let secret = |name| folder::read_secret(data_dir, name);
    let (Some(pid), Some(port), Some(superuser), Some(login)) =
        (holder.pid, holder.port, secret(SUPERUSER)?, secret(LOGIN)?)
    else {
        return Ok(None);
    };
    Ok(Some(Running {
        pid,
        port,
        admin_url: url(port, SUPERUSER, &superuser, DATABASE),
        login_url: url(port, LOGIN, &login, DATABASE),
    }))
}

fn url(port: u16, user: &str, password: &SecretString, database: &str) -> SecretString {
    let password = password.expose_secret();
    format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=disable").into()
}

#[cfg(test)]
mod tests {
    use super::{cache_mib, memory_mib};

    #[test]
    fn the_cache_is_a_quarter_of_the_memory_within_bounds() {
        let machines = [None, Some(100), Some(512), Some(2048), Some(4096), Some(1 << 20)];
        assert_eq!(machines.map(cache_mib), [128, 128, 128, 512, 1024, 1024]);
        assert!(memory_mib().is_some_and(|mib| mib > 64), "this machine has some");
    }
}
