//! The postmaster as an operating system process: whether it lives, and how to end it.

use super::error::EmbeddedError;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// What `postmaster.pid` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: u32,
    pub(super) port: Option<u16>,
}

impl PidFile {
    /// Reads it in `cluster`; none when it is absent or holds no number.
    pub(super) fn read(cluster: &Path) -> Option<Self> {
        let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        // Line 4 of 8, see "miscadmin.h" of PostgreSQL: pid, data directory, start time, port.
        let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
        Some(Self { pid, port })
    }

    /// Whether no process has its number.
    pub(super) fn is_gone(self) -> bool {
        matches!(send(self.pid, None), Err(Errno::ESRCH))
    }

    /// Whether its process is a postmaster on `cluster`, and not another one that got the same number since.
    pub(super) fn is_postmaster_of(self, cluster: &Path) -> bool {
        if !is_alive(self.pid) {
            return false;
        }
        let Ok(line) = fs::read(format!("/proc/{}/cmdline", self.pid)) else {
            return true;
        };
        let mut words = line.split(|b| *b == 0);
        let program = words.next().unwrap_or_default();
        program.ends_with(b"postgres") && words.any(|word| word == cluster.as_os_str().as_encoded_bytes())
    }
}

/// A postmaster that runs: our child, or one that an earlier process of ours left behind.
#[derive(Debug)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    child: Option<Child>,
}

impl Postmaster {
    pub(super) fn child(child: Child) -> Self {
        Self {
            pid: child.id(),
            child: Some(child),
        }
    }

    pub(super) fn left_behind(pid: u32) -> Self {
        Self { pid, child: None }
    }

    /// Whether it runs still; takes note of its end when it is our child.
    pub(super) fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => is_alive(self.pid),
        }
    }

    /// Asks it to end, and waits up to `patience`; then makes it end, without waiting for anybody, which costs a
    /// recovery at the next start.
    pub(super) async fn stop(&mut self, patience: Duration) -> Result<(), EmbeddedError> {
        for (signal, patience) in [
            (Signal::SIGINT, patience),
            (Signal::SIGQUIT, Duration::from_secs(5)),
            (Signal::SIGKILL, Duration::from_secs(5)),
        ] {
            self.send(signal);
            if self.ends_within(patience).await {
                return Ok(());
            }
            tracing::warn!(
                pid = self.pid,
                signal = signal.as_str(),
                "PostgreSQL does not stop"
            );
        }
        Err(EmbeddedError::StopFailed { pid: self.pid })
    }

    async fn ends_within(&mut self, patience: Duration) -> bool {
        let begun = Instant::now();
        while self.is_running() {
            if begun.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Asks it to end and does not wait, for when there is nobody left to wait. A thread takes note of its end: a
    /// child whose end nobody noted keeps its number, and the next server would take it for alive.
    pub(super) fn ask_to_stop(&mut self) {
        if self.is_running() {
            self.send(Signal::SIGINT);
            if let Some(mut child) = self.child.take() {
                std::thread::spawn(move || child.wait());
            }
        }
    }

    fn send(&self, signal: Signal) {
        match send(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => tracing::warn!(pid = self.pid, %errno, "cannot signal PostgreSQL"),
        }
    }
}

fn send(pid: u32, signal: impl Into<Option<Signal>>) -> Result<(), Errno> {
    // 0 and negative numbers would mean whole groups of processes.
    let pid = i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .ok_or(Errno::ESRCH)?;
    kill(Pid::from_raw(pid), signal)
}

/// A process that ended and whose end its parent never noted is not alive.
fn is_alive(pid: u32) -> bool {
    let zombie = fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')));
    !zombie && !matches!(send(pid, None), Err(Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_that_mean_groups_of_processes_are_nobody() {
        for pid in [0, 1, u32::MAX, 1 << 31] {
            let file = PidFile { pid, port: None };
            assert!(file.is_gone(), "{pid}");
            assert!(!file.is_postmaster_of(Path::new("/nowhere")), "{pid}");
        }
    }

    proptest! {
        #[test]
        fn any_pid_file_is_read_or_none(bytes in any::<Vec<u8>>(), pid in any::<i64>(), port in any::<i64>()) {
            let folder = std::env::temp_dir().join(format!("jarvis-pid-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            let written = |bytes: &[u8]| {
                fs::write(folder.join("postmaster.pid"), bytes).unwrap();
                PidFile::read(&folder)
            };
            let _ = written(&bytes);
            let read = written(format!("{pid}\n/data\n17\n{port}\n").as_bytes());
            prop_assert_eq!(read.map(|file| file.pid), u32::try_from(pid).ok());
            prop_assert_eq!(read.and_then(|file| file.port), u16::try_from(port).ok().filter(|_| u32::try_from(pid).is_ok()));
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}
