//! A small pattern language over folded words, so that the rules are data one can read.
//!
//! A rule file has one rule a line: `pattern -> key=value key=value`; `#` starts a comment. A pattern is a
//! list of elements separated by blanks:
//!
//! | element | matches |
//! |---|---|
//! | `genou` | this folded word |
//! | `au\|aux\|bless*` | one of these words; `*` at the end means "starts with" |
//! | `tres\|trop?` | the same, or nothing |
//! | `..3` | at most three words, as few as possible |
//! | `@body` | an entry of that section of `lexicon.txt` (captured); `@body?` makes it optional |
//! | `@num` | a number in digits or words (captured) |
//! | `@word` | any word that is no article (captured as spoken) |
//! | `^`, `$` | the start, the end of the clause |

use super::lexicon::{self, Section};
use super::number;
use super::token::Token;
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug)]
enum Alternative {
    Exact(String),
    Prefix(String),
}

impl Alternative {
    fn matches(&self, word: &str) -> bool {
        match self {
            Self::Exact(text) => text == word,
            Self::Prefix(text) => word.starts_with(text.as_str()),
        }
    }
}

#[derive(Debug)]
enum Element {
    Words {
        any: Vec<Alternative>,
        /// The first letters of the alternatives: most words of a text are told apart by theirs.
        letters: u64,
        optional: bool,
    },
    Gap(usize),
    Entry {
        section: Section,
        optional: bool,
    },
    Number {
        optional: bool,
    },
    Spoken,
    Start,
    End,
}

/// What a pattern captured, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Capture {
    Entry(Section, &'static str),
    Number(f64),
    Spoken(usize),
}

/// Where a rule matched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Match {
    pub tokens: Range<usize>,
    pub captures: Vec<Capture>,
}

impl Match {
    /// The first captured entry of a section of the lexicon.
    pub fn entry(&self, wanted: Section) -> Option<&'static str> {
        self.captures.iter().find_map(|c| match c {
            Capture::Entry(section, value) if *section == wanted => Some(*value),
            _ => None,
        })
    }

    /// The first captured number.
    pub fn number(&self) -> Option<f64> {
        self.captures.iter().find_map(|c| match c {
            Capture::Number(value) => Some(*value),
            _ => None,
        })
    }

    /// The index of the first freely captured word.
    pub fn spoken(&self) -> Option<usize> {
        self.captures.iter().find_map(|c| match c {
            Capture::Spoken(index) => Some(*index),
            _ => None,
        })
    }
}

/// One line of a rule file.
#[derive(Debug)]
pub(crate) struct Rule {
    pattern: Vec<Element>,
    attributes: BTreeMap<&'static str, &'static str>,
}

/// Words that `@word` steps over: they carry no meaning of their own.
const EMPTY_WORDS: &[&str] = &[
    "a", "au", "aux", "de", "d", "des", "du", "en", "et", "l", "la", "le", "les", "of", "the", "to", "un",
    "une", "my", "mon", "ma", "mes",
];

impl Rule {
    /// An attribute written after the arrow.
    pub fn get(&self, key: &str) -> Option<&'static str> {
        self.attributes.get(key).copied()
    }

    /// The first match within `clause`, leftmost first.
    pub fn find(&self, tokens: &[Token], clause: &Range<usize>) -> Option<Match> {
        clause
            .clone()
            .find_map(|start| self.match_at(tokens, clause, start))
    }

    /// The match that starts exactly at `start`.
    pub fn match_at(&self, tokens: &[Token], clause: &Range<usize>, start: usize) -> Option<Match> {
        let mut captures = Vec::new();
        let end = step(&self.pattern, tokens, clause, start, &mut captures)?;
        (end > start).then_some(Match {
            tokens: start..end,
            captures,
        })
    }
}

