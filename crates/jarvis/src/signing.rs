//! The key that signs access tokens.

use crate::wiring;
use anyhow::Context as _;
use jarvis_api::Tokens;
use secrecy::{ExposeSecret as _, SecretString};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the key is when nothing else is said.
pub fn default_path(data_dir: &Path) -> PathBuf {
    data_dir.join("signing-key.pem")
}

/// Reads the key, and makes one when there is none: every server of one installation needs the same file.
pub fn load_or_create(path: &Path) -> anyhow::Result<Tokens> {
    let pem = match std::fs::read_to_string(path) {
        Ok(text) => SecretString::from(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path)?,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    Tokens::from_pem(&pem, wiring::clock())
        .with_context(|| format!("{} holds no usable ES256 key", path.display()))
}

fn create(path: &Path) -> anyhow::Result<SecretString> {
    let pem = Tokens::generate_pem()?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(pem.expose_secret().as_bytes())?;
    file.sync_all()?;
    tracing::info!(path = %path.display(), "made a key to sign access tokens");
    Ok(pem)
}
