//! In which language a command speaks.

use jarvis_db::lint::Said;
use std::ffi::{OsStr, OsString};

/// A language that commands speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    /// French
    Fr,
    /// English
    En,
}

impl Lang {
    /// The one that was asked for, else that of the terminal.
    pub fn or_of_surroundings(asked: Option<Self>) -> Self {
        let names = ["LC_ALL", "LANG"].map(std::env::var_os);
        asked.unwrap_or_else(|| Self::of_locales(names.iter().flatten().map(OsString::as_os_str)))
    }

    /// By the first locale that is not empty, as POSIX has it; French, the language of the gyms, when it names no
    /// language (`C`, `POSIX`) or there is none.
    fn of_locales<'a>(mut names: impl Iterator<Item = &'a OsStr>) -> Self {
        let name = names.find(|name| !name.is_empty()).unwrap_or_default();
        let language = name
            .as_encoded_bytes()
            .split(|b| *b == b'_' || *b == b'.')
            .next()
            .unwrap_or_default();
        match language {
            b"" | b"C" | b"POSIX" | b"fr" => Self::Fr,
            _ => Self::En,
        }
    }

    /// This language's half of a sentence.
    pub fn of(self, said: Said) -> &'static str {
        match self {
            Self::Fr => said.fr,
            Self::En => said.en,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_speak_the_language_of_the_terminal_and_french_without_one() {
        for (locales, lang) in [
            (["", ""], Lang::Fr),
            (["", "fr_FR.UTF-8"], Lang::Fr),
            (["fr_CA", "en_US.UTF-8"], Lang::Fr),
            (["en_GB", "fr_FR"], Lang::En),
            (["", "C.UTF-8"], Lang::Fr),
            (["POSIX", ""], Lang::Fr),
        ] {
            assert_eq!(
                Lang::of_locales(locales.map(OsStr::new).into_iter()),
                lang,
                "{locales:?}"
            );
        }
    }
}
