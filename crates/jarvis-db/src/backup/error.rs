use crate::error::DbError;
use crate::migrations::MigrationError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a backup or a restore did not work. [`BackupError::hint`] says the way out.
///
/// No text quotes a row: what `pg_dump` and `pg_restore` say is cut to the part that names tables and causes.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be reached, or refuses.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The schema of a restored database cannot be brought up to date.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// A program of PostgreSQL is not installed.
    #[error("{program} is not installed")]
    MissingProgram {
        /// Which one.
        program: &'static str,
    },
    /// A program of PostgreSQL is older than the server.
    #[error("{} is version {found}; the server is PostgreSQL {server}, and needs {server} or newer", program.display())]
    OldProgram {
        /// Which one.
        program: PathBuf,
        /// Its major version.
        found: u32,
        /// The server's major version.
        server: u32,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {reason}")]
    ProgramFailed {
        /// Which one.
        program: &'static str,
        /// What it said, without any data.
        reason: String,
    },
    /// Row level security hides rows from this role.
    #[error("row level security hides rows from role {role}: the backup would lack them")]
    HiddenRows {
        /// The role.
        role: String,
    },
    /// The key file cannot be used.
    #[error("{}: {reason}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        reason: &'static str,
    },
    /// The backup was made for other keys.
    #[error("{} was made for another key", path.display())]
    WrongKey {
        /// The backup.
        path: PathBuf,
    },
    /// The file is no backup.
    #[error("{} is not a backup of JARVIS", path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
    },
    /// The file was changed or cut since it was written.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// How.
        reason: &'static str,
    },
    /// A later program made the backup.
    #[error("{} was made by a newer JARVIS ({made_by}): {reason}", path.display())]
    Newer {
        /// The backup.
        path: PathBuf,
        /// The version that made it.
        made_by: String,
        /// What is unknown here.
        reason: String,
    },
    /// The schema of the backup is older than what has to be done with it.
    #[error("{} is older than the ledger of erasures, and {erasures} must be applied to it again", path.display())]
    TooOldForErasures {
        /// The backup.
        path: PathBuf,
        /// How many.
        erasures: usize,
    },
    /// The target holds something.
    #[error("database `{database}` is not empty")]
    NotEmpty {
        /// Its name.
        database: String,
    },
    /// The name that was typed is not that of the database.
    #[error("this would replace database `{database}` and everything in it")]
    NotConfirmed {
        /// Its name.
        database: String,
    },
    /// Roles that the backup names do not exist on this server.
    #[error("the backup names roles that this server lacks: {}", roles.join(", "))]
    MissingRoles {
        /// Which ones.
        roles: Vec<String>,
    },
    /// What was restored is not what was backed up.
    #[error("what was restored differs from the backup: {}", differences.join("; "))]
    Different {
        /// What, by table; counts and sums, no data.
        differences: Vec<String>,
    },
    /// The replaced database cannot make room.
    #[error("database `{database}` cannot be replaced while it is in use")]
    InUse {
        /// Its name.
        database: String,
    },
    /// A list of erasures cannot be read.
    #[error("{} is no list of erasures: {reason}", path.display())]
    BadErasures {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The disk is full.
    #[error("no space left on the disk of {}", path.display())]
    DiskFull {
        /// What was written.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot access {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was told to stop.
    #[error("interrupted; nothing was changed")]
    Interrupted,
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl BackupError {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Database(error) => return error.hint().map(str::to_owned),
            Self::Migration(error) => return error.hint(),
            Self::MissingProgram { .. } => {
                "get it with scripts/fetch.py, set JARVIS_PG_DIR to a folder that holds bin/pg_dump, or install \
                 the package postgresql-client"
                    .into()
            }
            Self::OldProgram { server, .. } => {
                format!("set JARVIS_PG_DIR to PostgreSQL {server}, or install postgresql-client-{server}")
            }
            Self::ProgramFailed { .. } | Self::Interrupted => return None,
            Self::HiddenRows { role } => {
                format!("use the owner of the database, and run as an administrator: alter role \"{role}\" bypassrls")
            }
            Self::BadKey { .. } => "make one with `jarvis backup key`; keep it away from the backups".into(),
            Self::WrongKey { .. } => {
                "use the key that was there when it was made (--key FILE); without it nobody can read it".into()
            }
            Self::NotABackup { .. } => "choose a file that `jarvis backup list FOLDER` names".into(),
            Self::Damaged { .. } => "use another backup, and see why the disk or the copy changed this one".into(),
            Self::Newer { .. } => "use that version of JARVIS, or a newer one".into(),
            Self::TooOldForErasures { .. } => "repeat with --migrate, which makes the ledger".into(),
            Self::NotEmpty { database } => {
                format!("choose an empty database (--into URL), or replace it: --replace --confirm {database}")
            }
            Self::NotConfirmed { database } => format!("say so with --confirm {database}"),
            Self::MissingRoles { roles } => format!(
                "make them first, with the rights they had, such as: create role {} nologin",
                roles.first().map_or("…", String::as_str)
            ),
            Self::Different { .. } => {
                "nothing was replaced; try another backup, and report this with the versions of both servers".into()
            }
            Self::InUse { .. } => "stop what uses it (jarvis serve, psql), then try again".into(),
            Self::BadErasures { .. } => "write it with `jarvis member erasures --json > FILE`".into(),
            Self::DiskFull { .. } => "free some space, or choose another folder; nothing half done was left".into(),
            Self::File { .. } => "see that the path exists and that you may read and write it".into(),
        })
    }

    /// Whether it was refused before anything was begun, because of how it was asked.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::BadKey { .. }
                | Self::WrongKey { .. }
                | Self::NotABackup { .. }
                | Self::Newer { .. }
                | Self::TooOldForErasures { .. }
                | Self::NotEmpty { .. }
                | Self::NotConfirmed { .. }
                | Self::MissingRoles { .. }
                | Self::BadErasures { .. }
                | Self::OldProgram { .. }
                | Self::MissingProgram { .. }
        )
    }

    /// Sorts an error of a file.
    pub fn at(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| {
            let path = path.clone();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
                _ => Self::File { path, source },
            }
        }
    }
}