fn step(
    pattern: &[Element],
    tokens: &[Token],
    clause: &Range<usize>,
    at: usize,
    captures: &mut Vec<Capture>,
) -> Option<usize> {
    let Some((element, rest)) = pattern.split_first() else {
        return Some(at);
    };
    let depth = captures.len();
    let mut try_rest = |next: usize, capture: Option<Capture>| {
        captures.truncate(depth);
        captures.extend(capture);
        step(rest, tokens, clause, next, captures)
    };
    let inside = at < clause.end;
    match element {
        Element::Start => (at == clause.start).then(|| try_rest(at, None)).flatten(),
        Element::End => (at == clause.end).then(|| try_rest(at, None)).flatten(),
        Element::Gap(most) => (at..=(at + most).min(clause.end)).find_map(|next| try_rest(next, None)),
        Element::Words {
            any,
            letters,
            optional,
        } => {
            let word = if inside { tokens[at].text.as_str() } else { "" };
            let hit = letters & letter(word) != 0 && any.iter().any(|a| a.matches(word));
            let found = hit.then(|| try_rest(at + 1, None)).flatten();
            found.or_else(|| optional.then(|| try_rest(at, None)).flatten())
        }
        Element::Entry { section, optional } => {
            let hit = lexicon::lookup(*section, &tokens[at..clause.end.max(at)]);
            let found =
                hit.and_then(|(value, len)| try_rest(at + len, Some(Capture::Entry(*section, value))));
            found.or_else(|| optional.then(|| try_rest(at, None)).flatten())
        }
        Element::Number { optional } => {
            let hit = number::parse(&tokens[at..clause.end.max(at)]);
            let found = hit.and_then(|(value, len)| try_rest(at + len, Some(Capture::Number(value))));
            found.or_else(|| optional.then(|| try_rest(at, None)).flatten())
        }
        Element::Spoken => {
            let hit = inside && tokens[at].text.len() > 2 && !EMPTY_WORDS.contains(&tokens[at].text.as_str());
            hit.then(|| try_rest(at + 1, Some(Capture::Spoken(at)))).flatten()
        }
    }
}

/// Reads a rule file. The files are part of the program, so a mistake in one is a bug and stops it.
pub(crate) fn rules(text: &'static str) -> Vec<Rule> {
    lines(text).map(rule).collect()
}

/// The lines of a data file without comments and blanks.
pub(crate) fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
}

fn rule(line: &'static str) -> Rule {
    let (pattern, attributes) = line.split_once("->").unwrap_or((line, ""));
    Rule {
        pattern: pattern.split_whitespace().map(element).collect(),
        attributes: attributes
            .split_whitespace()
            .filter_map(|a| a.split_once('='))
            .collect(),
    }
}

fn element(text: &str) -> Element {
    let (body, optional) = text.strip_suffix('?').map_or((text, false), |body| (body, true));
    if let Some(gap) = body.strip_prefix("..") {
        return Element::Gap(gap.parse().expect("a gap in a rule file is a number"));
    }
    match body {
        "^" => Element::Start,
        "$" => Element::End,
        "@num" => Element::Number { optional },
        "@word" => Element::Spoken,
        _ => match body.strip_prefix('@') {
            Some(name) => Element::Entry {
                section: Section::named(name).expect("a rule names a section of the lexicon"),
                optional,
            },
            None => Element::Words {
                any: body.split('|').map(alternative).collect(),
                letters: body.split('|').map(letter).fold(0, |all, one| all | one),
                optional,
            },
        },
    }
}

/// One bit for the first byte of a word; several bytes may share one. Nothing begins with no bit.
fn letter(word: &str) -> u64 {
    word.bytes().next().map_or(0, |byte| 1 << (byte % 64))
}

fn alternative(text: &str) -> Alternative {
    match text.strip_suffix('*') {
        Some(prefix) => Alternative::Prefix(prefix.to_owned()),
        None => Alternative::Exact(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tokenize;
    use super::*;

    fn found(rule_text: &'static str, text: &str) -> Option<Match> {
        let tokens = tokenize(text);
        rules(rule_text)[0].find(&tokens, &(0..tokens.len()))
    }

    #[test]
    fn gaps_options_and_captures_work_together() {
        let hit = found("mal au|a ..1 @body @side?", "j'ai mal à l'épaule gauche").unwrap();
        assert_eq!(hit.entry(Section::Body), Some("shoulder"));
        assert_eq!(hit.entry(Section::Side), Some("left"));
        assert_eq!(hit.tokens, 2..7);
        assert!(found("mal au @body", "j'ai mal au portefeuille").is_none());
    }

    #[test]
    fn numbers_are_read_as_words() {
        assert_eq!(
            found("perdre @num kilo*", "perdre vingt-cinq kilos")
                .unwrap()
                .number(),
            Some(25.0)
        );
    }
}
