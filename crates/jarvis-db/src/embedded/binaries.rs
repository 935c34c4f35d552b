use super::account::Account;
use super::error::EmbeddedError;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder inside the cache, as `scripts/fetch.py` lays it out.
const IN_CACHE: &str = "postgresql-18.6.3/pginstall";

/// The installed programs of PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    dir: PathBuf,
    major: String,
}

impl Binaries {
    /// Those in `dir`, else in `JARVIS_PG_DIR`, else in the cache.
    pub(super) fn find(dir: Option<&Path>, account: &Account) -> Result<Self, EmbeddedError> {
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => env::var_os("JARVIS_PG_DIR")
                .map(PathBuf::from)
                .unwrap_or(cache_dir()?.join(IN_CACHE)),
        };
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        let postgres = dir.join("bin/postgres");
        if !postgres.is_file() {
            return Err(EmbeddedError::MissingBinaries { looked: dir });
        }
        account.check_enters(&dir.join("bin"))?;
        let major = major_of(&postgres)?;
        Ok(Self { dir, major })
    }

    pub(super) fn tool(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    pub(super) fn major(&self) -> &str {
        &self.major
    }
}

/// A program of PostgreSQL such as `pg_dump`, where our own server is installed; none when it is not there.
pub(crate) fn cached_program(name: &str) -> Option<PathBuf> {
    let dir = match set("JARVIS_PG_DIR") {
        Some(dir) => dir,
        None => cache_dir().ok()?.join(IN_CACHE),
    };
    Some(dir.join("bin").join(name)).filter(|program| program.is_file())
}

fn major_of(postgres: &Path) -> Result<String, EmbeddedError> {
    let unusable = |reason: String| EmbeddedError::UnusableBinaries {
        program: postgres.to_owned(),
        reason,
    };
    let output = Command::new(postgres)
        .arg("--version")
        .output()
        .map_err(|error| unusable(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().rsplit(' ').next().unwrap_or_default();
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    if output.status.success() && !major.is_empty() {
        Ok(major)
    } else {
        Err(unusable(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}

/// Where downloads are kept: `JARVIS_CACHE`, else `/var/cache/jarvis` for root, else the user's cache folder.
pub fn cache_dir() -> Result<PathBuf, EmbeddedError> {
    if let Some(dir) = set("JARVIS_CACHE") {
        return Ok(dir);
    }
    if nix::unistd::Uid::effective().is_root() {
        return Ok("/var/cache/jarvis".into());
    }
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(base.ok_or(EmbeddedError::NoDataDir)?.join("jarvis"))
}

/// Where data is kept unless told otherwise: `JARVIS_DATA_DIR`, else `/var/lib/jarvis` for root, else the user's data
/// folder.
pub fn data_dir() -> Result<PathBuf, EmbeddedError> {
    if let Some(dir) = set("JARVIS_DATA_DIR") {
        return Ok(dir);
    }
    if nix::unistd::Uid::effective().is_root() {
        return Ok("/var/lib/jarvis".into());
    }
    let base = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    Ok(base.ok_or(EmbeddedError::NoDataDir)?.join("jarvis"))
}

fn set(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
