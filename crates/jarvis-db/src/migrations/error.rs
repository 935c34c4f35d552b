use super::loss::Loss;
use crate::error::DbError;
use std::fmt::Write as _;

/// Why migrating did not work. [`MigrationError::hint`] says the way out.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database cannot be reached, or refuses.
    #[error(transparent)]
    Database(#[from] DbError),
    /// An extension is not installed on the server.
    #[error("the PostgreSQL server ({server}) has no extension \"{extension}\"")]
    MissingExtension {
        /// The extension.
        extension: &'static str,
        /// The server's version.
        server: String,
    },
    /// An extension is installed, but too old.
    #[error("extension \"{extension}\" is version {found}; JARVIS needs {wanted} or newer")]
    OldExtension {
        /// The extension.
        extension: &'static str,
        /// The version that the server has.
        found: String,
        /// The oldest version that works.
        wanted: &'static str,
    },
    /// The history holds the guide's versions, but the schema they made is not ours.
    #[error("this database holds an earlier schema{}", under(versions))]
    ForeignSchema {
        /// The versions that are recorded; none where it was made without a history.
        versions: Vec<String>,
    },
    /// The history holds versions this program does not know.
    #[error("the database records migrations that are unknown here: {}", versions.join(", "))]
    UnknownVersions {
        /// The unknown versions.
        versions: Vec<String>,
    },
    /// A version that is neither known here nor on record.
    #[error("there is no such migration to act on: {version}")]
    NoSuchVersion {
        /// What was asked for.
        version: String,
        /// What there is, known here or on record, oldest first.
        known: Vec<String>,
    },
    /// The database that the schema is compared with cannot be made.
    #[error("cannot make a database to compare with: {0}")]
    NoScratch(DbError),
    /// Tables of somebody else have the names of ours.
    #[error("this database has tables of its own by the names that JARVIS uses: {}", tables.join(", "))]
    NamesTaken {
        /// The tables, in schema `public`.
        tables: Vec<String>,
    },
    /// The database lacks what a command needs.
    #[error("the import of the predecessor's tables is not installed in this database")]
    NoLegacyImport,
    /// What an operator stated, or asked for, cannot be; nothing was changed.
    #[error("{problem}")]
    Refused {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A migration failed; its transaction was rolled back, earlier ones stay applied.
    #[error("migration {version}_{name} failed{}: {message}", at_line(*line))]
    Failed {
        /// Its version.
        version: String,
        /// Its name.
        name: String,
        /// The line of the file, when PostgreSQL says where.
        line: Option<usize>,
        /// PostgreSQL's message with its SQLSTATE.
        message: String,
    },
    /// A migration cannot be undone.
    #[error("migration {version}_{name} has no down migration")]
    NoDown {
        /// Its version.
        version: String,
        /// Its name.
        name: String,
    },
    /// There is no earlier schema to take over.
    #[error("there is no earlier schema to take over: {found}")]
    NothingToAdopt {
        /// What the database holds instead.
        found: &'static str,
    },
    /// The embeddings of an earlier schema are said to be of a model that is not registered.
    #[error("the embedding model \"{model}\" is not known")]
    UnknownModel {
        /// What was said.
        model: String,
        /// The registered models.
        known: Vec<String>,
    },
    /// Taking over an earlier schema failed; everything was rolled back.
    #[error("adoption failed while it {step}; the database is as it was: {message}")]
    Adoption {
        /// What was being done.
        step: &'static str,
        /// PostgreSQL's message with its SQLSTATE, without any value of a row.
        message: String,
    },
    /// Going down would lose rows.
    #[error("going down would lose {}", losses(lost))]
    DataLoss {
        /// What would be lost, by table or column.
        lost: Vec<Loss>,
    },
    /// The folder of migrations is not in order.
    #[error("{0}")]
    BadSource(String),
    /// A file cannot be read or written.
    #[error("cannot access {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl MigrationError {
    /// The way out, when there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Database(error) => error.hint().map(str::to_owned),
            Self::MissingExtension { extension, server } => Some(extension_hint(extension, server)),
            Self::OldExtension { extension, .. } => Some(format!(
                "install a newer package, then run: alter extension {extension} update"
            )),
            Self::ForeignSchema { .. } => {
                Some("take it over with `jarvis migration adopt`, which keeps every row".into())
            }
            Self::NamesTaken { tables } => Some(taken_hint(tables)),
            Self::NoLegacyImport => Some("bring the schema up to date with `jarvis migration up`".into()),
            Self::Refused { hint, .. } => Some((*hint).to_owned()),
            Self::UnknownVersions { versions } => Some(repair_hint(versions)),
            Self::NoSuchVersion { known, .. } => Some(if known.is_empty() {
                "there is none at all".to_owned()
            } else {
                format!("there are: {}", known.join(", "))
            }),
            Self::NoScratch(_) => Some(
                "the login needs the right to create databases and to install the extensions there; or name an empty \
                 database of the same PostgreSQL version with --scratch-url and a login that has it"
                    .into(),
            ),
            Self::DataLoss { .. } => {
                Some("make a backup, then repeat with --allow-data-loss if the rows may go".into())
            }
            Self::NothingToAdopt { .. } => {
                Some("bring the schema up to date with `jarvis migration up`".into())
            }
            Self::UnknownModel { known, .. } => Some(format!(
                "name the model that made them, one of: {}",
                known.join(", ")
            )),
            Self::Adoption { .. }
            | Self::Failed { .. }
            | Self::NoDown { .. }
            | Self::BadSource(_)
            | Self::File { .. } => None,
        }
    }
}

