//! Making a backup.

use super::archive::{ArchiveWriter, Written, fingerprint};
use super::error::BackupError;
use super::key::Keys;
use super::manifest::{self, Manifest};
use super::place::{self, Label, Unfinished};
use super::tools::Tool;
use super::{Progress, Stage};
use crate::error::DbError;
use crate::pool;
use chrono::{DateTime, Utc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What to back up, and where to.
#[derive(Debug)]
pub struct BackupRequest<'a> {
    /// The database, as its owner.
    pub url: &'a SecretString,
    /// A folder, or the file to write.
    pub to: &'a Path,
    /// Who may read it.
    pub keys: &'a Keys,
    /// The key that signs access tokens, to be kept along.
    pub signing_key: Option<SecretString>,
    /// The version of this program.
    pub made_by: &'a str,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A backup that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// The file.
    pub path: PathBuf,
    /// What its label says.
    pub label: Label,
    /// Whether the key that signs access tokens is in it.
    pub holds_signing_key: bool,
    /// Schemas that belong to a platform and are not in it.
    pub left_out: Vec<String>,
    /// The ledger of erasures up to here.
    #[serde(skip)]
    pub erasures: Vec<crate::queries::erasure::Erasure>,
}

/// Backs up a database, streaming: neither its size nor the backup's is held in memory, and no plain text reaches a
/// disk. `stop` ends it early.
///
/// # Errors
/// Nothing is left that looks like a backup then.
pub async fn create(
    request: &BackupRequest<'_>,
    stop: impl Future<Output = ()>,
    progress: Progress<'_>,
) -> Result<Made, BackupError> {
    progress(Stage::Counting);
    let mut connection = connect(request.url).await?;
    pool::check_version(&mut connection).await?;
    let major: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int / 10000")
        .fetch_one(&mut connection)
        .await?;
    let (tool, dump_major) = Tool::find("pg_dump", major.unsigned_abs())?;
    let mut tx = connection.begin().await?;
    sqlx::raw_sql("set transaction isolation level repeatable read, read only")
        .execute(&mut *tx)
        .await?;
    manifest::see_everything(&mut tx).await?;
    let snapshot: String = sqlx::query_scalar("select pg_catalog.pg_export_snapshot()")
        .fetch_one(&mut *tx)
        .await?;
    let manifest = manifest::of_database(&mut tx, request.made_by, request.now, dump_major).await?;

    progress(Stage::Dumping);
    let path = place::target(request.to, &manifest.database, request.now);
    let file = Unfinished::begin(&path)?;
    let mut archive = ArchiveWriter::begin(file.file()?, &path, request.keys)?;
    archive.manifest(&manifest)?;
    if let Some(pem) = &request.signing_key {
        archive.signing_key(pem)?;
    }
    let written = dump(&tool, request.url, &snapshot, &manifest, archive, stop).await?;
    tx.rollback().await?;
    connection.close().await?;
    // What the disk gives back is what counts.
    if fingerprint(file.aside())? != written {
        return Err(BackupError::Damaged {
            path,
            reason: "the disk gives back something else than was written",
        });
    }
    file.finish()?;
    let label = Label::new(&manifest, request.keys.recipients(), &written);
    place::write_label(&path, &label)?;
    Ok(Made {
        path,
        label,
        holds_signing_key: request.signing_key.is_some(),
        left_out: manifest.left_out,
        erasures: manifest.erasures,
    })
}

pub(super) async fn connect(url: &SecretString) -> Result<PgConnection, DbError> {
    let options = PgConnectOptions::from_str(url.expose_secret())?
        .application_name("jarvis-backup")
        // Everything here takes its time.
        .disable_statement_logging();
    tokio::time::timeout(Duration::from_secs(10), PgConnection::connect_with(&options))
        .await
        .map_err(|_| pool::unreachable_at(&options, "no answer in time"))?
        .map_err(|error| pool::cannot_connect(&options, error))
}

/// Runs `pg_dump` in the snapshot, and copies what it writes into the archive.
async fn dump(
    tool: &Tool,
    url: &SecretString,
    snapshot: &str,
    manifest: &Manifest,
    mut archive: ArchiveWriter,
    stop: impl Future<Output = ()>,
) -> Result<Written, BackupError> {
    let mut command = tool.command(url)?;
    command
        .args(["--format=custom", "--no-password", "--lock-wait-timeout=60s"])
        .arg(format!("--snapshot={snapshot}"))
        .stdout(Stdio::piped());
    for schema in &manifest.left_out {
        command.arg(format!("--exclude-schema=\"{}\"", schema.replace('"', "\"\"")));
    }
    let mut child = command.spawn().map_err(|error| tool.broken(&error))?;
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids are small"));
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = stopped.clone();
    let tool = tool.clone();
    let mut copying = tokio::task::spawn_blocking(move || {
        let mut errors = child.stderr.take().expect("it is piped");
        let said = std::thread::spawn(move || {
            let mut text = Vec::new();
            drop(errors.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut output = child.stdout.take().expect("it is piped");
        let copied = archive.dump(&mut output, &|| seen.load(Ordering::Relaxed));
        if copied.is_err() {
            // It writes into a pipe that nobody reads any more.
            drop(child.kill());
        }
        drop(output);
        let status = child.wait().map_err(|error| tool.broken(&error))?;
        let said = said.join().unwrap_or_default();
        if seen.load(Ordering::Relaxed) {
            return Err(BackupError::Interrupted);
        }
        copied?;
        if !status.success() {
            return Err(tool.failed(&said));
        }
        archive.finish()
    });
    tokio::select! {
        done = &mut copying => return done.expect("copying does not panic"),
        () = stop => {}
    }
    stopped.store(true, Ordering::Relaxed);
    // Waiting for a lock, it would write nothing and notice nothing.
    if let Err(error) = kill(pid, Signal::SIGTERM) {
        tracing::debug!(%error, "pg_dump ended before it was told to");
    }
    copying.await.expect("copying does not panic")
}
