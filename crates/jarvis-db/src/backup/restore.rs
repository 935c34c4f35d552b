//! The way back: built beside, compared, cleaned of who was erased since, and only then put into place.

use super::answers::Answers;
use super::archive::{self, Visitor};
use super::create::connect;
use super::error::BackupError;
use super::key::Keys;
use super::ledger::{Known, Source as ErasureSource};
use super::manifest::{self, Manifest};
use super::scratch::{Scratch, Server, Target, name_in, quoted};
use super::since::{answers_since, catch_up, end_sessions, known_erasures, reapply};
use super::tools::Tool;
use super::{Progress, Stage, contents, roles};
use crate::migrations::{self, Source};
use crate::queries::erasure::Erasure;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};

/// What to restore, and where to.
#[derive(Debug)]
pub struct RestoreRequest<'a> {
    /// The backup.
    pub file: &'a Path,
    /// What opens it.
    pub keys: &'a Keys,
    /// The database to restore to, as its owner. It need not exist.
    pub url: &'a SecretString,
    /// Whether a database that holds something may be replaced, with its name as it was typed.
    pub replace: Option<&'a str>,
    /// Whether the schema is brought up to date before anybody uses it.
    pub migrate: bool,
    /// Lists of erasures that are complete up to now.
    pub erasures: &'a [PathBuf],
    /// Journals of erasures, which may lack some.
    pub journals: &'a [PathBuf],
    /// Now.
    pub now: DateTime<Utc>,
}

/// What was restored.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The database's name; none when it was dropped again after comparing.
    pub database: Option<String>,
    /// When the backup was begun: what happened later is not in it.
    pub backed_up_at: DateTime<Utc>,
    /// Tables that were compared.
    pub tables: usize,
    /// Rows in them.
    pub rows: i64,
    /// Whether the structure was compared too; not between servers of different major versions.
    pub structure_compared: bool,
    /// Whether a database was replaced.
    pub replaced: bool,
    /// Migrations that were applied.
    pub migrated: Vec<String>,
    /// Migrations that wait for `jarvis migration up`.
    pub pending: usize,
    /// Where past erasures were read from.
    pub sources: Vec<ErasureSource>,
    /// Erasures that were applied again.
    pub reapplied: Vec<Erasure>,
    /// Erasures made after this moment are not known; none when all are.
    pub unknown_since: Option<DateTime<Utc>>,
    /// Consents and restrictions that were taken over from the database that was replaced.
    pub answers: Answers,
    /// Consents, restrictions and facts that were forgotten are as they were at this moment; none when consents and
    /// restrictions are as they are now.
    pub answers_as_of: Option<DateTime<Utc>>,
    /// The key that signs access tokens, when it is in the backup.
    #[serde(skip)]
    pub signing_key: Option<SecretString>,
}

