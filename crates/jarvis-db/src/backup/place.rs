//! Where backups lie: written aside and moved into place whole, listed, and let go when they are old.

use super::archive::{Written, fingerprint};
use super::error::BackupError;
use super::manifest::Manifest;
use chrono::{DateTime, Utc};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What a backup's name ends with.
pub const EXTENSION: &str = "age";
/// What a file has before and after its name while it is written. Nobody takes that for a backup.
const UNFINISHED: (&str, &str) = (".jarvis-", ".unfinished");

/// What can be read of a backup without its key: no names, no words, no identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The form of the file.
    pub format: u32,
    /// The version of JARVIS that made it.
    pub made_by: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// The database's name.
    pub database: String,
    /// The server's version.
    pub server_version: String,
    /// The newest migration.
    pub newest_migration: Option<String>,
    /// Tables in it.
    pub tables: usize,
    /// Rows in them.
    pub rows: i64,
    /// Entries of the ledger of erasures.
    pub erasures: usize,
    /// The public keys it was made for.
    pub recipients: Vec<String>,
    /// The length of the file in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: String,
}

impl Label {
    pub(super) fn new(manifest: &Manifest, recipients: Vec<String>, written: &Written) -> Self {
        Self {
            format: manifest.format,
            made_by: manifest.made_by.clone(),
            created_at: manifest.created_at,
            database: manifest.database.clone(),
            server_version: manifest.server_version.clone(),
            newest_migration: manifest.migrations.last().cloned(),
            tables: manifest.tables.len(),
            rows: manifest.rows(),
            erasures: manifest.erasures.len(),
            recipients,
            bytes: written.bytes,
            sha256: written.sha256.clone(),
        }
    }
}

/// A backup in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// What its label says; none when the label is lost.
    pub label: Option<Label>,
}

/// A file that is being written. Dropping it leaves nothing.
pub(super) struct Unfinished {
    aside: PathBuf,
    target: PathBuf,
    lock: Option<Flock<File>>,
}

impl Unfinished {
    /// Begins a file that is to become `target`; only its owner may read it.
    pub(super) fn begin(target: &Path) -> Result<Self, BackupError> {
        let folder = folder_of(target);
        fs::create_dir_all(folder).map_err(BackupError::at(folder))?;
        remove_abandoned(folder);
        if target.exists() {
            return Err(BackupError::at(target)(std::io::ErrorKind::AlreadyExists.into()));
        }
        let name = format!("{}{:016x}{}", UNFINISHED.0, rand::random::<u64>(), UNFINISHED.1);
        let aside = folder.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)
            .map_err(BackupError::at(target))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| BackupError::at(&aside)(errno.into()))?;
        Ok(Self {
            aside,
            target: target.to_owned(),
            lock: Some(lock),
        })
    }

    pub(super) fn file(&self) -> Result<File, BackupError> {
        let lock = self.lock.as_ref().expect("the lock is held until the end");
        lock.try_clone().map_err(BackupError::at(&self.aside))
    }

    /// Where it is while it is written.
    pub(super) fn aside(&self) -> &Path {
        &self.aside
    }

    /// Moves the file into place; its content must be on the disk.
    pub(super) fn finish(mut self) -> Result<(), BackupError> {
        let at = BackupError::at(&self.target);
        if self.target.exists() {
            return Err(at(std::io::ErrorKind::AlreadyExists.into()));
        }
        fs::rename(&self.aside, &self.target).map_err(&at)?;
        self.lock = None;
        sync_folder(folder_of(&self.target))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.lock.is_some() && fs::remove_file(&self.aside).is_err() {
            tracing::warn!(path = %self.aside.display(), "cannot remove an unfinished backup");
        }
    }
}

/// Removes what killed processes left; what is being written is locked.
fn remove_abandoned(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(UNFINISHED.0) || !name.ends_with(UNFINISHED.1) {
            continue;
        }
        let free =
            File::open(entry.path()).is_ok_and(|f| Flock::lock(f, FlockArg::LockExclusiveNonblock).is_ok());
        if free && let Err(error) = fs::remove_file(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove an unfinished backup");
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(BackupError::at(folder))
}

/// Where a backup goes that was asked for at `to`: into it when it is a folder, or is written like one.
pub(super) fn target(to: &Path, database: &str, now: DateTime<Utc>) -> PathBuf {
    let folder = to.is_dir() || to.extension().is_none() || to.as_os_str().to_string_lossy().ends_with('/');
    if !folder {
        return to.to_owned();
    }
    let name: String = database
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    to.join(format!(
        "jarvis-{name}-{}.{EXTENSION}",
        now.format("%Y%m%dT%H%M%S%3fZ")
    ))
}

fn label_path(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// Puts the label beside its backup.
pub(super) fn write_label(backup: &Path, label: &Label) -> Result<(), BackupError> {
    let path = label_path(backup);
    let file = Unfinished::begin(&path)?;
    let mut text = serde_json::to_vec_pretty(label).expect("a label is plain data");
    text.push(b'\n');
    let mut out = file.file()?;
    out.write_all(&text)
        .and_then(|()| out.sync_all())
        .map_err(BackupError::at(&path))?;
    file.finish()
}

/// The backups of a folder, newest first; those without a label come last.
pub fn list(folder: &Path) -> Result<Vec<Kept>, BackupError> {
    let at = BackupError::at(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(&at)? {
        let path = entry.map_err(&at)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_none_or(|e| e != EXTENSION) {
            continue;
        }
        let label = fs::read(label_path(&path))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        found.push(Kept { path, label });
    }
    let when = |kept: &Kept| kept.label.as_ref().map(|l| l.created_at);
    found.sort_by(|a, b| when(b).cmp(&when(a)).then_with(|| b.path.cmp(&a.path)));
    Ok(found)
}

/// What was let go, and what was found damaged meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Backups that were removed.
    pub removed: Vec<PathBuf>,
    /// Backups that are not what their label says. They count for nothing, and are kept for a person to look at.
    pub damaged: Vec<PathBuf>,
}

/// Keeps the newest `keep` sound backups of `database` in a folder and removes what is older. Each kept one is read
/// again and compared with its label, so that no good backup goes because of a bad one.
pub fn prune(folder: &Path, database: &str, keep: usize) -> Result<Pruned, BackupError> {
    let mut pruned = Pruned::default();
    let mut sound = 0;
    for kept in list(folder)? {
        let Some(label) = kept.label.filter(|l| l.database == database) else {
            continue;
        };
        if sound >= keep {
            for path in [label_path(&kept.path), kept.path.clone()] {
                fs::remove_file(&path).map_err(BackupError::at(&path))?;
            }
            pruned.removed.push(kept.path);
            continue;
        }
        let there = fingerprint(&kept.path)?;
        if there.sha256 == label.sha256 {
            sound += 1;
        } else {
            pruned.damaged.push(kept.path);
        }
    }
    Ok(pruned)
}
