//! Passwords: argon2id in PHC form (RFC 9106).

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// The longest password that is looked at, in bytes.
pub const MAX_BYTES: usize = 1_024;
/// Verifications at once: each takes 19 MiB and a processor for some milliseconds.
const AT_ONCE: usize = 2;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Empty or too long.
    #[error("a password has 1 to 1024 bytes")]
    Length,
    /// The hash could not be computed.
    #[error("the password could not be hashed")]
    Hashing,
}

/// The hash of a password, as stored: argon2id, 19 MiB, 2 passes (the crate's and OWASP's default), random salt.
/// Takes some 20 ms of a processor.
pub fn hash(password: &SecretString) -> Result<String, PasswordError> {
    let bytes = password.expose_secret().as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_BYTES {
        return Err(PasswordError::Length);
    }
    let hash = Argon2::default()
        .hash_password(bytes)
        .map_err(|_| PasswordError::Hashing)?;
    Ok(hash.to_string())
}

/// Verifies passwords, a few at once, and as slowly for accounts that do not exist.
#[derive(Debug)]
pub(crate) struct Verifier {
    places: Arc<Semaphore>,
    nobodys: Arc<OnceLock<String>>,
}

impl Verifier {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            nobodys: Arc::new(OnceLock::new()),
        }
    }

    /// Whether `password` belongs to `stored`. Without a stored hash the same work is done for nothing, so that
    /// the time of the answer does not tell which accounts exist.
    pub(crate) async fn verify(&self, password: SecretString, stored: Option<String>) -> bool {
        let Ok(_place) = self.places.acquire().await else {
            return false;
        };
        let nobodys = Arc::clone(&self.nobodys);
        let work = move || {
            let known = stored.is_some();
            let hash = stored.unwrap_or_else(|| nobodys.get_or_init(nobodys_hash).clone());
            let fits = Argon2::default().verify_password(password.expose_secret().as_bytes(), hash.as_str());
            fits.is_ok() && known
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(false)
    }
}

/// A hash that nobody's password has: it only costs the same time.
fn nobodys_hash() -> String {
    hash(&SecretString::from("nobody")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_account_fits() {
        let stored = hash(&SecretString::from("Gérard à la salle")).unwrap();
        assert!(stored.starts_with("$argon2id$"));
        let verifier = Verifier::new();
        assert!(
            verifier
                .verify("Gérard à la salle".into(), Some(stored.clone()))
                .await
        );
        assert!(!verifier.verify("gérard à la salle".into(), Some(stored)).await);
        assert!(!verifier.verify("nobody".into(), None).await);
        assert!(
            !verifier
                .verify("x".into(), Some("$2a$10$not-ours".to_owned()))
                .await
        );
    }

    #[test]
    fn the_same_password_is_never_stored_alike() {
        let password = SecretString::from("secret");
        assert_ne!(hash(&password).unwrap(), hash(&password).unwrap());
        assert!(hash(&SecretString::from("")).is_err());
        assert!(hash(&SecretString::from("x".repeat(1_025))).is_err());
    }
}
