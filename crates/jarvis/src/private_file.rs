//! Files with secrets: only their owner reads them, and nobody ever sees half of one.

use anyhow::Context as _;
use rand::distr::{Alphanumeric, SampleString as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Puts a file with this content at `path`; returns false, and changes nothing, when there is one already. It is written
/// aside first: a crash leaves no half file at `path`, and of two who come at once one wins.
pub fn place(path: &Path, text: impl AsRef<[u8]>) -> anyhow::Result<bool> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let aside = aside_of(path);
    let placed = write(&aside, text.as_ref()).and_then(|()| link(&aside, path));
    let removed = fs::remove_file(&aside);
    let placed = placed.with_context(|| format!("cannot write {}", path.display()))?;
    removed.with_context(|| format!("cannot remove {}", aside.display()))?;
    Ok(placed)
}

fn aside_of(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", Alphanumeric.sample_string(&mut rand::rng(), 12)));
    aside.into()
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Unlike a rename, a link never replaces what is there.
fn link(aside: &Path, path: &Path) -> io::Result<bool> {
    match fs::hard_link(aside, path) {
        Ok(()) => {
            sync_folder_of(path)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// A file that is in its place before what it is for happens, so that afterwards there is room for what it is to say.
#[derive(Debug)]
pub struct Reserved(PathBuf);

impl Reserved {
    /// Puts a file with this text at `path`, to be filled or given up; none when there is one already.
    pub fn begin(path: PathBuf, text: &str) -> anyhow::Result<Option<Self>> {
        Ok(place(&path, text)?.then_some(Self(path)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the file its real text at once; when that fails, the first text stays.
    pub fn fill(&self, text: &str) -> anyhow::Result<()> {
        let aside = aside_of(&self.0);
        let filled = write(&aside, text.as_bytes()).and_then(|()| fs::rename(&aside, &self.0));
        if filled.is_err() {
            drop(fs::remove_file(&aside));
        }
        filled
            .and_then(|()| sync_folder_of(&self.0))
            .with_context(|| format!("cannot write {}", self.0.display()))
    }

    /// Removes it: what it was for did not happen.
    pub fn give_up(self) -> anyhow::Result<()> {
        fs::remove_file(&self.0).with_context(|| format!("cannot remove {}", self.0.display()))
    }
}