/// Restores a backup. Until the end the target is as it was, whatever fails; `stop` ends it early.
pub async fn restore(
    request: &RestoreRequest<'_>,
    stop: impl Future<Output = ()>,
    progress: Progress<'_>,
) -> Result<Restored, BackupError> {
    progress(Stage::Reading);
    let (manifest, signing_key) = check(request.file, request.keys).await?;
    let database = name_in(request.url)?;
    let mut server = Server::connect(request.url, &database).await?;
    let (target, url) = server.target().await?;
    if target == Target::Full {
        match request.replace {
            None => return Err(BackupError::NotEmpty { database }),
            Some(typed) if typed != database => return Err(BackupError::NotConfirmed { database }),
            Some(_) => {}
        }
    }
    let replaced = (target == Target::Full).then_some(&url);
    let known = known_erasures(request, &manifest, replaced).await?;
    let missing = known.missing_from(&manifest.erasures);
    refuse_too_old(request, &manifest, &missing)?;
    prepare_roles(server.connection(), &manifest).await?;

    let scratch = server.make().await?;
    let building = build(
        request,
        &manifest,
        &mut server,
        &scratch,
        replaced,
        &missing,
        progress,
    );
    let built = tokio::select! {
        built = building => built,
        () = stop => Err(BackupError::Interrupted),
    };
    let finished = match built {
        Ok(built) => {
            progress(Stage::Swapping);
            let swapped = server
                .swap(&scratch, target != Target::Absent, manifest.rights.as_deref())
                .await;
            swapped.map(|old| (old, built))
        }
        Err(error) => Err(error),
    };
    let (old, (migrated, known, mut reapplied, mut answers)) = match finished {
        Ok(built) => built,
        Err(error) => {
            server.drop_database(&scratch.name).await?;
            return Err(error);
        }
    };
    let mut unknown_since = known.complete_until().filter(|until| *until < request.now);
    if let Some(old) = old
        && !let_go(
            &mut server,
            &old,
            request,
            &manifest,
            &mut reapplied,
            &mut answers,
        )
        .await?
    {
        unknown_since = Some(request.now);
    }
    Ok(Restored {
        database: Some(database),
        replaced: target == Target::Full,
        pending: if request.migrate { 0 } else { pending(&manifest) },
        migrated,
        unknown_since,
        answers,
        answers_as_of: (!known.same_past).then_some(manifest.created_at),
        sources: known.sources,
        reapplied,
        signing_key,
        ..of_manifest(&manifest, server.major().await?)
    })
}

/// What a restore knows when the new database may take its place.
type Built = (Vec<String>, Known, Vec<Erasure>, Answers);

/// Fills the new database, compares it, and brings it up to what is known of members by now.
async fn build(
    request: &RestoreRequest<'_>,
    manifest: &Manifest,
    server: &mut Server,
    scratch: &Scratch,
    replaced: Option<&SecretString>,
    missing: &[Erasure],
    progress: Progress<'_>,
) -> Result<Built, BackupError> {
    load_and_compare(request.file, request.keys, manifest, server, scratch, progress).await?;
    let migrated = finish(scratch, request.migrate, missing, progress).await?;
    // Meanwhile the old database was in use, and a member may have been erased in it.
    let known = known_erasures(request, manifest, replaced).await?;
    let all = known.missing_from(&manifest.erasures);
    refuse_too_old(request, manifest, &all)?;
    let late: Vec<Erasure> = all.iter().filter(|e| !missing.contains(e)).cloned().collect();
    reapply(scratch, &late).await?;
    let answers = answers_since(&known, replaced, &scratch.url).await?;
    Ok((migrated, known, all, answers))
}

/// The migration that makes the ledger of erasures.
const ERASURES: &str = "20261123000002";

fn refuse_too_old(
    request: &RestoreRequest<'_>,
    manifest: &Manifest,
    missing: &[Erasure],
) -> Result<(), BackupError> {
    let knows_erasures = |version: &String| version == ERASURES;
    if missing.is_empty() || request.migrate || manifest.migrations.iter().any(knows_erasures) {
        return Ok(());
    }
    Err(BackupError::TooOldForErasures {
        path: request.file.to_owned(),
        erasures: missing.len(),
    })
}

/// Restores a backup beside whatever is on the server at `url`, compares everything, and drops it again.
pub async fn verify(
    file: &Path,
    keys: &Keys,
    url: &SecretString,
    stop: impl Future<Output = ()>,
    progress: Progress<'_>,
) -> Result<Restored, BackupError> {
    progress(Stage::Reading);
    let (manifest, _) = check(file, keys).await?;
    let mut server = Server::connect(url, "").await?;
    prepare_roles(server.connection(), &manifest).await?;
    let scratch = server.make().await?;
    let built = tokio::select! {
        built = load_and_compare(file, keys, &manifest, &mut server, &scratch, progress) => built,
        () = stop => Err(BackupError::Interrupted),
    };
    server.drop_database(&scratch.name).await?;
    built?;
    Ok(of_manifest(&manifest, server.major().await?))
}

