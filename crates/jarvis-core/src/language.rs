//! Languages of members and of messages.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A language a member may prefer. Messages of JARVIS exist in French and English.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// French, the default.
    #[default]
    Fr,
    /// English.
    En,
    /// Spanish.
    Es,
    /// German.
    De,
    /// Italian.
    It,
}

impl Language {
    /// The two-letter code of ISO 639-1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fr => "fr",
            Self::En => "en",
            Self::Es => "es",
            Self::De => "de",
            Self::It => "it",
        }
    }

    /// French for French, English for every other language.
    #[must_use]
    pub fn message_language(self) -> Self {
        if self == Self::Fr { Self::Fr } else { Self::En }
    }

    /// The months from January on, in the language of messages.
    pub fn months(self) -> [&'static str; 12] {
        if self == Self::Fr {
            [
                "janvier",
                "février",
                "mars",
                "avril",
                "mai",
                "juin",
                "juillet",
                "août",
                "septembre",
                "octobre",
                "novembre",
                "décembre",
            ]
        } else {
            [
                "January",
                "February",
                "March",
                "April",
                "May",
                "June",
                "July",
                "August",
                "September",
                "October",
                "November",
                "December",
            ]
        }
    }
}

/// Why a text is no language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a language is one of fr, en, es, de, it")]
pub struct UnknownLanguage;

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = text.split(['-', '_']).next().unwrap_or_default();
        match code.to_ascii_lowercase().as_str() {
            "fr" => Ok(Self::Fr),
            "en" => Ok(Self::En),
            "es" => Ok(Self::Es),
            "de" => Ok(Self::De),
            "it" => Ok(Self::It),
            _ => Err(UnknownLanguage),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
