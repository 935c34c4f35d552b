//! Where one clause of a turn ends and the next begins.

use super::reading::is_determiner;
use super::token::{Gap, Sentence, Token};
use std::ops::Range;

/// Words that open a new clause.
const CONJUNCTIONS: &[&str] = &[
    "mais",
    "but",
    "car",
    "because",
    "parce",
    "puisque",
    "donc",
    "sinon",
    "puis",
    "cependant",
    "though",
    "although",
    "however",
    "pourtant",
    "par",
    "sauf",
];
/// A subject after one of these belongs to the clause that is already open.
const SUBORDINATORS: &[&str] = &[
    "que", "qu", "quand", "lorsque", "si", "ou", "dont", "comme", "when", "where", "that", "if", "as",
    "after", "before", "while", "since", "what", "how", "et", "and", "pas", "whenever", "every", "time",
];
/// Words that a clause's subject is, or begins with.
const SUBJECTS: &[&str] = &[
    "je", "j", "i", "c", "ca", "my", "mon", "ma", "mes", "il", "elle", "on", "tu", "it", "the",
];
/// Nobody says so many words in one clause; a longer run is cut, so that no text takes long to read.
const LONGEST_CLAUSE: usize = 60;

/// A clause of a turn, as a range of token indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    pub tokens: Range<usize>,
    pub sentence: usize,
    pub question: bool,
    /// What the assistant is asked to note is told, be it in a question.
    pub told: bool,
}

/// The clauses of all sentences, in order.
pub(super) fn clauses(tokens: &[Token], sentences: &[Sentence]) -> Vec<Clause> {
    let mut found = Vec::new();
    for (index, sentence) in sentences.iter().enumerate() {
        let mut start = sentence.tokens.start;
        for at in sentence.tokens.start + 1..sentence.tokens.end {
            if at - start >= LONGEST_CLAUSE || opens_clause(tokens, start, at, sentence.tokens.end) {
                found.push(Clause {
                    tokens: start..at,
                    sentence: index,
                    question: false,
                    told: false,
                });
                start = at;
            }
        }
        found.push(Clause {
            tokens: start..sentence.tokens.end,
            sentence: index,
            question: false,
            told: false,
        });
    }
    found
}

fn opens_clause(tokens: &[Token], start: usize, at: usize, end: usize) -> bool {
    let word = tokens[at].text.as_str();
    let next = if at + 1 < end {
        tokens[at + 1].text.as_str()
    } else {
        ""
    };
    if tokens[at].gap == Gap::Soft {
        let heading = at - start <= 3 || matches!(word, "c" | "est");
        let resumed = matches!(
            word,
            "il" | "elle" | "ils" | "elles" | "he" | "she" | "it" | "they"
        );
        let topic = heading && is_topic(tokens, start, at);
        let taken_up = resumed && is_dislocated(tokens, start, at);
        return !topic && !taken_up;
    }
    if CONJUNCTIONS.contains(&word) {
        let noun = word == "but" && is_determiner(&tokens[at - 1].text);
        return !noun && (word != "par" || next == "contre");
    }
    if matches!(word, "alors" | "vu" | "sachant") && matches!(next, "que" | "qu") {
        return true;
    }
    if matches!(word, "et" | "and") {
        return SUBJECTS.contains(&next) || matches!(next, "plus" | "no" | "pas");
    }
    let subject = matches!(word, "je" | "j" | "i")
        || (matches!(word, "mon" | "my")
            && matches!(next, "objectif" | "but" | "goal")
            && names_its_content(tokens, at, end));
    let before = tokens[at - 1].text.as_str();
    let open = tokens[start..at]
        .iter()
        .any(|t| SUBJECTS.contains(&t.text.as_str()));
    subject
        && open
        && !SUBORDINATORS.contains(&before)
        && !tokens[start..at]
            .iter()
            .all(|t| SUBORDINATORS.contains(&t.text.as_str()))
}

/// "Mon objectif, c'est …" is one clause.
fn is_topic(tokens: &[Token], start: usize, at: usize) -> bool {
    at - start <= 6
        && tokens[start..at]
            .iter()
            .any(|t| matches!(t.text.as_str(), "objectif" | "but" | "goal" | "reve"))
}

/// "mon objectif c'est …", "my goal is …"; not the end of "j'ai atteint mon objectif de poids".
fn names_its_content(tokens: &[Token], at: usize, end: usize) -> bool {
    tokens[at..end.min(at + 8)]
        .iter()
        .any(|t| matches!(t.text.as_str(), "c" | "est" | "serait" | "reste" | "is" | "s"))
}

/// "Le tapis du fond, il est cassé": a name set before the pronoun that takes it up again.
fn is_dislocated(tokens: &[Token], start: usize, at: usize) -> bool {
    let word = |i: usize| tokens[i].text.as_str();
    let begins = (start..at.min(start + 3)).any(|i| {
        matches!(
            word(i),
            "le" | "la" | "les" | "l" | "mon" | "ma" | "mes" | "my" | "the" | "ce" | "cette" | "un" | "une"
        )
    });
    let subject = |i: usize| {
        matches!(
            word(i),
            "je" | "j" | "i" | "c" | "ca" | "il" | "elle" | "on" | "tu" | "it" | "ai" | "y"
        )
    };
    at - start <= 7 && begins && !(start..at).any(subject)
}
