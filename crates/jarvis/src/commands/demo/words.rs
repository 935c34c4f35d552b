//! What the demo says to people, in French and in English.

use std::ffi::{OsStr, OsString};

/// The demo's sentences in one language.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    pub gyms_are_there: &'static str,
    pub playing: &'static str,
    /// Between a badge and a gym.
    pub speaks_at: &'static str,
    pub making_memory: &'static str,
    pub summary: &'static str,
    pub next_time: &'static str,
    pub logins: &'static str,
    pub read_badge: &'static str,
    pub token_lasts: &'static str,
    pub stopped: &'static str,
}

static FRENCH: Words = Words {
    gyms_are_there: "deux salles sont prêtes : lyon (12 membres) et nantes (3 membres)",
    playing: "les conversations se jouent",
    speaks_at: "parle à",
    making_memory: "ce qui a été dit devient mémoire",
    summary: "résumé ",
    next_time: "À la prochaine lecture du premier badge, l'assistant saura :",
    logins: "Comptes",
    read_badge: "Lire le badge BADGE_001 à la borne de Lyon :",
    token_lasts: "Le jeton vaut 15 minutes. Dans un autre terminal :",
    stopped: "arrêté ; les données de la démonstration sont gardées",
};

static ENGLISH: Words = Words {
    gyms_are_there: "two gyms are there: lyon (12 members) and nantes (3 members)",
    playing: "playing conversations",
    speaks_at: "speaks at",
    making_memory: "making memory of what was said",
    summary: "summary",
    next_time: "When the first badge is read again, the assistant is told:",
    logins: "Logins",
    read_badge: "Read badge BADGE_001 at the kiosk of Lyon:",
    token_lasts: "The token lasts 15 minutes. In another terminal:",
    stopped: "stopped; the demo's data is kept",
};

impl Words {
    /// In the language with this name.
    pub fn named(name: &str) -> Result<&'static Self, String> {
        match name {
            "fr" => Ok(&FRENCH),
            "en" => Ok(&ENGLISH),
            _ => Err("the demo speaks fr or en".to_owned()),
        }
    }

    /// In the language that the terminal is set to.
    pub fn of_surroundings() -> &'static Self {
        let names = ["LC_ALL", "LANG"].map(std::env::var_os);
        Self::of_locales(names.iter().flatten().map(OsString::as_os_str))
    }

    /// By the first locale that is not empty, as POSIX has it; French, the language of the gyms, when it names no
    /// language (`C`, `POSIX`) or there is none.
    fn of_locales<'a>(mut names: impl Iterator<Item = &'a OsStr>) -> &'static Self {
        let name = names.find(|name| !name.is_empty()).unwrap_or_default();
        let language = name
            .as_encoded_bytes()
            .split(|b| *b == b'_' || *b == b'.')
            .next()
            .unwrap_or_default();
        match language {
            b"" | b"C" | b"POSIX" | b"fr" => &FRENCH,
            _ => &ENGLISH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_speaks_the_language_of_the_terminal_and_french_without_one() {
        for (locales, words) in [
            (["", ""], &FRENCH),
            (["", "fr_FR.UTF-8"], &FRENCH),
            (["fr_CA", "en_US.UTF-8"], &FRENCH),
            (["en_GB", "fr_FR"], &ENGLISH),
            (["", "C.UTF-8"], &FRENCH),
            (["POSIX", ""], &FRENCH),
        ] {
            assert_eq!(
                Words::of_locales(locales.map(OsStr::new).into_iter()),
                words,
                "{locales:?}"
            );
        }
    }
}
