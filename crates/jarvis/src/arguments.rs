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

/// An e-mail address in lower case: something, one `@`, something, without a space, 254 bytes at most.
pub fn email(text: &str) -> Result<String, String> {
    let email = text.trim().to_lowercase();
    let plain = !email.contains(|c: char| c.is_whitespace() || c.is_control());
    match email.split_once('@') {
        Some((name, host))
            if plain && email.len() <= 254 && !name.is_empty() && !host.is_empty() && !host.contains('@') =>
        {
            Ok(email)
        }
        _ => Err(format!("`{email}` is no e-mail address")),
    }
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_slug_of_words_is_taken_as_it_is(text in "[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,3}") {
            prop_assert_eq!(slug(&text), Ok(text));
        }

        #[test]
        fn nothing_else_is_a_slug(text in "[a-c1 É_-]{0,8}|\\PC{0,12}") {
            let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
            let joined = !text.starts_with('-') && !text.ends_with('-') && !text.contains("--");
            let fits = !text.is_empty() && text.chars().all(plain) && joined;
            prop_assert_eq!(slug(&text).is_ok(), fits);
        }

        #[test]
        fn spaces_around_a_text_or_badge_do_not_count(
            text in any::<String>(), before in "[ \t\n]{0,3}", after in "[ \t\n]{0,3}",
        ) {
            let padded = format!("{before}{text}{after}");
            prop_assert_eq!(filled(&padded), filled(&text));
            prop_assert_eq!(badge(&padded), badge(&text));
            if let Ok(taken) = filled(&text) {
                prop_assert!(!taken.is_empty() && taken.trim() == taken && text.contains(&taken));
            }
        }

        #[test]
        fn a_badge_is_counted_in_characters(letters in proptest::collection::vec("[aé😀]", 1..200)) {
            let text = letters.concat();
            prop_assert_eq!(badge(&text).is_ok(), letters.len() <= 128);
        }

        #[test]
        fn an_address_is_taken_in_lower_case(name in "[a-zA-Z0-9.+é-]{1,20}", host in "[a-zA-Z0-9.é-]{1,20}") {
            let text = format!(" {name}@{host}");
            prop_assert_eq!(email(&text), Ok(format!("{name}@{host}").to_lowercase()));
        }

        #[test]
        fn no_other_text_is_an_address(text in "[a@ .]{0,8}|\\PC{0,12}|a@b{250,260}") {
            let taken = email(&text);
            let whole = text.trim();
            let fits = whole.len() <= 254
                && whole.matches('@').count() == 1
                && !whole.starts_with('@')
                && !whole.ends_with('@')
                && !whole.contains(char::is_whitespace);
            prop_assert_eq!(taken.is_ok(), fits, "{:?}", taken);
        }

        #[test]
        fn a_zone_that_is_taken_has_that_name(text in "(Europe|America)/[A-Z][a-z]{3,9}|\\PC{0,12}") {
            if let Ok(zone) = timezone(&text) {
                prop_assert_eq!(zone.name(), text);
            }
        }

        #[test]
        fn a_similarity_reads_back_and_lies_in_its_range(number in any::<f64>(), inside in 0.0..=1.0_f64) {
            prop_assert_eq!(similarity(&inside.to_string()), Ok(inside));
            prop_assert_eq!(similarity(&number.to_string()).is_ok(), (0.0..=1.0).contains(&number));
        }

        #[test]
        fn what_is_no_number_is_no_similarity(text in "[a-z,;/ ]{0,6}") {
            prop_assert!(similarity(&text).is_err());
        }
    }

    #[test]
    fn every_zone_can_be_named() {
        for zone in chrono_tz::TZ_VARIANTS {
            assert_eq!(timezone(zone.name()), Ok(zone));
        }
    }

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
