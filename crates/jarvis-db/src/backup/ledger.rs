//! Where past erasures are known from: the backup, the database that is replaced, newer backups, and files.

use super::error::BackupError;
use super::key::Keys;
use super::manifest::Manifest;
use super::{place, read_manifest};
use crate::queries::erasure::Erasure;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The journal's name in the data folder and in folders of backups.
pub const JOURNAL: &str = "erasures.jsonl";

/// A place that erasures were read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// What it is.
    pub name: String,
    /// How many erasures it knows.
    pub erasures: usize,
    /// Until when it knows of every erasure; none when nobody can tell.
    pub complete_until: Option<DateTime<Utc>>,
}

/// What is known of past erasures.
#[derive(Debug, Default)]
pub(super) struct Known {
    erasures: BTreeMap<(Uuid, Uuid), Erasure>,
    pub(super) sources: Vec<Source>,
    /// Whether a database that went on from the backup can be asked what its members answered since.
    pub(super) same_past: bool,
}

impl Known {
    pub(super) fn add(&mut self, name: String, found: Vec<Erasure>, complete_until: Option<DateTime<Utc>>) {
        self.sources.push(Source {
            name,
            erasures: found.len(),
            complete_until,
        });
        for erasure in found {
            self.erasures
                .entry((erasure.gym_id, erasure.member_id))
                .or_insert(erasure);
        }
    }

    /// Newer backups of the same installation in the same folder, as far as the key opens them. They are trusted with
    /// what they say: they are authenticated, and nobody writes one without the ledger's rows. Databases of other
    /// installations often have the same name.
    pub(super) fn add_newer_backups(
        &mut self,
        backup: &Path,
        manifest: &Manifest,
        keys: &Keys,
    ) -> Result<(), BackupError> {
        let folder = backup
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        for kept in place::list(folder)? {
            let newer = |label: &place::Label| {
                label.created_at > manifest.created_at && label.database == manifest.database
            };
            if !kept.label.as_ref().is_some_and(newer) {
                continue;
            }
            let name = kept.path.display().to_string();
            match read_manifest(&kept.path, keys) {
                Ok(newer) if manifest.is_continued_by(&newer.gyms, &newer.erasures) => {
                    self.add(name, newer.erasures, Some(newer.created_at));
                }
                Ok(_) => tracing::debug!(backup = name, "a newer backup is of another installation"),
                Err(error) => {
                    tracing::warn!(backup = name, %error, "a newer backup cannot be asked for erasures");
                }
            }
        }
        Ok(())
    }

    /// A journal, if it is there. Erasures made from another machine are not in it, so it proves nothing complete.
    pub(super) fn add_journal(&mut self, path: &Path) -> Result<(), BackupError> {
        if path.is_file() {
            self.add(path.display().to_string(), read_file(path)?, None);
        }
        Ok(())
    }

    /// Until when every erasure is known.
    pub(super) fn complete_until(&self) -> Option<DateTime<Utc>> {
        self.sources.iter().filter_map(|s| s.complete_until).max()
    }

    /// Those that the backup does not know of yet, oldest first.
    pub(super) fn missing_from(&self, backup: &[Erasure]) -> Vec<Erasure> {
        let known: BTreeSet<(Uuid, Uuid)> = backup.iter().map(|e| (e.gym_id, e.member_id)).collect();
        let mut missing: Vec<Erasure> = self
            .erasures
            .iter()
            .filter(|(key, _)| !known.contains(*key))
            .map(|(_, erasure)| erasure.clone())
            .collect();
        missing.sort_by_key(|e| (e.erased_at, e.id));
        missing
    }
}

/// Reads a list of erasures: a JSON array, or one JSON object per line. A last line that was cut off by a crash is
/// left out; it was never acknowledged.
pub fn read_file(path: &Path) -> Result<Vec<Erasure>, BackupError> {
    let text = fs::read_to_string(path).map_err(BackupError::at(path))?;
    let bad = |reason: String| BackupError::BadErasures {
        path: path.to_owned(),
        reason,
    };
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text).map_err(|error| bad(error.to_string()));
    }
    let whole = if text.ends_with('\n') {
        text.as_str()
    } else {
        text.rsplit_once('\n').map_or("", |(whole, _)| whole)
    };
    if whole.is_empty() && !text.trim().is_empty() {
        return serde_json::from_str(&text)
            .map(|one| vec![one])
            .map_err(|error| bad(error.to_string()));
    }
    let lines = whole
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| serde_json::from_str(line).map_err(|error| bad(format!("line {}: {error}", n + 1))))
        .collect()
}

/// Adds to the journal of a folder those erasures that it lacks; they are on the disk when this returns.
pub fn keep_journal(folder: &Path, erasures: &[Erasure]) -> Result<PathBuf, BackupError> {
    let path = folder.join(JOURNAL);
    let at = BackupError::at(&path);
    fs::create_dir_all(folder).map_err(BackupError::at(folder))?;
    let known: BTreeSet<Uuid> = if path.is_file() {
        read_file(&path)?.into_iter().map(|e| e.id).collect()
    } else {
        BTreeSet::new()
    };
    cut_half_line(&path)?;
    let mut text = String::new();
    for erasure in erasures.iter().filter(|e| !known.contains(&e.id)) {
        text.push_str(&serde_json::to_string(erasure).expect("an erasure is plain data"));
        text.push('\n');
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(&at)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(&at)?;
    Ok(path)
}

/// A last line without its end was cut off by a crash: nobody was told of it, and it must not swallow the next one.
fn cut_half_line(path: &Path) -> Result<(), BackupError> {
    let at = BackupError::at(path);
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(error)),
    };
    let whole = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    if whole < text.len() {
        let file = OpenOptions::new().write(true).open(path).map_err(&at)?;
        file.set_len(whole as u64).map_err(&at)?;
    }
    Ok(())
}
