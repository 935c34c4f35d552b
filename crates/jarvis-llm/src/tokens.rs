//! How many tokens a text takes, without the tokenizer of any model.

/// An upper estimate of the tokens of a text, so that what fits by it fits by the model's own count.
///
/// Byte-pair tokenizers take about four letters of English to a token and somewhat fewer of French; here every letter of ASCII and every
/// space counts two fifths, every other character of ASCII and every letter with an accent one, and what is beyond the
/// Latin scripts two for each character (emoji and rare scripts fall apart into bytes).
pub fn estimate_tokens(text: &str) -> usize {
    let fifths: usize = text.chars().map(fifths).sum();
    fifths.div_ceil(5)
}

/// The longest end of a text that takes at most `tokens` by [`estimate_tokens`], from the beginning of a word on.
pub fn end_within(text: &str, tokens: usize) -> &str {
    let mut room = tokens.saturating_mul(5);
    let mut from = text.len();
    for (place, letter) in text.char_indices().rev() {
        let Some(left) = room.checked_sub(fifths(letter)) else {
            let end = &text[from..];
            if letter.is_whitespace() || end.starts_with(char::is_whitespace) {
                return end.trim_start();
            }
            // The first word is cut; alone, it is none.
            let word = end.find(char::is_whitespace).unwrap_or(end.len());
            return end[word..].trim_start();
        };
        room = left;
        from = place;
    }
    text
}

fn fifths(letter: char) -> usize {
    match letter {
        'a'..='z' | 'A'..='Z' | ' ' => 2,
        '\0'..='\u{24f}' => 5,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_at_most_two_and_a_half_letters_and_rare_signs_cost_more() {
        assert_eq!(estimate_tokens(&"a".repeat(250)), 100);
        assert_eq!(estimate_tokens("été"), 3);
        assert_eq!(estimate_tokens("12:30"), 5);
        assert_eq!(estimate_tokens("🏋"), 2);
        assert_eq!(estimate_tokens(""), 0);
    }

    #[test]
    fn the_end_of_a_text_fits_and_begins_with_a_word() {
        let text = "Je veux perdre cinq kilos avant juin";
        assert_eq!(end_within(text, 1_000), text);
        assert_eq!(end_within(text, 0), "");
        for tokens in 1..20 {
            let end = end_within(text, tokens);
            assert!(estimate_tokens(end) <= tokens, "{end}");
            assert!(text.ends_with(end), "{end}");
            let before = &text[..text.len() - end.len()];
            assert!(
                end.is_empty() || before.is_empty() || before.ends_with(' '),
                "{end}"
            );
        }
        assert_eq!(end_within("Été comme hiver, ça va", 5), "ça va");
    }
}
