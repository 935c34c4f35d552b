//! What the command line accepts as a value, checked before anything is asked of a database.

use chrono_tz::Tz;

/// Text with something in it; spaces around it do not count.
pub fn filled(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it must not be empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// A short name for addresses and commands, as the database accepts it.
pub fn slug(text: &str) -> Result<String, String> {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.split('-').all(word) {
        Ok(text.to_owned())
    } else {
        Err("lower-case letters and digits, words joined by `-`, such as `lyon-centre`".to_owned())
    }
}

/// A badge: 1 to 128 characters.
pub fn badge(text: &str) -> Result<String, String> {
    let badge = filled(text)?;
    if badge.chars().count() > 128 {
        return Err("a badge has at most 128 characters".to_owned());
    }
    Ok(badge)
}

/// An IANA time zone.
pub fn timezone(text: &str) -> Result<Tz, String> {
    text.parse()
        .map_err(|_| "no IANA time zone; write it as `Europe/Paris`".to_owned())
}

/// A similarity, 0 to 1.
pub fn similarity(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n| (0.0..=1.0).contains(n));
    number.ok_or_else(|| "a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_would_refuse_is_refused_before() {
        for bad in ["Bad Slug", "", "-", "lyon-", "-lyon", "a--b", "é", "LYON"] {
            assert!(slug(bad).is_err(), "{bad}");
        }
        assert_eq!(slug("lyon-2"), Ok("lyon-2".to_owned()));
        assert!(filled(" \t").is_err() && badge("").is_err() && badge(&"x".repeat(129)).is_err());
        assert_eq!(badge(" BADGE_001 "), Ok("BADGE_001".to_owned()));
        assert!(timezone("Europe/Atlantis").is_err() && timezone("Europe/Paris").is_ok());
        for bad in ["nan", "-0.1", "1.1", "inf", "high"] {
            assert!(similarity(bad).is_err(), "{bad}");
        }
        assert_eq!(similarity("0.7"), Ok(0.7));
    }
}
