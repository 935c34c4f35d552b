//! French and English, side by side.

use jarvis_core::Language;

/// The same words in both languages.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// French.
    pub fr: &'static str,
    /// English.
    pub en: &'static str,
}

impl Words {
    /// In a language: French, or English for every other.
    pub fn of(self, language: Language) -> &'static str {
        match language.message_language() {
            Language::Fr => self.fr,
            _ => self.en,
        }
    }
}

/// Both at once.
pub(super) const fn words(fr: &'static str, en: &'static str) -> Words {
    Words { fr, en }
}
