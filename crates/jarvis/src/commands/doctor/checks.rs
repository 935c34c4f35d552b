//! What doctor looks at.

use super::Finding;
use crate::commands::db::serving_login;
use crate::connection::Urls;
use crate::embeddings::{self, ProviderSettings};
use crate::wiring;
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup;
use jarvis_db::lint::{self, Severity};
use jarvis_db::migrations::{self, Source, State};
use jarvis_db::queries::invariant;
use jarvis_db::{ConnectSettings, Db, DbError};
use jarvis_jobs::{Filter, JobRecord, JobState};
use sqlx::PgConnection;
use std::path::Path;

/// A closed session should be memory within this time, and a due job should be begun.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);

/// What happened within this time is worth telling.
const RECENT: TimeDelta = TimeDelta::days(7);

/// A job whose lease ran out should be taken over within this time.
const HANDOVER: TimeDelta = TimeDelta::minutes(5);

/// Clocks that differ by less are the same.
const SKEW: TimeDelta = TimeDelta::seconds(5);

/// Jobs that are fetched at a time.
const PAGE: u32 = 500;

/// Extensions of PostgreSQL that the schema uses.
const EXTENSIONS: [&str; 2] = ["unaccent", "vector"];

/// Whether program and schema fit together; when not, nothing else can be checked.
pub async fn schema(urls: &Urls, conn: &mut PgConnection) -> anyhow::Result<Vec<Finding>> {
    let entries = migrations::status(&urls.admin, Source::embedded()).await?;
    let of = |state: State| {
        let of_state = entries.iter().filter(move |entry| entry.state == state);
        of_state
            .map(|entry| format!("{} {}", entry.version, entry.name).trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    let installed = invariant::extensions(conn).await?;
    let missing = EXTENSIONS
        .iter()
        .filter(|name| !installed.iter().any(|found| found == *name));
    let pending = of(State::Pending);
    // Before the first migration there is no reason for them to be there.
    let missing = if pending.len() == Source::embedded().migrations().len() {
        Vec::new()
    } else {
        missing.map(|name| (*name).to_owned()).collect()
    };
    Ok(vec![
        Finding::about("migrations_pending", pending),
        Finding::about("migrations_unknown", of(State::Unknown)),
        Finding::about("extension_missing", missing),
    ])
}

/// The promises to members: what they said is memory.
pub async fn sessions(conn: &mut PgConnection) -> anyhow::Result<Vec<Finding>> {
    let now = SystemClock.now();
    Ok(vec![
        Finding::of_sessions("memory_missing", invariant::processed_without_memory(conn).await?),
        Finding::of_sessions(
            "memory_unsearchable",
            invariant::unsearchable_summaries(conn).await?,
        ),
        Finding::of_sessions("empty_with_words", invariant::empty_with_user_turns(conn).await?),
        Finding::of_sessions("processing_failed", invariant::failed(conn).await?),
        Finding::of_sessions(
            "processing_late",
            invariant::waiting_since(conn, now - PATIENCE).await?,
        ),
        Finding::of_sessions(
            "session_orphaned",
            invariant::open_since(conn, now - PATIENCE * 2).await?,
        ),
    ])
}

/// The models of a provider.
pub async fn models(conn: &mut PgConnection) -> anyhow::Result<Vec<Finding>> {
    let now = SystemClock.now();
    let degraded = invariant::read_by_rules_instead(conn, now - RECENT).await?;
    let ending = embeddings::ending_models(now.date_naive())?;
    let allowing = invariant::gyms_with_external_models(conn).await?;
    let reads_here = embeddings::reader_from_environment()?.is_some();
    let unused = if reads_here { Vec::new() } else { allowing };
    let refusing = match ProviderSettings::from_environment()? {
        Some(provider) => invariant::gyms_refusing(conn, &provider.model).await?,
        None => Vec::new(),
    };
    // Where no model is set to read, none was missed: a gym may allow one for its embeddings alone.
    let in_words = degraded
        .into_iter()
        .filter(|(reason, _)| reads_here || reason != jarvis_memory::degraded::NO_MODEL)
        .map(|(reason, count)| format!("{reason}: {count}"));
    let last_days = ending.into_iter().map(|end| {
        let successor = end
            .successor
            .map(|model| format!(" -> {model}"))
            .unwrap_or_default();
        format!("{} ({}): {}{successor}", end.model, end.role.name(), end.shutdown)
    });
    Ok(vec![
        Finding::about("models_degraded", in_words.collect()),
        Finding::about("model_ending", last_days.collect()),
        Finding::about("embedding_refused", refusing),
        Finding::about("models_unused", unused),
    ])
}

/// The queue.
pub async fn jobs(conn: &mut PgConnection) -> anyhow::Result<Vec<Finding>> {
    let now = SystemClock.now();
    let dead = in_state(conn, JobState::Discarded).await?;
    let mut waiting = in_state(conn, JobState::Available).await?;
    waiting.extend(in_state(conn, JobState::Retryable).await?);
    let running = in_state(conn, JobState::Running).await?;
    let late = waiting.iter().filter(|job| job.run_at < now - PATIENCE);
    let left = running
        .iter()
        .filter(|job| job.lease_until.is_some_and(|until| until < now - HANDOVER));
    Ok(vec![
        Finding::about("jobs_dead", dead.iter().map(named).collect()),
        Finding::about("jobs_late", late.map(named).collect()),
        Finding::about("jobs_abandoned", left.map(named).collect()),
    ])
}

async fn in_state(conn: &mut PgConnection, state: JobState) -> anyhow::Result<Vec<JobRecord>> {
    let mut filter = Filter {
        state: Some(state),
        ..Filter::default()
    };
    let mut all = Vec::new();
    loop {
        let page = jarvis_jobs::list(conn, &filter, PAGE)
            .await
            .map_err(DbError::from)?;
        let last = page.len() < PAGE as usize;
        filter.before = page.last().map(|job| job.id);
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

/// A job by number, kind, key, and why it failed; errors of jobs hold no word of a member.
fn named(job: &JobRecord) -> String {
    let key = job
        .unique_key
        .as_ref()
        .map(|key| format!(" {key}"))
        .unwrap_or_default();
    let error = job
        .last_error
        .as_ref()
        .map(|error| format!(": {error}"))
        .unwrap_or_default();
    format!("{} {}{key}{error}", job.id, job.kind)
}

/// Isolation: the holes of the database, and what the server's login may do.
pub async fn isolation(urls: &Urls, conn: &mut PgConnection) -> anyhow::Result<Vec<Finding>> {
    let mut settings = lint::Settings::new(jarvis_core::ids::uuid_v7(SystemClock.now()));
    let login = serving_login(urls)?;
    settings.logins.extend(login.clone());
    let report = lint::run(conn, &settings).await.map_err(|error| match error {
        lint::LintError::Database(error) => anyhow::Error::from(error),
        other => anyhow::anyhow!(other),
    })?;
    let of_login = |f: &lint::Finding| {
        ["serving_role_owns", "serving_role_bypasses_rls", "login_inherits"].contains(&f.code)
    };
    let (powers, holes): (Vec<_>, Vec<_>) = report.findings.iter().partition(|f| of_login(f));
    let name = |f: &&lint::Finding| {
        let more = f
            .part
            .as_ref()
            .or(f.what.as_ref())
            .map(|more| format!(" ({more})"))
            .unwrap_or_default();
        format!("{} {}{more}", f.code, f.object)
    };
    Ok(vec![
        Finding::about("login_too_powerful", powers.iter().map(name).collect()),
        Finding::about(
            "database_holes",
            holes
                .iter()
                .filter(|f| f.severity == Severity::Error)
                .map(name)
                .collect(),
        ),
        Finding::about(
            "database_unchecked",
            holes
                .iter()
                .filter(|f| f.severity == Severity::Unknown)
                .map(name)
                .collect(),
        ),
    ])
}

/// Whether the server can work with its login.
pub async fn login(urls: &Urls) -> anyhow::Result<Finding> {
    let connected = Db::connect(&ConnectSettings::new(urls.login.clone())).await;
    let problem = match connected {
        Ok(db) => {
            db.close().await;
            Vec::new()
        }
        Err(error @ (DbError::Unfit { .. } | DbError::Denied { .. })) => vec![error.to_string()],
        Err(other) => return Err(other.into()),
    };
    Ok(Finding::about("login_unfit", problem))
}

/// The machine: its clock, its disk, its model.
pub async fn machine(
    conn: &mut PgConnection,
    folder: &Path,
    min_free_mb: u64,
) -> anyhow::Result<Vec<Finding>> {
    let before = SystemClock.now();
    let there = invariant::clock(conn).await?;
    let skew = skew(before, there, SystemClock.now());
    let apart = (skew.abs() > SKEW).then(|| format!("{} s", skew.num_seconds()));
    let free = free_mb(folder)?.filter(|free| *free < min_free_mb);
    let weights = wiring::missing_weights()?;
    Ok(vec![
        Finding::about("clock_skew", apart.into_iter().collect()),
        Finding::about(
            "disk_low",
            free.map(|free| format!("{}: {free} MB", folder.display()))
                .into_iter()
                .collect(),
        ),
        Finding::about(
            "model_missing",
            weights.iter().map(|path| path.display().to_string()).collect(),
        ),
    ])
}

/// The backups of this database in `folder`: that there are any, that they are whole as far as can be seen without
/// reading them, and that the newest is not older than `patience`.
pub async fn backups(
    conn: &mut PgConnection,
    folder: &Path,
    patience: TimeDelta,
) -> anyhow::Result<Vec<Finding>> {
    let (database, _) = invariant::identity(conn).await?;
    let kept = if folder.is_dir() {
        backup::list(folder)?
    } else {
        Vec::new()
    };
    let ours = |label: &backup::Label| label.database == database;
    let labels = kept
        .iter()
        .filter_map(|kept| kept.label.as_ref())
        .filter(|label| ours(label));
    let newest = labels.map(|label| label.created_at).max();
    let old = newest.filter(|made| SystemClock.now() - *made > patience);
    let damaged = kept.iter().filter(|kept| match &kept.label {
        Some(label) => {
            ours(label) && std::fs::metadata(&kept.path).is_ok_and(|file| file.len() != label.bytes)
        }
        None => true,
    });
    Ok(vec![
        Finding::about(
            "backup_damaged",
            damaged.map(|kept| kept.path.display().to_string()).collect(),
        ),
        Finding::about(
            "backup_old",
            old.map(|made| made.to_rfc3339()).into_iter().collect(),
        ),
        Finding::about(
            "backup_missing",
            newest
                .is_none()
                .then(|| folder.display().to_string())
                .into_iter()
                .collect(),
        ),
    ])
}

/// How far the other clock is ahead, when it was read between `before` and `after`; zero when it may be in step.
fn skew(before: DateTime<Utc>, there: DateTime<Utc>, after: DateTime<Utc>) -> TimeDelta {
    if there < before {
        there - before
    } else if there > after {
        there - after
    } else {
        TimeDelta::zero()
    }
}

/// The room left for us on the disk of `folder`, in megabytes; nothing when there is no such folder.
fn free_mb(folder: &Path) -> anyhow::Result<Option<u64>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let disk = nix::sys::statvfs::statvfs(folder)?;
    let bytes = u128::from(disk.blocks_available()) * u128::from(disk.fragment_size());
    Ok(Some(u64::try_from(bytes / 1_000_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_read_meanwhile_is_in_step_and_one_outside_is_not() {
        let at = |second: i64| DateTime::from_timestamp(1_800_000_000 + second, 0).expect("a time");
        assert_eq!(skew(at(0), at(1), at(2)), TimeDelta::zero());
        assert_eq!(skew(at(0), at(60), at(2)), TimeDelta::seconds(58));
        assert_eq!(skew(at(0), at(-3600), at(2)), TimeDelta::seconds(-3600));
    }

    #[test]
    fn a_folder_that_is_there_has_room_and_another_has_no_answer() {
        assert!(free_mb(Path::new("/")).expect("a disk").is_some());
        assert_eq!(free_mb(Path::new("/nowhere/at/all")).expect("no disk"), None);
    }
}
