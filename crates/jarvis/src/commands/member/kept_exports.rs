//! Exports that stay in the data folder: `exports/<member>/<time>`, until a month is over, the member is erased, or
//! something in them was withdrawn or forgotten.

use anyhow::Context as _;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use jarvis_core::MemberId;
use jarvis_memory::{Memory, privacy};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// As long as a gym may take to answer (GDPR, article 12): afterwards nobody waits for it.
const KEPT: TimeDelta = TimeDelta::days(30);
/// How often a process that works looks after them.
const EVERY: Duration = Duration::from_secs(20);
/// How a folder is called.
const NAME: &str = "%Y%m%dT%H%M%SZ";

fn all(home: &Path) -> PathBuf {
    home.join("exports")
}

/// Where an export goes when nothing else is said.
pub fn folder(home: &Path, member: MemberId, now: DateTime<Utc>) -> PathBuf {
    all(home)
        .join(member.to_string())
        .join(now.format(NAME).to_string())
}

/// Removes the exports of a member; how many there were.
pub fn drop_of(home: &Path, member: MemberId) -> anyhow::Result<usize> {
    let folder = all(home).join(member.to_string());
    let exports = folders(&folder)?.len();
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(exports),
    }
}

/// Removes the exports that are older than [`KEPT`]; how many. What is called otherwise is not ours and stays.
pub fn drop_old(home: &Path, now: DateTime<Utc>) -> anyhow::Result<usize> {
    let mut dropped = 0;
    for member in folders(&all(home))? {
        for export in folders(&member)? {
            let made = NaiveDateTime::parse_from_str(&name_of(&export), NAME);
            if made.is_ok_and(|made| now - made.and_utc() > KEPT) {
                fs::remove_dir_all(&export).with_context(|| format!("cannot remove {}", export.display()))?;
                dropped += 1;
            }
        }
        if folders(&member)?.is_empty() {
            // Somebody else's file in it is a reason to leave it.
            drop(fs::remove_dir(&member));
        }
    }
    Ok(dropped)
}

/// Removes the exports that tell what was withdrawn, forgotten or erased since they were made; how many.
pub async fn drop_outdated(home: &Path, memory: &Memory) -> anyhow::Result<usize> {
    let mut exports = Vec::new();
    for member in folders(&all(home))? {
        let Ok(id) = name_of(&member).parse::<MemberId>() else {
            continue;
        };
        for export in folders(&member)? {
            if let Ok(made) = NaiveDateTime::parse_from_str(&name_of(&export), NAME) {
                exports.push((id, made.and_utc()));
            }
        }
    }
    if exports.is_empty() {
        return Ok(0);
    }
    let outdated = privacy::outdated_exports(memory, &exports).await?;
    for (member, made) in &outdated {
        let export = folder(home, *member, *made);
        fs::remove_dir_all(&export).with_context(|| format!("cannot remove {}", export.display()))?;
        // Another export in it is a reason to leave it.
        drop(fs::remove_dir(all(home).join(member.to_string())));
    }
    Ok(outdated.len())
}

/// Looks after the exports in the data folder of a process that works, until `stop`: acts come from other machines, too.
pub async fn tend(home: PathBuf, memory: Memory, stop: CancellationToken) {
    loop {
        let dropped = match drop_old(&home, memory.clock.now()) {
            Ok(old) => drop_outdated(&home, &memory).await.map(|outdated| old + outdated),
            Err(error) => Err(error),
        };
        match dropped {
            Ok(0) => {}
            Ok(exports) => tracing::info!(exports, "exports of members were removed"),
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "exports of members are not looked after"
            ),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The folders in a folder; none when it is not there.
fn folders(of: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let entries: Vec<_> = fs::read_dir(of)?.collect::<Result<_, _>>()?;
        Ok(entries
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect())
    };
    match list() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        found => found.with_context(|| format!("cannot read {}", of.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_export_goes_after_a_month_or_with_its_member_and_nothing_else_does() {
        let home = std::env::temp_dir().join(format!("jarvis-exports-{}", std::process::id()));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let [one, two] = [1, 2].map(|n| MemberId::from(Uuid::from_u128(n)));
        let make =
            |member, days| fs::create_dir_all(folder(&home, member, now - TimeDelta::days(days))).unwrap();
        assert_eq!(
            (drop_old(&home, now).unwrap(), drop_of(&home, one).unwrap()),
            (0, 0)
        );
        make(one, 31);
        make(one, 29);
        make(two, 31);
        let foreign = all(&home).join("notes");
        fs::create_dir_all(foreign.join("of-mine")).unwrap();
        assert_eq!(drop_old(&home, now).unwrap(), 2);
        assert!(folder(&home, one, now - TimeDelta::days(29)).is_dir() && foreign.is_dir());
        assert!(!all(&home).join(two.to_string()).exists());
        assert_eq!(drop_of(&home, one).unwrap(), 1);
        assert!(!all(&home).join(one.to_string()).exists());
        fs::remove_dir_all(&home).unwrap();
    }
}
