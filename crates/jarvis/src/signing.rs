//! What signs access tokens: our key, and the shared secret of keys that are JWTs.

use crate::failure::WrongUse;
use crate::{private_file, wiring};
use anyhow::Context as _;
use jarvis_api::Tokens;
use jarvis_api::keys::LegacySecret;
use secrecy::{ExposeSecret as _, SecretString};
use std::env::VarError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the key is when nothing else is said.
pub fn default_path(data_dir: &Path) -> PathBuf {
    data_dir.join("signing-key.pem")
}

/// Reads the key, and makes one when there is none: every server of one installation needs the same file, and servers
/// that start at once use the key of the one that came first.
pub fn load_or_create(path: &Path) -> anyhow::Result<Tokens> {
    if matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound)
        && private_file::place(path, Tokens::generate_pem()?.expose_secret())?
    {
        tracing::info!(path = %path.display(), "made a key to sign access tokens");
    }
    let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Tokens::from_pem(&SecretString::from(pem), wiring::clock())
        .with_context(|| format!("{} holds no usable ES256 key", path.display()))
}

/// The secret of keys that are JWTs: that of JARVIS_JWT_SECRET, such as a Supabase project's, else that of the file beside
/// the signing key, which is made when absent.
pub fn jwt_secret(signing_key: &Path) -> anyhow::Result<LegacySecret> {
    match std::env::var("JARVIS_JWT_SECRET") {
        Ok(text) => {
            let unfit = |error| WrongUse(format!("JARVIS_JWT_SECRET: {error}"));
            return Ok(LegacySecret::new(&SecretString::from(text)).map_err(unfit)?);
        }
        Err(VarError::NotUnicode(_)) => {
            return Err(WrongUse("JARVIS_JWT_SECRET is no text".to_owned()).into());
        }
        Err(VarError::NotPresent) => {}
    }
    let path = signing_key.with_file_name("jwt-secret");
    if matches!(std::fs::symlink_metadata(&path), Err(error) if error.kind() == ErrorKind::NotFound)
        && private_file::place(&path, LegacySecret::generate().expose_secret())?
    {
        tracing::info!(path = %path.display(), "made a secret for keys that are JWTs");
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    LegacySecret::new(&SecretString::from(text.trim()))
        .with_context(|| format!("{} holds no usable secret", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn servers_that_start_at_once_share_one_key_that_only_its_owner_reads() {
        let folder = std::env::temp_dir().join(format!("jarvis-key-{}", uuid::Uuid::now_v7()));
        let path = default_path(&folder);
        let start = std::sync::Barrier::new(8);
        let server = || {
            start.wait();
            let keys = load_or_create(&path).unwrap().key_set();
            serde_json::to_string(&keys).unwrap()
        };
        let keys: HashSet<String> = std::thread::scope(|scope| {
            let servers: Vec<_> = (0..8).map(|_| scope.spawn(server)).collect();
            servers.into_iter().map(|s| s.join().unwrap()).collect()
        });
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        let files = std::fs::read_dir(&folder).unwrap().count();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!((keys.len(), mode & 0o777, files), (1, 0o600, 1));
    }
}
