//! A statement under construction. What goes into its text is a constant of this program, a quoted identifier, or a piece
//! that the database's own catalogue spelled; everything a caller sent is a parameter.

use std::fmt::Write as _;

/// SQL that PostgreSQL itself spelled, such as `format_type(…)` or `pg_get_expr(…)`. Only `cache::load` makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spelled(String);

impl Spelled {
    /// Trusts a text that was read from the catalogue.
    pub(crate) fn from_catalogue(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type of an array of this type.
    #[must_use]
    pub fn array(&self) -> Self {
        Self(format!("{}[]", self.0))
    }
}

/// A value bound to a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// A text, which the statement casts to what it needs.
    Text(Option<String>),
    /// A `bytea`.
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Param(Param),
}

/// A statement, or a part of one.
#[derive(Debug, Clone, Default)]
pub struct Sql {
    parts: Vec<Part>,
}

impl Sql {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with a constant.
    pub fn of(text: &'static str) -> Self {
        let mut sql = Self::new();
        sql.raw(text);
        sql
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn push(&mut self, text: &str) {
        if let Some(Part::Text(last)) = self.parts.last_mut() {
            last.push_str(text);
        } else {
            self.parts.push(Part::Text(text.to_owned()));
        }
    }

    /// Adds a constant.
    pub fn raw(&mut self, text: &'static str) -> &mut Self {
        self.push(text);
        self
    }

    /// Adds what the catalogue spelled.
    pub fn spelled(&mut self, text: &Spelled) -> &mut Self {
        self.push(&text.0);
        self
    }

    /// Adds an identifier, quoted. PostgreSQL knows no NUL in one.
    pub fn ident(&mut self, name: &str) -> &mut Self {
        self.push(&quoted(name));
        self
    }

    /// Adds `schema.name`, or the name alone when the schema is empty.
    pub fn name(&mut self, schema: &str, name: &str) -> &mut Self {
        if !schema.is_empty() {
            self.ident(schema).raw(".");
        }
        self.ident(name)
    }

    /// Adds a text parameter.
    pub fn param(&mut self, value: &str) -> &mut Self {
        self.bind(Param::Text(Some(value.replace('\0', ""))))
    }

    /// Adds a text parameter that is cast to a type of the catalogue.
    pub fn typed(&mut self, value: &str, as_type: &Spelled) -> &mut Self {
        self.param(value).raw("::").spelled(as_type)
    }

    /// Adds a parameter.
    pub fn bind(&mut self, value: Param) -> &mut Self {
        self.parts.push(Part::Param(value));
        self
    }

    /// Adds a whole number.
    pub fn number(&mut self, value: i64) -> &mut Self {
        self.param(&value.to_string()).raw("::int8")
    }

    /// Adds another part.
    pub fn append(&mut self, other: Self) -> &mut Self {
        for part in other.parts {
            match part {
                Part::Text(text) => self.push(&text),
                Part::Param(value) => {
                    self.bind(value);
                }
            }
        }
        self
    }

    /// Adds parts with a constant between them.
    pub fn join(&mut self, between: &'static str, parts: impl IntoIterator<Item = Self>) -> &mut Self {
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                self.raw(between);
            }
            self.append(part);
        }
        self
    }

    /// The statement with `$1` and so on, and its parameters.
    pub fn finish(self) -> (String, Vec<Param>) {
        let (mut text, mut params) = (String::new(), Vec::new());
        for part in self.parts {
            match part {
                Part::Text(constant) => text.push_str(&constant),
                Part::Param(value) => {
                    params.push(value);
                    write!(text, "${}", params.len()).expect("a String takes all that is written");
                }
            }
        }
        (text, params)
    }
}

/// An identifier in double quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\0', "").replace('"', "\"\""))
}

/// A list of texts as the literal of an array.
pub fn array_literal(values: &[String]) -> String {
    let elements: Vec<String> = values
        .iter()
        .map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", elements.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_in_order_of_their_place() {
        let mut inner = Sql::of("a = ");
        inner.param("x");
        let mut sql = Sql::of("select ");
        sql.number(1).raw(" where ").append(inner);
        let (text, params) = sql.finish();
        assert_eq!(text, "select $1::int8 where a = $2");
        assert_eq!(params.len(), 2);
    }

    #[test]
    fn an_identifier_cannot_end_its_quotes() {
        assert_eq!(quoted("a\"; drop table b; --"), "\"a\"\"; drop table b; --\"");
        assert_eq!(array_literal(&["a\"b\\c".to_owned()]), "{\"a\\\"b\\\\c\"}");
    }
}