fn under(versions: &[String]) -> String {
    if versions.is_empty() {
        return " (its gyms are there, and nothing of JARVIS)".to_owned();
    }
    format!(" under the same versions ({})", versions.join(", "))
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" at line {line}")).unwrap_or_default()
}

fn losses(lost: &[Loss]) -> String {
    let mut text = String::new();
    for (n, loss) in lost.iter().enumerate() {
        let separator = if n == 0 { "" } else { ", " };
        write!(text, "{separator}{loss}").expect("writing to a string cannot fail");
    }
    text
}

fn extension_hint(extension: &str, server: &str) -> String {
    let major = server.split(['.', ' ']).next().unwrap_or(server);
    let package = if extension == "vector" {
        format!("postgresql-{major}-pgvector")
    } else {
        format!("postgresql-contrib (or postgresql-{major})")
    };
    format!(
        "install the package {package} on the server, or use `jarvis up`, which brings its own PostgreSQL"
    )
}

/// The guide's tables are for `adopt`; a predecessor's gyms come along with its members.
fn taken_hint(tables: &[String]) -> String {
    if tables.iter().any(|t| t != "gyms" && t != "users") {
        return "if they are those of the guide, take them over with `jarvis migration adopt`; otherwise use a \
                database of its own for JARVIS"
            .to_owned();
    }
    let renames: Vec<String> = tables
        .iter()
        .map(|t| format!("alter table public.{t} rename to legacy_{t};"))
        .collect();
    format!(
        "they are a predecessor's: put them aside with: {} then run `jarvis migration up`, which brings the gyms of \
         legacy_gyms and the members along",
        renames.join(" ")
    )
}

/// The history is the operator's: we say how to repair it, and never do it unasked.
fn repair_hint(versions: &[String]) -> String {
    let [ours, theirs] = repair_commands(versions, "reverted");
    format!(
        "use the program that applied them, or name the folder that holds them with --dir; or, if they are gone for \
         good, forget them: `{ours}` (the Supabase CLI: `{theirs}`)"
    )
}

/// How each of the two tools marks `versions` as `status`.
pub fn repair_commands(versions: &[String], status: &str) -> [String; 2] {
    let list = versions.join(" ");
    [
        format!("jarvis migration repair {list} --status {status}"),
        format!("supabase migration repair {list} --status {status} --remote=\"$DATABASE_URL\""),
    ]
}
