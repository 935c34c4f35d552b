//! Reading a text from left to right, remembering what would have fitted at the furthest place that was reached.

use crate::error::RestError;

/// The text does not fit; the scan knows where and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit;

/// What a part of the grammar yields.
pub type Scanned<T> = Result<T, Misfit>;

/// Deepest nesting of `(…)` that is read; a stack is finite.
pub const DEEPEST: usize = 48;

const END: &str = "end of input";
const FIELD_NAME: &str = "field name (* or [a..z0..9_$])";

/// A place in a text.
#[derive(Debug)]
pub struct Scan {
    chars: Vec<char>,
    at: usize,
    furthest: usize,
    expected: Vec<String>,
}

impl Scan {
    /// Begins at the start of a text.
    pub fn new(text: &str) -> Self {
        Self {
            chars: text.chars().collect(),
            at: 0,
            furthest: 0,
            expected: Vec::new(),
        }
    }

    /// Where it stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes back.
    pub fn back(&mut self, to: usize) {
        self.at = to;
    }

    /// The next character.
    pub fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// Notes what would fit here.
    pub fn note(&mut self, label: &str) {
        if self.at > self.furthest {
            self.furthest = self.at;
            self.expected.clear();
        }
        if self.at == self.furthest && !self.expected.iter().any(|known| known == label) {
            self.expected.push(label.to_owned());
        }
    }

    /// Notes what would fit here, and gives up.
    pub fn wanted<T>(&mut self, label: &str) -> Scanned<T> {
        self.note(label);
        Err(Misfit)
    }

    /// Takes one character if it is this one.
    pub fn eat(&mut self, wanted: char) -> bool {
        if self.peek() == Some(wanted) {
            self.at += 1;
            return true;
        }
        self.note(&format!("{:?}", wanted.to_string()));
        false
    }

    /// Takes this word if it is next.
    pub fn word(&mut self, word: &str) -> bool {
        let length = word.chars().count();
        let fits = self.chars.len() - self.at >= length
            && word
                .chars()
                .eq(self.chars[self.at..self.at + length].iter().copied());
        if fits {
            self.at += length;
        }
        fits
    }

    /// Whether this word is next, without taking it.
    pub fn ahead(&mut self, word: &str) -> bool {
        let here = self.at;
        let fits = self.word(word);
        self.at = here;
        fits
    }

    /// Takes characters while they fit.
    pub fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&fits) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    /// Takes all that is left.
    pub fn rest(&mut self) -> String {
        self.take_while(|_| true)
    }

    /// Skips blanks.
    pub fn blanks(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// Whether all has been read.
    pub fn ended(&mut self) -> bool {
        if self.at == self.chars.len() {
            return true;
        }
        self.note(END);
        false
    }

    /// Whether all has been read, but for brackets that close nothing.
    pub fn ended_but_brackets(&mut self) -> bool {
        self.take_while(|c| c == ')');
        self.ended()
    }

    /// Tries a part; goes back when it does not fit.
    pub fn attempt<T>(&mut self, part: impl FnOnce(&mut Self) -> Scanned<T>) -> Option<T> {
        let here = self.at;
        let taken = part(self).ok();
        if taken.is_none() {
            self.at = here;
        }
        taken
    }

    /// `"…"`, where a backslash makes the next character plain.
    pub fn quoted(&mut self) -> Scanned<String> {
        if !self.eat('"') {
            return Err(Misfit);
        }
        let mut value = String::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some('\\') => {
                    self.at += 1;
                    let Some(plain) = self.peek() else {
                        return self.wanted("any character");
                    };
                    value.push(plain);
                    self.at += 1;
                }
                Some(other) => {
                    value.push(other);
                    self.at += 1;
                }
                None => return self.wanted("\"\\\"\""),
            }
        }
    }

    /// A name of a column, a relation or an alias.
    pub fn field_name(&mut self) -> Scanned<String> {
        if self.peek() == Some('"') {
            return match self.quoted()?.as_str() {
                // PostgreSQL has no empty name; a star in quotes would stand for all columns, private ones too.
                "" | "*" => self.wanted(FIELD_NAME),
                name => Ok(name.to_owned()),
            };
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ' ' | '$');
        self.dashed(is_part, FIELD_NAME)
    }

    /// Parts with dashes between them; `->` is no dash.
    pub fn dashed(&mut self, is_part: impl Fn(char) -> bool, label: &str) -> Scanned<String> {
        let mut name = String::new();
        loop {
            let part = self.take_while(&is_part);
            if part.is_empty() {
                return self.wanted(label);
            }
            name.push_str(part.trim());
            if self.peek() != Some('-') || self.ahead("->") {
                return if name.is_empty() {
                    self.wanted(label)
                } else {
                    Ok(name)
                };
            }
            self.at += 1;
            name.push('-');
        }
    }

    /// The error to answer with, where `what` names the parameter and `shown` its text.
    pub fn error(&self, what: &str, shown: &str) -> RestError {
        let found = match self.chars.get(self.furthest) {
            None => END.to_owned(),
            Some(c) if self.expected.iter().any(|label| label == END) => format!("{c:?}"),
            Some(c) => format!("{:?}", c.to_string()),
        };
        let message = format!(
            "\"failed to parse {what} ({shown})\" (line 1, column {})",
            self.furthest + 1
        );
        RestError::parse(
            message,
            format!("unexpected {found} expecting {}", either(&self.expected)),
        )
    }
}

/// `a, b or c`.
fn either(labels: &[String]) -> String {
    match labels {
        [] => "something else".to_owned(),
        [only] => only.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}
