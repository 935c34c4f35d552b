//! Keys are those of age (X25519): a recipient can write a backup, its identity can read it.

use super::error::BackupError;
use age::x25519::{Identity, Recipient};
use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::{Path, PathBuf};

/// What the secret line of a key file begins with.
const SECRET: &str = "AGE-SECRET-KEY-";

/// A key file: one line per key; `#` begins a comment. With identities it reads and writes backups, with recipients
/// (`age1…`) alone it only writes them, so that a server need not hold what opens its own backups.
#[derive(Clone)]
pub struct Keys {
    path: PathBuf,
    identities: Vec<Identity>,
    recipients: Vec<Recipient>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("path", &self.path)
            .field("recipients", &self.recipients())
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads a key file.
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        let bad = |reason| BackupError::BadKey {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => bad("there is no such key file"),
            std::io::ErrorKind::InvalidData => bad("this is no key file"),
            _ => BackupError::at(path)(error),
        })?;
        let mut keys = Self {
            path: path.to_owned(),
            identities: Vec::new(),
            recipients: Vec::new(),
        };
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with(SECRET) {
                let identity: Identity = line
                    .parse()
                    .map_err(|_| bad("a line with a secret key is not complete"))?;
                keys.recipients.push(identity.to_public());
                keys.identities.push(identity);
            } else {
                let recipient = line
                    .parse()
                    .map_err(|_| bad("a line is neither a secret key, nor a public key, nor a comment"))?;
                keys.recipients.push(recipient);
            }
        }
        if keys.recipients.is_empty() {
            return Err(bad("it holds no key"));
        }
        Ok(keys)
    }

    /// The public keys, as text.
    pub fn recipients(&self) -> Vec<String> {
        self.recipients.iter().map(ToString::to_string).collect()
    }

    pub(super) fn for_writing(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.recipients.iter().map(|r| r as &dyn age::Recipient)
    }

    pub(super) fn for_reading(&self) -> Result<impl Iterator<Item = &dyn age::Identity>, BackupError> {
        if self.identities.is_empty() {
            return Err(BackupError::BadKey {
                path: self.path.clone(),
                reason: "it holds public keys only, which can write backups and not read them",
            });
        }
        Ok(self.identities.iter().map(|i| i as &dyn age::Identity))
    }
}

/// A new key: the text of its file, and its public half.
pub fn generate(now: DateTime<Utc>) -> (SecretString, String) {
    let identity = Identity::generate();
    let public = identity.to_public().to_string();
    let text = format!(
        "# Reads and writes backups of JARVIS; also: age -d -i THIS_FILE BACKUP\n# Whoever loses it loses every \
         backup made with it. Keep a copy away from the server.\n# created: {}\n# public key: {public}\n{}\n",
        now.to_rfc3339_opts(SecondsFormat::Secs, true),
        identity.to_string().expose_secret(),
    );
    (text.into(), public)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("jarvis-key-{:032x}", rand::random::<u128>()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_new_key_reads_back_and_shows_its_secret_to_nobody() {
        let (text, public) = generate(DateTime::UNIX_EPOCH);
        let path = file(text.expose_secret());
        let keys = Keys::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(
            (keys.recipients(), keys.for_reading().is_ok()),
            (vec![public], true)
        );
        assert!(!format!("{keys:?}").contains(SECRET));
    }

    #[test]
    fn a_public_key_writes_and_does_not_read() {
        let (_, public) = generate(DateTime::UNIX_EPOCH);
        let path = file(&format!("# the office\n{public}\n"));
        let keys = Keys::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(keys.for_reading().is_err() && keys.for_writing().count() == 1);
    }

    #[test]
    fn what_is_no_key_is_refused_without_quoting_it() {
        for bad in ["", "# nothing\n", "hunter2\n", "AGE-SECRET-KEY-1QQQ\n"] {
            let path = file(bad);
            let error = Keys::read(&path).unwrap_err().to_string();
            std::fs::remove_file(path).unwrap();
            assert!(!error.contains("hunter2") && !error.contains("QQQ"), "{error}");
        }
        assert!(matches!(
            Keys::read(Path::new("/nowhere/at/all")),
            Err(BackupError::BadKey { .. })
        ));
    }
}
