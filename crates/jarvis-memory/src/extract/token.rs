//! Words of a transcript, folded for matching, with their place in the original text.

use jarvis_core::text::fold;
use std::ops::Range;

/// What stands between a word and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// White space or an apostrophe.
    None,
    /// A comma, a colon, a bracket, a dash.
    Soft,
    /// The end of a sentence.
    Hard,
}

/// One folded word. `start..end` are byte offsets into the original text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub text: String,
    pub start: usize,
    pub end: usize,
    pub gap: Gap,
}

/// A run of tokens up to the next full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub tokens: Range<usize>,
    /// Whether a question mark ends it.
    pub question: bool,
}

/// Speech recognition and hurried typing drop the apostrophe; these are read as two words.
const GLUED: &[(&str, &[&str])] = &[
    ("jai", &["j", "ai"]),
    ("jme", &["je", "me"]),
    ("jsuis", &["je", "suis"]),
    ("chuis", &["je", "suis"]),
    ("chui", &["je", "suis"]),
    ("jsui", &["je", "suis"]),
    ("jprefere", &["je", "prefere"]),
    ("jpeux", &["je", "peux"]),
    ("jfais", &["je", "fais"]),
    ("jveux", &["je", "veux"]),
    ("jaime", &["j", "aime"]),
    ("jaimerais", &["j", "aimerais"]),
    ("jadore", &["j", "adore"]),
    ("javais", &["j", "avais"]),
    ("jen", &["j", "en"]),
    ("nai", &["n", "ai"]),
    ("naime", &["n", "aime"]),
    ("cest", &["c", "est"]),
    ("ya", &["y", "a"]),
    ("dete", &["d", "ete"]),
    ("lete", &["l", "ete"]),
    ("lepaule", &["l", "epaule"]),
    ("laine", &["l", "aine"]),
    ("lomoplate", &["l", "omoplate"]),
    ("depaule", &["d", "epaule"]),
    ("jarrive", &["j", "arrive"]),
    ("daccord", &["d", "accord"]),
    ("im", &["i", "m"]),
    ("ive", &["i", "ve"]),
    ("id", &["i", "d"]),
    ("cant", &["can", "t"]),
    ("doesnt", &["doesn", "t"]),
    ("didnt", &["didn", "t"]),
    ("cannot", &["can", "t"]),
    ("wont", &["won", "t"]),
    ("isnt", &["isn", "t"]),
    ("arent", &["aren", "t"]),
    ("wasnt", &["wasn", "t"]),
    ("havent", &["haven", "t"]),
    ("couldnt", &["couldn", "t"]),
    ("itll", &["it", "ll"]),
    ("its", &["it", "s"]),
    ("thats", &["that", "s"]),
    ("theres", &["there", "s"]),
    ("gonna", &["going", "to"]),
    ("mieu", &["mieux"]),
    ("genous", &["genoux"]),
    ("chus", &["je", "suis"]),
    ("cetait", &["c", "etait"]),
    ("dla", &["de", "la"]),
    ("tai", &["t", "ai"]),
];

/// After a lost apostrophe the verb is stuck to its "j": "jevite", "jessaie".
const AFTER_J: &[&str] = &[
    "ai",
    "aime",
    "aimais",
    "aimerai",
    "adore",
    "arrive",
    "attend",
    "aurai",
    "avais",
    "ecoute",
    "entend",
    "envisage",
    "espere",
    "essai",
    "essay",
    "etais",
    "evite",
    "habite",
    "hesite",
    "oublie",
    "utilise",
    "apprecie",
    "ameliore",
    "augmente",
    "abandonne",
    "arret",
    "irai",
    "ose",
    "en",
    "y",
];

/// After a French word "foot" is the sport, elsewhere a part of the body.
const BEFORE_THE_SPORT: &[&str] = &[
    "au", "du", "le", "de", "un", "mon", "ce", "et", "joue", "jouer", "faire", "fais", "post", "ou",
];

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Splits `text` into folded words. Numbers keep a decimal separator ("2,5" becomes `2.5`), a unit glued
/// to a number is a word of its own ("5kg"), an apostrophe separates ("j'ai" is `j`, `ai`).
pub(crate) fn tokenize(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut gap = Gap::Hard;
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if !first.is_alphanumeric() {
            gap = stronger(gap, gap_of(first));
            continue;
        }
        let digits = first.is_ascii_digit();
        let mut end = start + first.len_utf8();
        while let Some(&(at, c)) = chars.peek() {
            let goes_on = if digits {
                c.is_ascii_digit() || (matches!(c, '.' | ',') && followed_by_digit(text, at))
            } else {
                c.is_alphanumeric() || is_mark(c)
            };
            if !goes_on {
                break;
            }
            end = at + c.len_utf8();
            chars.next();
        }
        push_word(&mut tokens, text, start..end, gap);
        gap = Gap::None;
    }
    tokens
}

