//! Taking words out of texts.

use crate::extract::token::{Token, sentences, tokenize};
use std::collections::HashSet;
use std::ops::Range;

/// What stands where something was forgotten. It has no word in it, so that nothing can be read out of it.
pub const FORGOTTEN_MASK: &str = "[…]";

/// Words that say nothing of what a sentence is about, of more than three letters.
const COMMON: &[&str] = &[
    "avec", "pour", "dans", "depuis", "mais", "plus", "cette", "tout", "tous", "toute", "bien", "fait",
    "faire", "suis", "vraiment", "aussi", "encore", "toujours", "alors", "etre", "avoir", "veux", "voudrais",
    "quand", "parce", "comme", "chez", "sans", "quoi", "moins", "tres", "trop", "have", "with", "that",
    "this", "since", "from", "very", "really", "been", "just", "want", "would", "like", "more", "less",
    "when", "what", "about", "also", "still", "some", "into", "your", "will", "they", "them", "then", "aime",
    "prefere",
];

/// `text` without the sentences in which `quote` stands; none when it stands nowhere. A sentence in which one of `kept`
/// stands, too, loses the words of `quote` alone.
pub(super) fn without_quote(text: &str, quote: &str, kept: &[String]) -> Option<String> {
    let wanted = tokenize(quote);
    if wanted.is_empty() {
        let quote = quote.trim();
        let there = !quote.is_empty() && text.contains(quote);
        return there.then(|| text.replace(quote, FORGOTTEN_MASK));
    }
    let tokens = tokenize(text);
    let sentences = sentences(text, &tokens);
    let keeps: Vec<Vec<Token>> = kept.iter().map(|quote| tokenize(quote)).collect();
    let mut gone: Vec<Range<usize>> = Vec::new();
    for found in places(&tokens, &wanted) {
        let mut whole = found.clone();
        for sentence in sentences.iter().map(|s| s.tokens.clone()) {
            let touched = sentence.start < found.end && found.start < sentence.end;
            let shared = keeps
                .iter()
                .any(|k| !places(&tokens[sentence.clone()], k).is_empty());
            if touched && !shared {
                whole = whole.start.min(sentence.start)..whole.end.max(sentence.end);
            }
        }
        match gone.last_mut() {
            Some(last) if whole.start <= last.end => last.end = last.end.max(whole.end),
            _ => gone.push(whole),
        }
    }
    let spans: Vec<_> = gone.into_iter().map(|range| span(&tokens[range])).collect();
    cut(text, &spans)
}

/// Where `wanted` stands in `tokens`.
fn places(tokens: &[Token], wanted: &[Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while !wanted.is_empty() && at + wanted.len() <= tokens.len() {
        let here = &tokens[at..at + wanted.len()];
        if here.iter().zip(wanted).all(|(a, b)| a.text == b.text) {
            found.push(at..at + wanted.len());
            at += wanted.len();
        } else {
            at += 1;
        }
    }
    found
}

/// Whether one of two quotes stands in the other.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (tokenize(one), tokenize(other));
    !places(&one, &other).is_empty() || !places(&other, &one).is_empty()
}

/// The words of quotes that tell what they are about, folded, without the plural's ending.
pub(super) fn telling_words(quotes: &[String]) -> HashSet<String> {
    quotes
        .iter()
        .flat_map(|quote| tokenize(quote))
        .filter(|token| token.text.chars().count() > 3 && !COMMON.contains(&token.text.as_str()))
        .map(|token| singular(&token.text).to_owned())
        .collect()
}

/// `text` without the sentences that share a telling word with one of `quotes`; none when there is no such sentence.
///
/// For texts that are not the member's own: what the assistant repeated in other words must go as well, so a sentence
/// too many may go.
pub(super) fn without_echoes(text: &str, quotes: &[String]) -> Option<String> {
    let telling = telling_words(quotes);
    let tokens = tokenize(text);
    let spans: Vec<Range<usize>> = sentences(text, &tokens)
        .iter()
        .map(|sentence| &tokens[sentence.tokens.clone()])
        .filter(|words| words.iter().any(|word| telling.contains(singular(&word.text))))
        .map(span)
        .collect();
    cut(text, &spans)
}

/// What `change` makes of each quotation in a text and of what leads to it, as our summaries string them together without
/// a full stop; none when it changes nothing.
pub(crate) fn by_quotation(text: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut changed = false;
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(['»', '”']) {
        match change(piece) {
            Some(other) => {
                changed = true;
                out.push_str(&other);
            }
            None => out.push_str(piece),
        }
    }
    changed.then_some(out)
}

fn singular(word: &str) -> &str {
    word.trim_end_matches(['s', 'x'])
}

fn span(tokens: &[Token]) -> Range<usize> {
    let start = tokens.first().map_or(0, |token| token.start);
    start..tokens.last().map_or(start, |token| token.end)
}

fn cut(text: &str, spans: &[Range<usize>]) -> Option<String> {
    if spans.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for span in spans {
        out.push_str(text.get(from..span.start).unwrap_or_default());
        out.push_str(FORGOTTEN_MASK);
        from = span.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_takes_its_sentence_along_whatever_its_case_and_accents() {
        let text = "Alors, j'ai MAL au genou droit. Et j'ai mal au Genou  droit, promis. Sinon ça va.";
        assert_eq!(
            without_quote(text, "J'ai mal au genou droit", &[]).unwrap(),
            "[…]. Sinon ça va."
        );
        assert_eq!(without_quote("Rien de tel.", "mal au genou", &[]), None);
        assert_eq!(
            without_quote("mal au genoux", "mal au genou", &[]),
            None,
            "whole words"
        );
        assert_eq!(without_quote("", "", &[]), None);
        assert_eq!(without_quote("ok 💪 va", "💪", &[]).unwrap(), "ok […] va");
    }

    #[test]
    fn a_sentence_that_tells_something_else_keeps_it() {
        let kept = ["je veux perdre cinq kilos".to_owned()];
        assert_eq!(
            without_quote(
                "J'ai mal au genou et je veux perdre cinq kilos.",
                "j'ai mal au genou",
                &kept
            )
            .unwrap(),
            "[…] et je veux perdre cinq kilos."
        );
    }

    #[test]
    fn a_quotation_stands_by_itself() {
        let quotes = ["mal au genou".to_owned()];
        let text = "Sophie a dit : « J'ai mal au genou » « Je veux perdre cinq kilos »";
        assert_eq!(
            by_quotation(text, |piece| without_echoes(piece, &quotes)).unwrap(),
            "[…] » « Je veux perdre cinq kilos »"
        );
        assert_eq!(
            by_quotation("« Rien de tel »", |piece| without_echoes(piece, &quotes)),
            None
        );
    }

    #[test]
    fn sentences_that_repeat_a_telling_word_go_and_the_others_stay() {
        let quotes = ["j'ai mal au genou depuis janvier".to_owned()];
        assert_eq!(
            without_echoes(
                "Bonjour Sophie. Ton genou, ça va mieux ? On commence par le dos.",
                &quotes
            )
            .unwrap(),
            "Bonjour Sophie. […] ? On commence par le dos."
        );
        assert_eq!(
            without_echoes("Depuis quand cours-tu ?", &quotes),
            None,
            "a common word tells nothing"
        );
    }
}
