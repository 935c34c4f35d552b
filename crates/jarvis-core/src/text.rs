//! Comparing what people say and write.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower case, without accents, typographic quotes made plain, white space collapsed.
///
/// Two spans of speech are "the same words" when their folded forms are equal.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut pending_space = false;
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        if c.is_whitespace() || c.is_control() {
            pending_space = !folded.is_empty();
            continue;
        }
        if std::mem::take(&mut pending_space) {
            folded.push(' ');
        }
        match c {
            '\u{2019}' | '\u{2018}' | '\u{02bc}' => folded.push('\''),
            'œ' | 'Œ' => folded.push_str("oe"),
            'æ' | 'Æ' => folded.push_str("ae"),
            _ => folded.extend(c.to_lowercase()),
        }
    }
    folded
}

/// A badge as it is compared: trimmed and folded to lower case. `None` when nothing is left.
pub fn badge_key(badge: &str) -> Option<String> {
    let key = badge.trim().to_lowercase();
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_ignores_case_accents_and_spacing() {
        assert_eq!(
            fold("  J\u{2019}ai  mal\tau GENOU\n depuis l'été "),
            "j'ai mal au genou depuis l'ete"
        );
        assert_eq!(fold("Ma sœur"), "ma soeur");
    }

    #[test]
    fn a_blank_badge_is_no_badge() {
        assert_eq!(badge_key(" BADGE_001 ").as_deref(), Some("badge_001"));
        assert_eq!(badge_key(" \t"), None);
    }
}
