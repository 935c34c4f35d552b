//! What is known of members since the backup was made: who was erased, and what the others answered.

use super::answers::{self, Answers};
use super::create::connect;
use super::error::BackupError;
use super::ledger::{Known, read_file};
use super::manifest::{self, Manifest};
use super::restore::RestoreRequest;
use super::scratch::Scratch;
use crate::queries::erasure::{self, Erasure};
use secrecy::SecretString;
use sqlx::{Connection as _, PgConnection};

/// Asks every source there is. The database that is replaced knows all of its own erasures up to now.
pub(super) async fn known_erasures(
    request: &RestoreRequest<'_>,
    manifest: &Manifest,
    replaced: Option<&SecretString>,
) -> Result<Known, BackupError> {
    let mut known = Known::default();
    known.add(
        "the backup itself".into(),
        manifest.erasures.clone(),
        Some(manifest.created_at),
    );
    if let Some(url) = replaced {
        let mut old = connect(url).await?;
        let mut tx = old.begin().await?;
        sqlx::raw_sql("set local row_security = off")
            .execute(&mut *tx)
            .await?;
        let found = erasure::list(&mut tx, None).await?;
        let same_past = erasure::has_ledger(&mut tx).await?
            && manifest.is_continued_by(&manifest::gyms(&mut tx).await?, &found);
        known.same_past = same_past;
        known.add(
            "the database that is replaced".into(),
            found,
            same_past.then_some(request.now),
        );
    }
    known.add_newer_backups(request.file, manifest, request.keys)?;
    for path in request.journals {
        known.add_journal(path)?;
    }
    for path in request.erasures {
        known.add(path.display().to_string(), read_file(path)?, Some(request.now));
    }
    Ok(known)
}

/// What members answered since, when the replaced database knows.
pub(super) async fn answers_since(
    known: &Known,
    replaced: Option<&SecretString>,
    restored: &SecretString,
) -> Result<Answers, BackupError> {
    let Some(old) = replaced.filter(|_| known.same_past) else {
        return Ok(Answers::default());
    };
    let (mut old, mut new) = (connect(old).await?, connect(restored).await?);
    let answers = answers::take_over(&mut old, &mut new).await?;
    old.close().await?;
    new.close().await?;
    Ok(answers)
}

/// What the replaced database learnt between the last look at it and the moment it lost its name, `old` now: nobody
/// writes to it any more.
pub(super) async fn catch_up(
    request: &RestoreRequest<'_>,
    manifest: &Manifest,
    old: &SecretString,
    reapplied: &mut Vec<Erasure>,
    answers: &mut Answers,
) -> Result<(), BackupError> {
    let known = known_erasures(request, manifest, Some(old)).await?;
    let mut connection = connect(request.url).await?;
    for erasure in known.missing_from(&manifest.erasures) {
        if !reapplied.contains(&erasure) {
            erasure::reapply(&mut connection, &erasure).await?;
            reapplied.push(erasure);
        }
    }
    connection.close().await?;
    *answers += answers_since(&known, Some(old), request.url).await?;
    Ok(())
}

/// Applies past erasures again in the new database.
pub(super) async fn reapply(scratch: &Scratch, erasures: &[Erasure]) -> Result<(), BackupError> {
    let mut connection = connect(&scratch.url).await?;
    for erasure in erasures {
        erasure::reapply(&mut connection, erasure).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Nobody stays signed in over a restore: who signed out since the backup, or whose token was stolen, would be back.
pub(super) async fn end_sessions(connection: &mut PgConnection) -> Result<(), BackupError> {
    let there: bool = sqlx::query_scalar("select pg_catalog.to_regclass('jarvis.auth_sessions') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if there {
        sqlx::raw_sql(
            "begin; set local row_security = off;
             update jarvis.auth_sessions set ended_at = now() where ended_at is null;
             commit",
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
