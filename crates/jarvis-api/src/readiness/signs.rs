//! Signs that the process itself notes.

use super::cause::Cause;
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_observe::METRICS;
use jarvis_observe::machine::disk_free_bytes;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

/// A worker that was not seen for this long counts as absent.
const WORKER_SILENCE: TimeDelta = TimeDelta::minutes(2);
/// A disk with less than this is as good as full: PostgreSQL takes 16 MiB at a time for its log.
const DISK_FULL_BYTES: u64 = 64 << 20;

/// What the process notes and `/readyz` tells. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Signs>);

#[derive(Debug, Default)]
struct Signs {
    worker: Mutex<Option<DateTime<Utc>>>,
    works_elsewhere: AtomicBool,
    stopping: AtomicBool,
    disk: OnceLock<Disk>,
}

#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    low_bytes: u64,
}

impl Readiness {
    /// A process with a worker that was not seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that sessions are processed by another process: this one is complete without a worker.
    pub fn note_works_elsewhere(&self) {
        self.0.works_elsewhere.store(true, Relaxed);
    }

    /// Notes that a worker of this process looked for jobs at `at`.
    pub fn note_worker(&self, at: DateTime<Utc>) {
        *self.0.worker.lock().expect("no holder of this lock can panic") = Some(at);
    }

    /// Notes that the process was told to stop: from now on it is not ready.
    pub fn note_stopping(&self) {
        self.0.stopping.store(true, Relaxed);
    }

    /// Watches the disk of a folder; below `low_bytes` it counts as nearly full. The first call counts.
    pub fn watch_disk(&self, folder: PathBuf, low_bytes: u64) {
        let _first_stays = self.0.disk.set(Disk { folder, low_bytes });
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Relaxed)
    }

    /// When the worker was last seen, and what is wrong with it; `None` where another process works.
    pub(super) fn worker(&self, now: DateTime<Utc>) -> Option<(Option<DateTime<Utc>>, Option<Cause>)> {
        if self.0.works_elsewhere.load(Relaxed) {
            return None;
        }
        let seen = *self.0.worker.lock().expect("no holder of this lock can panic");
        let cause = match seen {
            None => Some(Cause::WorkerAbsent),
            Some(at) => (now - at > WORKER_SILENCE).then_some(Cause::WorkerSilent),
        };
        Some((seen, cause))
    }

    /// How the disk is; `None` where none is watched.
    pub(super) fn disk(&self) -> Option<Result<(), Cause>> {
        let Disk { folder, low_bytes } = self.0.disk.get()?;
        let Ok(free) = disk_free_bytes(folder) else {
            METRICS.disk_free.clear();
            return Some(Err(Cause::DiskUnknown));
        };
        #[expect(clippy::cast_precision_loss, reason = "nobody counts single bytes of a disk")]
        METRICS.disk_free.set(&[], free as f64);
        Some(if free < DISK_FULL_BYTES {
            Err(Cause::DiskFull)
        } else if free < *low_bytes {
            Err(Cause::DiskLow)
        } else {
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_worker_is_missed_after_two_minutes() {
        let readiness = Readiness::new();
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(readiness.worker(at), Some((None, Some(Cause::WorkerAbsent))));
        readiness.note_worker(at);
        let seen = |seconds| readiness.worker(at + TimeDelta::seconds(seconds)).unwrap();
        assert_eq!(seen(119), (Some(at), None));
        assert_eq!(seen(121), (Some(at), Some(Cause::WorkerSilent)));
        readiness.note_works_elsewhere();
        assert_eq!(readiness.worker(at), None);
    }

    #[test]
    fn a_disk_below_its_mark_is_low_and_a_folder_that_is_gone_is_told() {
        let watching = |folder: &str, low_bytes| {
            let readiness = Readiness::new();
            readiness.watch_disk(folder.into(), low_bytes);
            readiness.disk()
        };
        assert_eq!(Readiness::new().disk(), None);
        assert_eq!(watching("/", u64::MAX), Some(Err(Cause::DiskLow)));
        assert_eq!(watching("/nowhere/at/all", 0), Some(Err(Cause::DiskUnknown)));
    }
}
