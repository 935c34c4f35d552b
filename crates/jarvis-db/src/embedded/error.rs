use crate::error::DbError;
use crate::migrations::MigrationError;
use std::io;
use std::path::{Path, PathBuf};

/// Why the embedded PostgreSQL does not run. [`EmbeddedError::hint`] says the way out.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The binaries were not found.
    #[error("PostgreSQL is not at {}", looked.display())]
    MissingBinaries {
        /// Where it should be.
        looked: PathBuf,
    },
    /// The binaries do not run on this machine.
    #[error("{} does not run: {reason}", program.display())]
    UnusableBinaries {
        /// Which one.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// No place for the data can be derived from the environment.
    #[error("there is no home folder to keep the data in")]
    NoDataDir,
    /// PostgreSQL runs as another user than we, who cannot reach a folder.
    #[error("PostgreSQL runs as user {account}, who cannot enter {}", dir.display())]
    NotEnterable {
        /// The first folder on the way that is closed.
        dir: PathBuf,
        /// The user.
        account: String,
    },
    /// A folder or file cannot be written or read.
    #[error("cannot write to {}: {source}", path.display())]
    NotWritable {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left on the disk of {}", path.display())]
    DiskFull {
        /// The data folder.
        path: PathBuf,
    },
    /// The data belongs to somebody else.
    #[error("{} belongs to user {owner}, but PostgreSQL would run as {account}", path.display())]
    OwnedByOther {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: String,
        /// The user we run PostgreSQL as.
        account: String,
    },
    /// Another process uses this data folder.
    #[error("JARVIS runs already on {} ({})", data_dir.display(), running(*pid, *port))]
    AlreadyRunning {
        /// The data folder.
        data_dir: PathBuf,
        /// Its process, when it has said so already.
        pid: Option<u32>,
        /// The port of its PostgreSQL, when it has said so already.
        port: Option<u16>,
    },
    /// The port is in use.
    #[error("port {port} on 127.0.0.1 is in use by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The data was written by another major version.
    #[error("{} was made by PostgreSQL {found}; this is PostgreSQL {wanted}", path.display())]
    OtherVersion {
        /// The data directory.
        path: PathBuf,
        /// The version that made it.
        found: String,
        /// The version we have.
        wanted: String,
    },
    /// The data is there, the administrator's password is not.
    #[error("the password of the data in {} is missing ({})", data.display(), secret.display())]
    LostPassword {
        /// The data directory.
        data: PathBuf,
        /// Where the password was kept.
        secret: PathBuf,
    },
    /// Making the data directory failed.
    #[error("PostgreSQL could not make its data directory: {reason}")]
    InitFailed {
        /// What initdb said last.
        reason: String,
    },
    /// The server ended instead of starting.
    #[error("PostgreSQL did not start: {reason}")]
    StartFailed {
        /// What it said last.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// The server does not become ready.
    #[error("PostgreSQL is not ready after {seconds} s")]
    StartTimeout {
        /// How long we waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// The server does not end.
    #[error("PostgreSQL (process {pid}) does not stop")]
    StopFailed {
        /// Its process.
        pid: u32,
    },
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The server answers, but not as it should.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl EmbeddedError {
    /// The way out.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MissingBinaries { .. } => format!("{FETCH}, or set JARVIS_PG_DIR to the folder that holds bin/postgres"),
            Self::UnusableBinaries { .. } => format!("{FETCH} again; on other systems, {OWN_DATABASE}"),
            Self::NoDataDir => "set HOME, or choose a folder with --data-dir".into(),
            Self::NotEnterable { .. } => {
                "choose a folder that every user can enter, such as --data-dir /var/lib/jarvis, or do not run as root".into()
            }
            Self::NotWritable { .. } => "make the folder writable, or choose another one with --data-dir".into(),
            Self::DiskFull { .. } => "free some space and start again: nothing that was acknowledged is lost".into(),
            Self::OwnedByOther { owner, .. } => {
                format!("run as user {owner}, or choose another folder with --data-dir")
            }
            Self::AlreadyRunning { .. } => "use the one that runs, stop it first, or choose another folder with --data-dir".into(),
            Self::PortTaken { .. } => "choose another one with --pg-port, or leave it out to get a free one".into(),
            Self::OtherVersion { found, .. } => format!(
                "dump it with PostgreSQL {found} (pg_dumpall) and load it into a new folder (--data-dir), or upgrade it with pg_upgrade"
            ),
            Self::LostPassword { .. } => "put the file back from a backup, or start with an empty folder (--data-dir)".into(),
            Self::InitFailed { .. } => format!("see the message; if the files are damaged, {FETCH} again"),
            Self::StartFailed { log, .. } | Self::StartTimeout { log, .. } => format!("see {}", log.display()),
            Self::StopFailed { pid } => format!("look at what it does, then end it with: kill -QUIT {pid}"),
            Self::Migration(MigrationError::MissingExtension { .. }) => {
                format!("this PostgreSQL is incomplete: {FETCH} again, or set JARVIS_PG_DIR to one with pgvector")
            }
            Self::Migration(error) => return error.hint(),
            Self::Database(error) => return error.hint().map(str::to_owned),
        })
    }

    pub(super) fn not_writable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::NotWritable { path, source },
        }
    }
}

const FETCH: &str = "get it with scripts/fetch.py";
const OWN_DATABASE: &str = "run `jarvis serve` with DATABASE_URL of your own PostgreSQL";

fn running(pid: Option<u32>, port: Option<u16>) -> String {
    match (pid, port) {
        (Some(pid), Some(port)) => format!("process {pid}, PostgreSQL on port {port}"),
        (Some(pid), None) => format!("process {pid}, starting"),
        _ => "starting".into(),
    }
}
