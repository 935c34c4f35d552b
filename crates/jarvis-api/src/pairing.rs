//! One-time codes by which a kiosk is paired: shown to staff, typed at the device, stored as a hash.

use chrono::TimeDelta;
use rand::{CryptoRng, RngExt};
use sha2::{Digest, Sha256};

/// How long a code is good for.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// Letters and digits that nobody confuses: without I, L, O, U, 0 and 1.
const ALPHABET: &[u8; 30] = b"ABCDEFGHJKMNPQRSTVWXYZ23456789";
const LENGTH: usize = 8;

/// A new code: what to show (`ABCD-EFGH`) and what to store. 8 of 30 signs are 6.5 × 10¹¹ codes; with five tries a
/// minute and ten minutes of life, a guess succeeds once in 10¹⁰ codes.
pub fn new_code(rng: &mut impl CryptoRng) -> (String, [u8; 32]) {
    let mut code = String::with_capacity(LENGTH + 1);
    for place in 0..LENGTH {
        if place == LENGTH / 2 {
            code.push('-');
        }
        code.push(char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    }
    let hash = hash_of(&code.replace('-', ""));
    (code, hash)
}

/// The hash under which a typed code is stored: upper case, without dashes and spaces. `None` when no code of ours
/// can look like this.
pub(crate) fn hash_typed(typed: &str) -> Option<[u8; 32]> {
    let plain: String = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .take(LENGTH + 1)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let possible = plain.len() == LENGTH && plain.bytes().all(|b| ALPHABET.contains(&b));
    possible.then(|| hash_of(&plain))
}

fn hash_of(plain: &str) -> [u8; 32] {
    Sha256::digest(plain.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_typed_without_care_is_the_same_code() {
        let (code, hash) = new_code(&mut rand::rng());
        assert_eq!(code.len(), 9);
        assert_eq!(code.as_bytes()[4], b'-');
        let careless = format!(" {} ", code.to_lowercase().replace('-', " "));
        assert_eq!(hash_typed(&careless), Some(hash));
        assert_eq!(hash_typed(&code), Some(hash));
    }

    #[test]
    fn what_cannot_be_a_code_has_no_hash() {
        for typed in [
            "",
            "ABCD",
            "ABCD-EFGHJ",
            "ABCD-EFG0",
            "ABCD-EFGé",
            &"A".repeat(10_000),
        ] {
            assert_eq!(hash_typed(typed), None, "{typed:.20}");
        }
    }

    #[test]
    fn codes_differ() {
        let mut rng = rand::rng();
        assert_ne!(new_code(&mut rng).0, new_code(&mut rng).0);
    }
}
