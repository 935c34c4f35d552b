//! What the operating system says of this process, and of a disk.

use std::io;
use std::path::Path;

/// What the kernel keeps on this process. Each is `None` where `/proc` does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// Memory held, in bytes.
    pub resident_bytes: Option<u64>,
    /// Files, sockets and pipes that are open.
    pub open_fds: Option<u64>,
    /// The most that may be open.
    pub max_fds: Option<u64>,
    /// Processor time used, in seconds.
    pub cpu_seconds: Option<f64>,
    /// When it started, in seconds since 1970.
    pub start_seconds: Option<f64>,
}

impl Process {
    /// Looks now.
    pub fn look() -> Self {
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
        let page = page.ok().flatten().and_then(|n| u64::try_from(n).ok());
        let ticks = ticks
            .ok()
            .flatten()
            .and_then(|n| i32::try_from(n).ok())
            .map(f64::from);
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let boot = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let field = |n| field_of(&stat, n);
        Self {
            resident_bytes: resident_pages().zip(page).map(|(pages, bytes)| pages * bytes),
            open_fds: std::fs::read_dir("/proc/self/fd")
                .ok()
                .map(|all| all.count() as u64),
            max_fds: max_fds(&limits),
            cpu_seconds: field(14)
                .zip(field(15))
                .zip(ticks)
                .map(|((user, system), t)| (user + system) / t),
            start_seconds: field(22)
                .zip(ticks)
                .zip(boot_time(&boot))
                .map(|((start, t), boot)| boot + start / t),
        }
    }
}

fn resident_pages() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Field `n` of `/proc/self/stat`, from 1 as proc(5) counts. The second one, the name, may hold spaces.
fn field_of(stat: &str, n: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split_ascii_whitespace().nth(n - 3)?.parse().ok()
}

fn max_fds(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// Bytes that a program without privileges can still write to the disk of `path`.
///
/// # Errors
/// The folder cannot be looked at.
pub fn disk_free_bytes(path: &Path) -> io::Result<u64> {
    let disk = nix::sys::statvfs::statvfs(path)?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_looked_at() {
        let me = Process::look();
        assert!(me.resident_bytes.unwrap() > 100_000);
        assert!(me.open_fds.unwrap() >= 3 && me.max_fds.unwrap() >= me.open_fds.unwrap());
        assert!(me.cpu_seconds.unwrap() >= 0.0 && me.start_seconds.unwrap() > 1_700_000_000.0);
    }

    #[test]
    fn a_name_with_spaces_and_brackets_moves_no_field() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0 12345 1 1";
        assert_eq!((field_of(stat, 14), field_of(stat, 15)), (Some(7.0), Some(3.0)));
        assert_eq!(field_of(stat, 22), Some(12345.0));
        assert_eq!(field_of("", 14), None);
    }

    #[test]
    fn a_disk_has_room_and_a_missing_folder_has_none() {
        assert!(disk_free_bytes(Path::new("/")).is_ok());
        assert!(disk_free_bytes(Path::new("/nowhere/at/all")).is_err());
    }
}
