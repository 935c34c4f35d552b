//! The text that PostgreSQL makes of a query's tree (`nodeToString`), as a tree again.

use crate::cache::words;
use std::borrow::Cow;
use std::collections::HashMap;
use std::iter::Peekable;

/// A part of a tree.
#[derive(Debug, PartialEq)]
pub enum Node {
    /// `<>`, or what is not there.
    Nothing,
    /// A number, a name, a truth.
    Text(String),
    /// In parentheses.
    List(Vec<Self>),
    /// In braces: its kind, and its fields.
    Fields(String, HashMap<String, Self>),
}

/// How deep a tree may be: deeper than PostgreSQL itself makes one, less than the stack bears.
const DEEPEST: usize = 500;

impl Node {
    /// Whether it is of this kind.
    pub fn is(&self, kind: &str) -> bool {
        matches!(self, Self::Fields(of, _) if of == kind)
    }

    /// A field of it.
    pub fn field(&self, name: &str) -> &Self {
        match self {
            Self::Fields(_, fields) => fields.get(name).unwrap_or(&Self::Nothing),
            _ => &Self::Nothing,
        }
    }

    /// What is in the list; nothing for what is none.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(nodes) => nodes,
            _ => &[],
        }
    }

    /// A word.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn number(&self) -> Option<i64> {
        self.text()?.parse().ok()
    }
}

/// The tree of a text; nothing where the text is none.
pub fn parse(text: &str) -> Option<Node> {
    let words: Box<dyn Iterator<Item = &str>> = Box::new(words(text));
    let mut words = words.peekable();
    let node = node(&mut words, 0)?;
    words.next().is_none().then_some(node)
}

type Words<'a> = Peekable<Box<dyn Iterator<Item = &'a str> + 'a>>;

fn node(words: &mut Words<'_>, depth: usize) -> Option<Node> {
    if depth > DEEPEST {
        return None;
    }
    match words.next()? {
        "{" => {
            let kind = plain(words.next()?).into_owned();
            let mut fields = HashMap::new();
            while *words.peek()? != "}" {
                let name = words.next()?.get(1..)?.to_owned();
                let value = if ends(words.peek()) {
                    Node::Nothing
                } else {
                    node(words, depth + 1)?
                };
                fields.insert(name, value);
                // A constant has its bytes after its length.
                while !ends(words.peek()) {
                    node(words, depth + 1)?;
                }
            }
            words.next();
            Some(Node::Fields(kind, fields))
        }
        "(" => {
            let mut nodes = Vec::new();
            // Lists of integers, oids, transactions and bits say so first.
            if matches!(words.peek(), Some(&("i" | "o" | "b" | "x"))) {
                words.next();
            }
            while *words.peek()? != ")" {
                nodes.push(node(words, depth + 1)?);
            }
            words.next();
            Some(Node::List(nodes))
        }
        "<>" => Some(Node::Nothing),
        word => Some(Node::Text(plain(word).into_owned())),
    }
}

fn ends(word: Option<&&str>) -> bool {
    word.is_none_or(|word| *word == "}" || word.starts_with(':'))
}

/// Without the backslashes that keep a word together.
fn plain(word: &str) -> Cow<'_, str> {
    if !word.contains('\\') {
        return Cow::Borrowed(word);
    }
    let mut text = String::with_capacity(word.len());
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' {
            characters.next().unwrap_or('\\')
        } else {
            character
        });
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lists_and_kept_signs_are_read() {
        let tree = parse(
            r"({QUERY :a 1 :name a\ b\} :none <> :value 4 [ 1 0 ] :list (i 1 2) :last ({VAR :varno 3})})",
        )
        .unwrap();
        let query = &tree.list()[0];
        assert!(query.is("QUERY"));
        assert_eq!(query.field("name").text(), Some("a b}"));
        assert_eq!(query.field("none"), &Node::Nothing);
        assert_eq!(query.field("value").number(), Some(4));
        assert_eq!(query.field("list").list().len(), 2);
        assert_eq!(query.field("last").list()[0].field("varno").number(), Some(3));
    }

    #[test]
    fn what_is_cut_off_is_no_tree() {
        for text in ["", "(", "({QUERY :a", "({QUERY :a 1}) x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
