//! The words the rules know, read once from `rules/lexicon.txt`.

use super::pattern::lines;
use super::token::Token;
use std::collections::HashMap;
use std::sync::LazyLock;

/// A section of the lexicon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Section {
    Body,
    Side,
    Condition,
    Chronic,
    Symptom,
    Medicine,
    Exercise,
    Subject,
    Time,
    Kin,
    Professional,
    Machine,
    Place,
    Supply,
    Staff,
    Lesson,
    Broken,
    Dirty,
    Rude,
}

impl Section {
    const ALL: [(&'static str, Self); 19] = [
        ("body", Self::Body),
        ("side", Self::Side),
        ("condition", Self::Condition),
        ("chronic", Self::Chronic),
        ("symptom", Self::Symptom),
        ("medicine", Self::Medicine),
        ("exercise", Self::Exercise),
        ("subject", Self::Subject),
        ("time", Self::Time),
        ("kin", Self::Kin),
        ("professional", Self::Professional),
        ("machine", Self::Machine),
        ("place", Self::Place),
        ("supply", Self::Supply),
        ("staff", Self::Staff),
        ("lesson", Self::Lesson),
        ("broken", Self::Broken),
        ("dirty", Self::Dirty),
        ("rude", Self::Rude),
    ];

    /// The section written `[name]` in the file.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, section)| *section)
    }
}

/// Forms by their first letters; a form is a list of words, the last of which may end in `*`.
type Forms = Vec<(Vec<&'static str>, &'static str)>;

static LEXICON: LazyLock<HashMap<(Section, char), Forms>> = LazyLock::new(|| {
    let mut sections: HashMap<(Section, char), Forms> = HashMap::new();
    let mut current = Section::Body;
    for line in lines(include_str!("rules/lexicon.txt")) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            current = Section::named(name).expect("lexicon.txt names a known section");
            continue;
        }
        let (value, forms) = line
            .split_once(':')
            .expect("a line of lexicon.txt is value: forms");
        for form in forms.split(',') {
            let words: Vec<_> = form.split_whitespace().collect();
            let first = words.first().and_then(|w| w.chars().next());
            if let Some(first) = first {
                sections
                    .entry((current, first))
                    .or_default()
                    .push((words, value.trim()));
            }
        }
    }
    for forms in sections.values_mut() {
        forms.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
    }
    sections
});

fn same(form: &str, word: &str) -> bool {
    match form.strip_suffix('*') {
        Some(prefix) => word.starts_with(prefix),
        None => form == word || word.strip_suffix(['s', 'x']) == Some(form),
    }
}

/// The entry that starts at the first of `tokens`, longest form first, and how many words it takes.
/// A plural in -s or -x is the same word.
pub(crate) fn lookup(section: Section, tokens: &[Token]) -> Option<(&'static str, usize)> {
    let first = tokens.first()?.text.chars().next()?;
    let forms = LEXICON.get(&(section, first))?;
    forms.iter().find_map(|(words, value)| {
        let fits = words.len() <= tokens.len()
            && words
                .iter()
                .zip(tokens)
                .all(|(form, token)| same(form, &token.text));
        fits.then_some((*value, words.len()))
    })
}

/// The first entry of `section` among `tokens`: value, index of its first word, number of words.
pub(crate) fn first_in(section: Section, tokens: &[Token]) -> Option<(&'static str, usize, usize)> {
    (0..tokens.len()).find_map(|i| lookup(section, &tokens[i..]).map(|(value, len)| (value, i, len)))
}
