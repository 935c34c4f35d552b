//! Passwords: argon2id in PHC form (RFC 9106); bcrypt is understood where accounts came with it, and replaced.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The longest password that is looked at, in bytes.
pub const MAX_BYTES: usize = 1_024;
/// The shortest password, in characters (NIST SP 800-63B: at least 8; 12 for people who see health data).
pub const MIN_CHARS: usize = 12;
/// Verifications at once: each takes 19 MiB and a processor for some milliseconds.
const AT_ONCE: usize = 2;

/// No refusal comes sooner: bcrypt takes longer than argon2id, which would tell that there is such an account.
const SLOWEST: Duration = Duration::from_millis(400);
/// The most work a bcrypt hash may ask for, as a power of two; each more doubles it. 10 is usual and takes 50 ms.
const MAX_BCRYPT_COST: u32 = 13;

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
        let begun = Instant::now();
        let fits = self.compare(password, stored).await;
        if !fits {
            tokio::time::sleep_until(begun + SLOWEST).await;
        }
        fits
    }

    /// As [`Verifier::verify`], for somebody who is signed in and from whom nothing is hidden: no refusal is slowed.
    pub(crate) async fn compare(&self, password: SecretString, stored: Option<String>) -> bool {
        let Ok(_place) = self.places.acquire().await else {
            return false;
        };
        let nobodys = Arc::clone(&self.nobodys);
        let work = move || {
            let known = stored.is_some();
            let hash = stored.unwrap_or_else(|| nobodys.get_or_init(nobodys_hash).clone());
            fits(&password, &hash) && known
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(false)
    }

    /// The hash of a password that was chosen just now.
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        let _place = self.places.acquire().await.map_err(|_| PasswordError::Hashing)?;
        tokio::task::spawn_blocking(move || hash(&password))
            .await
            .map_err(|_| PasswordError::Hashing)?
    }
}

/// Whether a hash is of a kind that is replaced as soon as the password is known.
pub(crate) fn is_outdated(stored: &str) -> bool {
    is_bcrypt(stored)
}

/// Whether sign-in understands this hash of another system: bcrypt that asks for bearable work.
pub fn is_understood(stored: &str) -> bool {
    is_bcrypt(stored)
        && stored
            .parse::<bcrypt::HashParts>()
            .is_ok_and(|parts| parts.get_cost() <= MAX_BCRYPT_COST)
}

fn is_bcrypt(stored: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"]
        .iter()
        .any(|kind| stored.starts_with(kind))
}

fn fits(password: &SecretString, stored: &str) -> bool {
    let password = password.expose_secret();
    if !is_bcrypt(stored) {
        return Argon2::default()
            .verify_password(password.as_bytes(), stored)
            .is_ok();
    }
    is_understood(stored) && bcrypt::verify(password, stored).unwrap_or(false)
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

    #[tokio::test]
    async fn a_password_that_came_as_bcrypt_fits_and_is_to_be_replaced() {
        let stored = bcrypt::hash("correct horse battery", 4).unwrap();
        let verifier = Verifier::new();
        assert!(is_outdated(&stored));
        assert!(
            verifier
                .verify("correct horse battery".into(), Some(stored.clone()))
                .await
        );
        assert!(
            !verifier
                .verify("Correct horse battery".into(), Some(stored.clone()))
                .await
        );
        // A hash that asks for two hundred seconds of work is not worth it.
        let endless = stored.replacen("$04$", "$22$", 1);
        assert!(
            !verifier
                .verify("correct horse battery".into(), Some(endless))
                .await
        );
        assert!(!is_outdated(&verifier.hash("x".into()).await.unwrap()));
    }

    #[tokio::test]
    async fn every_refusal_takes_the_same_time() {
        let stored = bcrypt::hash("x", 4).unwrap();
        for stored in [None, Some(stored), hash(&SecretString::from("x")).ok()] {
            let begun = std::time::Instant::now();
            assert!(!Verifier::new().verify("y".into(), stored).await);
            assert!(begun.elapsed() >= SLOWEST);
        }
    }

    #[test]
    fn the_same_password_is_never_stored_alike() {
        let password = SecretString::from("secret");
        assert_ne!(hash(&password).unwrap(), hash(&password).unwrap());
        assert!(hash(&SecretString::from("")).is_err());
        assert!(hash(&SecretString::from("x".repeat(1_025))).is_err());
    }
}
