//! Names of the database as names of Rust: a rule that gives the same names each time, and no name twice.

use std::collections::HashSet;

/// Words that Rust keeps to itself, in any edition.
const KEYWORDS: [&str; 53] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield", "Self", "union",
];

/// Types that the file itself names plainly.
const PLAIN: [&str; 3] = ["String", "Option", "Vec"];

/// How a name is written.
#[derive(Debug, Clone, Copy)]
pub enum Case {
    /// `like_this`: fields and modules.
    Snake,
    /// `LikeThis`: types and variants.
    Pascal,
}

/// The names, in the order given. Who is called just so in the database keeps the name; of those that come out the same, the
/// first by its bytes has the plain name, the next ends in `_2`.
pub fn assign<'a>(names: impl Iterator<Item = &'a str>, case: Case) -> Vec<String> {
    let names: Vec<&str> = names.collect();
    let mut order: Vec<(bool, &str, usize)> = Vec::new();
    let mut seen = HashSet::new();
    for (at, name) in names.iter().enumerate() {
        let own = seen.insert(*name) && converted(name, case) == *name;
        order.push((!own, name, at));
    }
    order.sort_unstable();
    let mut used = HashSet::new();
    let mut found = vec![String::new(); names.len()];
    for (_, name, at) in order {
        let plain = converted(name, case);
        let mut candidate = plain.clone();
        let mut number = 2;
        while !used.insert(candidate.clone()) {
            candidate = format!("{plain}_{number}");
            number += 1;
        }
        found[at] = candidate;
    }
    found
}

/// A text as Rust writes it.
pub fn literal(text: &str) -> String {
    format!("{text:?}")
}

/// Letters and digits stay, with the letters of French; every other sign parts words, as does a capital after a small letter.
fn converted(name: &str, case: Case) -> String {
    let stays = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ÿ' | 'Œ' | 'œ' | 'Ÿ')
    };
    let mut text = String::new();
    let mut before = ' ';
    for c in name.chars() {
        let starts = !stays(before) || before.is_lowercase() && c.is_uppercase();
        match case {
            Case::Snake if !stays(c) => text.push('_'),
            Case::Snake => {
                if starts && stays(before) {
                    text.push('_');
                }
                text.extend(c.to_lowercase());
            }
            Case::Pascal if !stays(c) => {}
            Case::Pascal if starts => text.extend(c.to_uppercase()),
            Case::Pascal => text.push(c),
        }
        before = c;
    }
    if !name.contains(stays) {
        text.clear();
        text.push_str(match case {
            Case::Snake => "unnamed",
            Case::Pascal => "Unnamed",
        });
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        text.insert(0, '_');
    }
    if KEYWORDS.contains(&text.as_str()) || PLAIN.contains(&text.as_str()) {
        text.push('_');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[&str], case: Case) -> Vec<String> {
        assign(names.iter().copied(), case)
    }

    #[test]
    fn odd_names_become_names_of_rust() {
        let names = [
            "type",
            "Self",
            "a b",
            "9",
            "createdAt",
            "été",
            "",
            "__",
            "select",
            "日",
        ];
        assert_eq!(
            all(&names, Case::Snake),
            [
                "type_",
                "self_",
                "a_b",
                "_9",
                "created_at",
                "été",
                "unnamed",
                "unnamed_2",
                "select",
                "unnamed_3"
            ]
        );
        let names = ["self", "so \"so\"", "string", "9 lives", "ÿ", "+", "two_words"];
        assert_eq!(
            all(&names, Case::Pascal),
            ["Self_", "SoSo", "String_", "_9Lives", "Ÿ", "Unnamed", "TwoWords"]
        );
    }

    #[test]
    fn who_is_called_so_keeps_the_name_and_no_two_share_one() {
        assert_eq!(all(&["A", "a"], Case::Snake), ["a_2", "a"]);
        assert_eq!(all(&["a", "A"], Case::Snake), ["a", "a_2"]);
        assert_eq!(
            all(&["a b", "a-b", "a_b", "a_b_2"], Case::Snake),
            ["a_b_3", "a_b_4", "a_b", "a_b_2"]
        );
        assert_eq!(all(&["f", "f", "f_2"], Case::Snake), ["f", "f_3", "f_2"]);
    }
}