fn followed_by_digit(text: &str, separator: usize) -> bool {
    text[separator + 1..].starts_with(|c: char| c.is_ascii_digit())
}

fn gap_of(c: char) -> Gap {
    match c {
        '.' | '!' | '?' | ';' | '\n' | '\r' | '…' | '\u{2028}' => Gap::Hard,
        ',' | ':' | '(' | ')' | '—' | '–' | '"' | '«' | '»' | '/' | '{' | '}' | '[' | ']' => Gap::Soft,
        _ => Gap::None,
    }
}

fn stronger(a: Gap, b: Gap) -> Gap {
    match (a, b) {
        (Gap::Hard, _) | (_, Gap::Hard) => Gap::Hard,
        (Gap::Soft, _) | (_, Gap::Soft) => Gap::Soft,
        _ => Gap::None,
    }
}

fn push_word(tokens: &mut Vec<Token>, text: &str, span: Range<usize>, gap: Gap) {
    let mut folded = fold(&text[span.clone()]).replace(',', ".");
    if folded.is_empty() {
        return;
    }
    if folded == "foot"
        && tokens
            .last()
            .is_some_and(|t| BEFORE_THE_SPORT.contains(&t.text.as_str()))
    {
        folded.push_str("ball");
    }
    let parts = GLUED
        .iter()
        .find(|(glued, _)| *glued == folded)
        .map(|(_, parts)| *parts);
    let words: Vec<String> = match parts {
        Some(parts) => parts.iter().map(|p| (*p).to_owned()).collect(),
        None => match stuck(&folded) {
            Some(verb) => vec!["j".to_owned(), verb.to_owned()],
            None => vec![folded],
        },
    };
    for (index, word) in words.into_iter().enumerate() {
        let gap = if index == 0 { gap } else { Gap::None };
        tokens.push(Token {
            text: word,
            start: span.start,
            end: span.end,
            gap,
        });
    }
}

/// The verb after a "j" that lost its apostrophe.
fn stuck(word: &str) -> Option<&str> {
    let verb = word.strip_prefix('j')?;
    let known = |stem: &&str| match stem.len() {
        0..=2 => verb == *stem,
        _ => verb.starts_with(*stem) && verb.len() <= stem.len() + 3,
    };
    AFTER_J.iter().any(known).then_some(verb)
}

/// The sentences of `text`, in order; every token belongs to exactly one.
pub(crate) fn sentences(text: &str, tokens: &[Token]) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut start = 0;
    for index in 1..=tokens.len() {
        if index == tokens.len() || tokens[index].gap == Gap::Hard {
            let after = tokens.get(index).map_or(text.len(), |t| t.start);
            let ending = &text[tokens[index - 1].end..after];
            found.push(Sentence {
                tokens: start..index,
                question: ending.contains('?'),
            });
            start = index;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokenize(text).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn after_a_french_word_foot_is_the_sport() {
        for (text, word) in [
            ("je joue au foot", "football"),
            ("le foot du lundi", "football"),
            ("my left foot", "foot"),
            ("the foot hurts", "foot"),
        ] {
            assert!(words(text).contains(&word.to_owned()), "{text}");
        }
    }

    #[test]
    fn words_are_folded_and_numbers_stand_alone() {
        assert_eq!(
            words("J\u{2019}ai 2,5kg à l'Épaule"),
            ["j", "ai", "2.5", "kg", "a", "l", "epaule"]
        );
        assert_eq!(words("jai mal au genoux"), ["j", "ai", "mal", "au", "genoux"]);
    }

    #[test]
    fn offsets_lead_back_to_the_original_words() {
        let text = "Été : mon GENOU, déjà.";
        let tokens = tokenize(text);
        let spans: Vec<_> = tokens.iter().map(|t| &text[t.start..t.end]).collect();
        assert_eq!(spans, ["Été", "mon", "GENOU", "déjà"]);
    }

    #[test]
    fn a_question_mark_belongs_to_its_own_sentence() {
        let text = "J'ai mal. Et toi ? Bon";
        let found = sentences(text, &tokenize(text));
        assert_eq!(
            found.iter().map(|s| s.question).collect::<Vec<_>>(),
            [false, true, false]
        );
    }
}