fn of_manifest(manifest: &Manifest, server_major: u32) -> Restored {
    Restored {
        database: None,
        backed_up_at: manifest.created_at,
        tables: manifest.tables.len(),
        rows: manifest.rows(),
        structure_compared: manifest.server_major == server_major,
        replaced: false,
        migrated: Vec::new(),
        pending: pending(manifest),
        sources: Vec::new(),
        reapplied: Vec::new(),
        unknown_since: None,
        answers: Answers::default(),
        answers_as_of: None,
        signing_key: None,
    }
}

fn pending(manifest: &Manifest) -> usize {
    let known = Source::embedded().migrations().iter();
    known
        .filter(|m| !manifest.migrations.contains(&m.version))
        .count()
}

/// Reads the whole backup once: the right key, nothing changed, nothing cut, nothing from the future.
async fn check(file: &Path, keys: &Keys) -> Result<(Manifest, Option<SecretString>), BackupError> {
    let mut reading = Reading::default();
    let (path, opens) = (file.to_owned(), keys.clone());
    let reading = tokio::task::spawn_blocking(move || {
        archive::read(&path, &opens, &mut reading)?;
        Ok::<_, BackupError>(reading)
    });
    let reading = reading.await.expect("reading does not panic")?;
    let manifest = reading.manifest.ok_or_else(|| BackupError::NotABackup {
        path: file.to_owned(),
    })?;
    let unknown: Vec<&str> = manifest
        .migrations
        .iter()
        .filter(|version| {
            !Source::embedded()
                .migrations()
                .iter()
                .any(|m| m.version == **version)
        })
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        return Ok((manifest, reading.signing_key));
    }
    Err(BackupError::Newer {
        path: file.to_owned(),
        made_by: manifest.made_by,
        reason: format!("its migrations {} are unknown here", unknown.join(", ")),
    })
}

#[derive(Default)]
struct Reading {
    manifest: Option<Manifest>,
    signing_key: Option<SecretString>,
}

impl Visitor for Reading {
    fn manifest(&mut self, manifest: Manifest) -> Result<bool, BackupError> {
        self.manifest = Some(manifest);
        Ok(true)
    }

    fn signing_key(&mut self, pem: SecretString) -> Result<(), BackupError> {
        self.signing_key = Some(pem);
        Ok(())
    }

    fn dump(&mut self, _: &[u8]) -> Result<(), BackupError> {
        Ok(())
    }
}

async fn prepare_roles(conn: &mut PgConnection, manifest: &Manifest) -> Result<(), BackupError> {
    if !manifest.migrations.is_empty() {
        roles::make(conn).await?;
    }
    let missing = roles::missing(conn, &manifest.roles).await?;
    if missing.is_empty() {
        Ok(())
    } else {
        Err(BackupError::MissingRoles { roles: missing })
    }
}

