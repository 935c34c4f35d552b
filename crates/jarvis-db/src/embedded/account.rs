use super::error::EmbeddedError;
use nix::unistd::{Gid, Uid, User};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user PostgreSQL runs as: ourselves, or, because PostgreSQL refuses to run as root, somebody with fewer rights.
#[derive(Debug, Clone)]
pub(super) struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    /// Whether this is another user than the one this process runs as.
    other: bool,
}

impl Account {
    /// Ourselves; for root the user `jarvis` when there is one, else `nobody`.
    pub(super) fn choose() -> Self {
        let uid = Uid::effective();
        if !uid.is_root() {
            return Self {
                name: user_name(uid),
                uid,
                gid: Gid::effective(),
                other: false,
            };
        }
        let found = ["jarvis", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten());
        // 65534 is `nobody` on every system that lacks the name.
        let (name, uid, gid) = found.map_or_else(
            || ("nobody".to_owned(), Uid::from_raw(65_534), Gid::from_raw(65_534)),
            |user| (user.name, user.uid, user.gid),
        );
        Self {
            name,
            uid,
            gid,
            other: true,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_other(&self) -> bool {
        self.other
    }

    /// A command of this user that inherits nothing of ours: no environment, no input, no process group (a Ctrl-C
    /// at the terminal is for us, and we decide when the server stops).
    pub(super) fn command(&self, program: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", dir)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir(dir)
            .stdin(Stdio::null())
            .process_group(0);
        if self.other {
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Hands `path` over to this user.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        if self.other {
            chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
                .map_err(EmbeddedError::not_writable(path))?;
        }
        Ok(())
    }

    /// Refuses `path` when it exists and belongs to somebody else.
    pub(super) fn check_owns(&self, path: &Path) -> Result<(), EmbeddedError> {
        match fs::metadata(path) {
            Ok(meta) if meta.uid() != self.uid.as_raw() => Err(EmbeddedError::OwnedByOther {
                path: path.to_owned(),
                owner: user_name(Uid::from_raw(meta.uid())),
                account: self.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses `path` when this user cannot walk to it and into it.
    pub(super) fn check_enters(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.other {
            return Ok(());
        }
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut way: Vec<&Path> = real.ancestors().collect();
        way.reverse();
        match way
            .into_iter()
            .find(|dir| fs::metadata(dir).is_ok_and(|meta| !self.enters(&meta)))
        {
            Some(closed) => Err(EmbeddedError::NotEnterable {
                dir: PathBuf::from(closed),
                account: self.name.clone(),
            }),
            None => Ok(()),
        }
    }

    fn enters(&self, meta: &fs::Metadata) -> bool {
        let bit = if meta.uid() == self.uid.as_raw() {
            0o100
        } else if meta.gid() == self.gid.as_raw() {
            0o010
        } else {
            0o001
        };
        !meta.is_dir() || meta.mode() & bit != 0
    }
}

fn user_name(uid: Uid) -> String {
    User::from_uid(uid)
        .ok()
        .flatten()
        .map_or_else(|| uid.to_string(), |user| user.name)
}
