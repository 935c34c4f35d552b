use super::account::Account;
use super::error::EmbeddedError;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use secrecy::{ExposeSecret, SecretString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the folder's lock says about its holder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: Option<u32>,
    pub(super) port: Option<u16>,
}

/// Our data folder. Holding this value means that no other process uses it: the kernel gives the lock back when we
/// end, however we end.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    major: String,
    lock: Flock<File>,
}

impl Folder {
    /// Makes the folder if need be, and takes its lock.
    pub(super) fn open(root: &Path, major: &str, account: &Account) -> Result<Self, EmbeddedError> {
        let root = std::path::absolute(root).map_err(EmbeddedError::not_writable(root))?;
        let mode = if account.is_other() { 0o755 } else { 0o700 };
        make_dir(&root, mode)?;
        // PostgreSQL tells where its data is without dots and links, and we compare.
        let root = fs::canonicalize(&root).map_err(EmbeddedError::not_writable(&root))?;
        if !account.is_other() {
            account.check_owns(&root)?;
        }
        account.check_enters(&root)?;
        let lock = take_lock(&root)?;
        let folder = Self {
            root,
            major: major.to_owned(),
            lock,
        };
        let home = folder.home();
        account.check_owns(&home.join(major))?;
        make_dir(&home, 0o700)?;
        account.give(&home)?;
        folder.check_version()?;
        Ok(folder)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where PostgreSQL's user may write.
    pub(super) fn home(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// PostgreSQL's data directory.
    pub(super) fn cluster(&self) -> PathBuf {
        self.home().join(&self.major)
    }

    fn check_version(&self) -> Result<(), EmbeddedError> {
        let version_of = |dir: &Path| fs::read_to_string(dir.join("PG_VERSION")).ok();
        let cluster = self.cluster();
        let other = match version_of(&cluster) {
            Some(found) if found.trim() == self.major => None,
            Some(found) => Some((cluster, found)),
            None => fs::read_dir(self.home())
                .map_err(EmbeddedError::not_writable(&self.home()))?
                .filter_map(Result::ok)
                .filter(|entry| {
                    entry
                        .file_name()
                        .to_str()
                        .is_some_and(|name| name.parse::<u32>().is_ok())
                })
                .find_map(|entry| Some((entry.path(), version_of(&entry.path())?))),
        };
        match other {
            Some((path, found)) => Err(EmbeddedError::OtherVersion {
                path,
                found: found.trim().to_owned(),
                wanted: self.major.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Tells others who look at the lock where we are.
    pub(super) fn announce(&mut self, port: u16) -> Result<(), EmbeddedError> {
        let path = lock_path(&self.root);
        let text = format!("pid={}\nport={port}\n", std::process::id());
        write_holder(&mut self.lock, &text).map_err(EmbeddedError::not_writable(&path))
    }

    /// The password called `name`, made at random the first time.
    pub(super) fn secret(&self, name: &str) -> Result<SecretString, EmbeddedError> {
        match read_secret(&self.root, name)? {
            Some(secret) => Ok(secret),
            None => self.make_secret(name),
        }
    }

    /// The password called `name`, which must be there already.
    pub(super) fn known_secret(&self, name: &str) -> Result<SecretString, EmbeddedError> {
        read_secret(&self.root, name)?.ok_or_else(|| EmbeddedError::LostPassword {
            data: self.cluster(),
            secret: secret_path(&self.root, name),
        })
    }

    fn make_secret(&self, name: &str) -> Result<SecretString, EmbeddedError> {
        let path = secret_path(&self.root, name);
        make_dir(&self.root.join("secrets"), 0o700)?;
        let secret = random_password();
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(secret.expose_secret().as_bytes())?;
            file.sync_all()
        };
        write().map_err(EmbeddedError::not_writable(&path))?;
        Ok(secret)
    }
}

/// 256 bits of the system's randomness, in hexadecimal, so that it needs no quoting anywhere.
fn random_password() -> SecretString {
    let halves: [u128; 2] = rand::random();
    format!("{:032x}{:032x}", halves[0], halves[1]).into()
}

fn secret_path(root: &Path, name: &str) -> PathBuf {
    root.join("secrets").join(name)
}

/// The password called `name`; none when there is none yet.
pub(super) fn read_secret(root: &Path, name: &str) -> Result<Option<SecretString>, EmbeddedError> {
    let path = secret_path(root, name);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().into())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::not_writable(&path)(error)),
    }
}

fn lock_path(root: &Path) -> PathBuf {
    root.join("jarvis.lock")
}

fn take_lock(root: &Path) -> Result<Flock<File>, EmbeddedError> {
    let path = lock_path(root);
    let not_writable = || EmbeddedError::not_writable(&path);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(not_writable())?;
    match lock_patiently(file) {
        Ok(mut lock) => {
            let text = format!("pid={}\n", std::process::id());
            write_holder(&mut lock, &text).map_err(not_writable())?;
            Ok(lock)
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(not_writable())?;
            let holder = parse_holder(&text);
            Err(EmbeddedError::AlreadyRunning {
                data_dir: root.to_owned(),
                pid: holder.pid,
                port: holder.port,
            })
        }
        Err((_, errno)) => Err(not_writable()(errno.into())),
    }
}

/// Tries for a moment: whoever asks for the [`holder`] has the lock for an instant, too.
fn lock_patiently(mut file: File) -> Result<Flock<File>, (File, Errno)> {
    for _ in 0..10 {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Err((back, Errno::EWOULDBLOCK)) => file = back,
            done => return done,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
}

/// Who holds the folder now; none when nobody does.
pub(super) fn holder(root: &Path) -> Result<Option<Holder>, EmbeddedError> {
    let path = lock_path(root);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(EmbeddedError::not_writable(&path)(error)),
    };
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(EmbeddedError::not_writable(&path))?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(None),
        Err((_, Errno::EWOULDBLOCK)) => Ok(Some(parse_holder(&text))),
        Err((_, errno)) => Err(EmbeddedError::not_writable(&path)(errno.into())),
    }
}

fn write_holder(file: &mut File, text: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

fn parse_holder(text: &str) -> Holder {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    Holder {
        pid: value("pid").and_then(|v| v.parse().ok()),
        port: value("port").and_then(|v| v.parse().ok()),
    }
}

/// Makes `dir` with exactly `mode`, whatever the umask, and what is missing above it. When others may enter `dir`,
/// they may enter what is made above it, too.
fn make_dir(dir: &Path, mode: u32) -> Result<(), EmbeddedError> {
    if dir.is_dir() {
        return Ok(());
    }
    let make = |dir: &Path, mode: u32| {
        fs::create_dir(dir).map_err(EmbeddedError::not_writable(dir))?;
        fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(EmbeddedError::not_writable(dir))
    };
    let above = if mode & 0o001 == 0 { 0o700 } else { 0o755 };
    let mut missing: Vec<&Path> = dir.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
    missing.reverse();
    for parent in missing {
        make(parent, above)?;
    }
    make(dir, mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn who_holds_a_folder_is_read_among_whatever_else_stands_there(
            pid in any::<u32>(), port in any::<u16>(), noise in "[^\n]{0,12}", first in any::<bool>(),
        ) {
            let (pid_line, port_line) = (format!("pid={pid}"), format!("port={port}"));
            let noise = format!("# {noise}");
            let lines = if first { [pid_line, port_line, noise] } else { [noise, port_line, pid_line] };
            let holder = parse_holder(&lines.join("\n"));
            prop_assert_eq!((holder.pid, holder.port), (Some(pid), Some(port)));
        }

        #[test]
        fn what_is_no_number_holds_nothing(text in "(pid|port)?=?[a-z é]{0,8}") {
            let holder = parse_holder(&text);
            prop_assert!(holder.pid.is_none() && holder.port.is_none());
        }
    }
}