async fn load_and_compare(
    file: &Path,
    keys: &Keys,
    manifest: &Manifest,
    server: &mut Server,
    scratch: &Scratch,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    progress(Stage::Loading);
    let (tool, _) = Tool::find("pg_restore", manifest.dump_major)?;
    let mut connection = connect(&scratch.url).await?;
    for extension in manifest
        .extensions
        .iter()
        .filter(|e| manifest.left_out.contains(&e.schema))
    {
        let statement = format!("create schema if not exists {}", quoted(&extension.schema));
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    // When this is given up, the database is dropped under the program, which ends it.
    let (path, opens, into) = (file.to_owned(), keys.clone(), scratch.clone());
    let loading = tokio::task::spawn_blocking(move || load(&tool, &path, &opens, &into));
    loading.await.expect("loading does not panic")?;
    roles::give_away(&mut connection, &manifest.owned).await?;
    server.dress(scratch, manifest).await?;

    progress(Stage::Comparing);
    let mut tx = connection.begin().await?;
    manifest::see_everything(&mut tx).await?;
    let restored = manifest::of_database(
        &mut tx,
        &manifest.made_by,
        manifest.created_at,
        manifest.dump_major,
    )
    .await?;
    tx.rollback().await?;
    let mut differences = contents::differences(manifest, &restored);
    if restored.settings != manifest.settings {
        differences.push("other settings of the database".into());
    }
    connection.close().await?;
    if differences.is_empty() {
        Ok(())
    } else {
        Err(BackupError::Different { differences })
    }
}

/// Feeds the dump to `pg_restore`, piece by piece.
fn load(tool: &Tool, file: &Path, keys: &Keys, scratch: &Scratch) -> Result<(), BackupError> {
    let mut command = tool.command(&scratch.url)?;
    command
        .args([
            "--no-owner",
            "--exit-on-error",
            "--no-password",
            "--no-subscriptions",
            "--format=custom",
        ])
        .arg(format!("--dbname={}", scratch.name))
        .stdin(Stdio::piped());
    let mut child = command.spawn().map_err(|error| tool.broken(&error))?;
    let mut errors = child.stderr.take().expect("it is piped");
    let said = std::thread::spawn(move || {
        let mut text = Vec::new();
        drop(errors.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut feeding = Feeding {
        input: child.stdin.take(),
        tool,
    };
    let fed = archive::read(file, keys, &mut feeding);
    if fed.is_err() {
        end(&mut child);
    }
    drop(feeding);
    let status = child.wait().map_err(|error| tool.broken(&error))?;
    let said = said.join().unwrap_or_default();
    fed?;
    if status.success() {
        Ok(())
    } else {
        Err(tool.failed(&said))
    }
}

fn end(child: &mut Child) {
    if let Err(error) = child.kill() {
        tracing::debug!(%error, "pg_restore ended before it was told to");
    }
}

struct Feeding<'a> {
    /// None once it reads no more; why, its status tells.
    input: Option<ChildStdin>,
    tool: &'a Tool,
}

impl Visitor for Feeding<'_> {
    fn manifest(&mut self, _: Manifest) -> Result<bool, BackupError> {
        Ok(true)
    }

    fn signing_key(&mut self, _: SecretString) -> Result<(), BackupError> {
        Ok(())
    }

    fn dump(&mut self, piece: &[u8]) -> Result<(), BackupError> {
        let Some(input) = &mut self.input else {
            return Ok(());
        };
        match input.write_all(piece) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.input = None;
                Ok(())
            }
            Err(error) => Err(self.tool.broken(&error)),
        }
    }
}

/// Migrates if wanted, erases, and lets the planner look. Nobody else can enter yet.
async fn finish(
    scratch: &Scratch,
    migrate: bool,
    missing: &[Erasure],
    progress: Progress<'_>,
) -> Result<Vec<String>, BackupError> {
    let mut migrated = Vec::new();
    if migrate {
        progress(Stage::Migrating);
        let applied = migrations::up(&scratch.url, Source::embedded()).await?;
        migrated.extend(applied.into_iter().map(|a| a.version));
    }
    progress(Stage::Erasing);
    reapply(scratch, missing).await?;
    let mut connection = connect(&scratch.url).await?;
    end_sessions(&mut connection).await?;
    sqlx::raw_sql("analyze").execute(&mut connection).await?;
    connection.close().await?;
    Ok(migrated)
}

/// Drops the replaced database, once it was asked for the last time. False when it could not be asked; it stays then.
async fn let_go(
    server: &mut Server,
    old: &str,
    request: &RestoreRequest<'_>,
    manifest: &Manifest,
    reapplied: &mut Vec<Erasure>,
    answers: &mut Answers,
) -> Result<bool, BackupError> {
    let url = server.url_of(old)?;
    if let Err(error) = catch_up(request, manifest, &url, reapplied, answers).await {
        tracing::warn!(database = old, %error, "what the replaced database learnt last is unknown: compare, then drop it by hand");
        return Ok(false);
    }
    if let Err(error) = server.drop_database(old).await {
        tracing::warn!(database = old, %error, "the replaced database is still there: drop it by hand");
    }
    Ok(true)
}
