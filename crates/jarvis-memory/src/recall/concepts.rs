//! What a question speaks of. People ask in other words than those that were said: "elle attend un bébé" for "enceinte".
//! A concept is the words of both languages for one thing; recall compares them as it compares words.

use crate::extract::token::tokenize;
use std::sync::LazyLock;

/// Concepts of one question that are looked for at most: of a long one the first.
const MOST: usize = 12;

/// One thing, and the words for it.
struct Concept {
    /// Those that name it in a question. A form is a list of folded words, the last of which may end in `*`.
    forms: Vec<Vec<&'static str>>,
    /// Those that are looked for, separated by commas, as the database takes them: without those that only a question uses.
    joined: String,
}

static CONCEPTS: LazyLock<Vec<Concept>> = LazyLock::new(|| {
    let lines = include_str!("concepts.txt").lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let concept = |line: &'static str| {
        let (_, forms) = line
            .split_once(':')
            .expect("a line of concepts.txt is name: forms");
        let listed = |forms: &'static str| forms.split(',').map(str::trim);
        let (asked, said): (Vec<&str>, Vec<&str>) = match forms.split_once("=>") {
            Some((asked, said)) => (listed(asked).collect(), listed(said).collect()),
            None => (
                listed(forms).map(|form| form.trim_start_matches('?')).collect(),
                listed(forms).filter(|form| !form.starts_with('?')).collect(),
            ),
        };
        Concept {
            joined: said.join(","),
            forms: asked.into_iter().map(|form| form.split(' ').collect()).collect(),
        }
    };
    lines.map(concept).collect()
});

/// The concepts that a text names, each as its forms, in the order of the list.
pub fn named_in(text: &str) -> Vec<String> {
    let words: Vec<String> = tokenize(text).into_iter().map(|token| token.text).collect();
    let named = CONCEPTS
        .iter()
        .filter(|concept| concept.forms.iter().any(|form| occurs(form, &words)));
    named.take(MOST).map(|concept| concept.joined.clone()).collect()
}

fn occurs(form: &[&str], words: &[String]) -> bool {
    words
        .windows(form.len())
        .any(|here| form.iter().zip(here).all(|(form, word)| same(form, word)))
}

/// A plural in -s or -x is the same word.
fn same(form: &str, word: &str) -> bool {
    match form.strip_suffix('*') {
        Some(prefix) => word.starts_with(prefix),
        None => form == word || word.strip_suffix(['s', 'x']) == Some(form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_means_the_same_names_the_same_concept() {
        for (one, other) in [
            ("Elle attend un bébé", "is she pregnant?"),
            ("Qui a mal à la JAMBE ?", "leg pain"),
            ("plus d'eau chaude sous les douches", "cold showers"),
            ("une sage-femme", "the midwife"),
            ("le soulevé de terre", "deadlifts"),
        ] {
            let (one, other) = (named_in(one), named_in(other));
            let one: HashSet<_> = one.iter().collect();
            assert!(
                other.iter().any(|concept| one.contains(concept)),
                "{one:?} {other:?}"
            );
        }
    }

    #[test]
    fn who_asks_for_a_kind_finds_each_of_it_and_no_other() {
        let trades = named_in("Quel métier exerce-t-il ?");
        assert!(
            trades
                .iter()
                .any(|forms| forms.split(',').any(|form| form == "carrel*"))
        );
        for text in ["Il est carreleur", "le squat", "mardi"] {
            for forms in named_in(text) {
                assert!(
                    !forms.contains("plombi*") && !forms.contains("burpee") && !forms.contains("mercredi"),
                    "{text}: {forms}"
                );
            }
        }
    }

    #[test]
    fn a_question_about_nothing_we_know_names_nothing() {
        for text in [
            "",
            "?!",
            "Quelle est la capitale de la Mongolie ?",
            "son rendez-vous",
        ] {
            assert!(named_in(text).is_empty(), "{text}: {:?}", named_in(text));
        }
        assert!(
            named_in(
                &"genou épaule dos cou coude main hanche cuisse mollet pied jambe bras tête peau".repeat(9)
            )
            .len()
                <= MOST
        );
    }

    /// The database reads the forms as they stand here: a comma parts them, `*` ends a beginning, nothing else is special.
    #[test]
    fn the_list_is_folded_and_only_last_words_are_beginnings() {
        for concept in CONCEPTS.iter() {
            let said = concept.joined.split(',').map(|form| form.split(' ').collect());
            for form in concept.forms.iter().cloned().chain(said) {
                let (last, others) = form.split_last().unwrap();
                let plain = |word: &str| {
                    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
                };
                assert!(others.iter().all(|word| plain(word)), "{form:?}");
                assert!(plain(last.strip_suffix('*').unwrap_or(last)), "{form:?}");
                assert!(
                    !last.ends_with('*') || others.is_empty(),
                    "the database knows beginnings of single words: {form:?}"
                );
            }
        }
        let names: Vec<_> = include_str!("concepts.txt")
            .lines()
            .filter_map(|line| line.split_once(':').filter(|_| !line.starts_with('#')))
            .map(|(name, _)| name)
            .collect();
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "a name twice");
    }
}
