//! Reading JSON strictly: what two readers could understand differently, or PostgreSQL cannot store, is refused.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// How deep objects and lists may be nested.
pub(crate) const MAX_DEPTH: usize = 64;

/// Why a text is not JSON as we read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not JSON (RFC 8259).
    Syntax,
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A name occurs twice in one object, and readers disagree about which counts (RFC 8259, 4).
    RepeatedName,
    /// A number that no double holds.
    NumberOutOfRange,
    /// Half of a pair of `\u` escapes, which is no character.
    LoneSurrogate,
    /// The character NUL, which PostgreSQL stores in no text.
    Nul,
    /// A name that the library we read with would take for a command when the value comes back from the database.
    ReservedName,
}

impl Fault {
    /// What is wrong; never quotes the input.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "not JSON",
            Self::TooDeep => "nested deeper than 64 levels",
            Self::RepeatedName => "a name occurs twice in one object",
            Self::NumberOutOfRange => "a number is out of range",
            Self::LoneSurrogate => "half of a surrogate pair is no character",
            Self::Nul => "the character NUL",
            Self::ReservedName => "a name begins with $serde_json::private",
        }
    }

    /// Our own messages come back by name, the parser's by the stable part of their text. What is not recognised is
    /// a syntax error: the answer is the same but for the detail.
    fn of(error: &serde_json::Error) -> Self {
        let message = error.to_string();
        let ours = [Self::TooDeep, Self::RepeatedName, Self::Nul, Self::ReservedName];
        if let Some(fault) = ours.into_iter().find(|f| message.starts_with(f.as_str())) {
            return fault;
        }
        if message.starts_with("number out of range") {
            Self::NumberOutOfRange
        } else if message.contains("surrogate") || message.starts_with("unexpected end of hex escape") {
            Self::LoneSurrogate
        } else if message.starts_with("recursion limit") {
            Self::TooDeep
        } else if message.starts_with("duplicate field") {
            Self::RepeatedName
        } else {
            Self::Syntax
        }
    }
}

/// A fault and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) fault: Fault,
    line: usize,
    column: usize,
}

impl Broken {
    pub(crate) fn of(error: &serde_json::Error) -> Self {
        Self {
            fault: Fault::of(error),
            line: error.line(),
            column: error.column(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line,
            self.column,
            self.fault.as_str()
        )
    }
}

/// Reads one JSON value with nothing after it.
pub(crate) fn read(text: &str) -> Result<Value, Broken> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }
        .deserialize(&mut parser)
        .map_err(|error| Broken::of(&error))?;
    parser.end().map_err(|error| Broken::of(&error))?;
    Ok(value)
}

/// A text without the byte order mark that some programs put before it (RFC 8259, 8.1).
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(Fault::TooDeep.as_str()));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

fn text<E: serde::de::Error>(text: String) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom(Fault::Nul.as_str()));
    }
    Ok(text)
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        text(value.to_owned()).map(Value::String)
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        text(value).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let name = text(name)?;
            if name.starts_with("$serde_json::private::") {
                return Err(A::Error::custom(Fault::ReservedName.as_str()));
            }
            let value = entries.next_value_seed(inside)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom(Fault::RepeatedName.as_str()));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> Fault {
        read(text).unwrap_err().fault
    }

    #[test]
    fn what_readers_could_understand_differently_is_refused_by_name() {
        assert_eq!(fault(r#"{"a": 1, "b": {"c": 1, "c": 2}}"#), Fault::RepeatedName);
        assert_eq!(fault(r#"{"a": 1, "\u0061": 2}"#), Fault::RepeatedName);
        assert_eq!(fault(r#"["\u0000"]"#), Fault::Nul);
        assert_eq!(fault(r#"{"a\u0000": 1}"#), Fault::Nul);
        assert_eq!(
            fault(r#"{"$serde_json::private::RawValue": "1"}"#),
            Fault::ReservedName
        );
        for lone in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud83dx""#] {
            assert_eq!(fault(lone), Fault::LoneSurrogate, "{lone}");
        }
        for number in ["1e400", "-1e400", "[1e999999999999999999999]"] {
            assert_eq!(fault(number), Fault::NumberOutOfRange, "{number}");
        }
        for broken in [
            "",
            "{",
            "NaN",
            "Infinity",
            "-",
            "01",
            "[1,]",
            "{\"a\" 1}",
            "1 2",
            "'a'",
            "\u{feff}1",
        ] {
            assert_eq!(fault(broken), Fault::Syntax, "{broken}");
        }
    }

    #[test]
    fn nesting_ends_at_its_limit_and_never_at_the_end_of_the_stack() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(fault(&nested(MAX_DEPTH + 1)), Fault::TooDeep);
        assert_eq!(fault(&"[".repeat(100_000)), Fault::TooDeep);
        assert_eq!(fault(&"{\"a\":".repeat(100_000)), Fault::TooDeep);
    }

    #[test]
    fn a_large_number_keeps_its_size() {
        let value = read("[18446744073709551615, 1180591620717411303424, -9223372036854775808]").unwrap();
        assert_eq!(value[0].as_u64(), Some(u64::MAX));
        assert_eq!(value[1].as_f64(), Some(2_f64.powi(70)));
        assert_eq!(value[2].as_i64(), Some(i64::MIN));
    }

    #[test]
    fn a_fault_names_its_place_and_never_quotes() {
        let broken = read("{\"genou\":\n  genou}").unwrap_err();
        assert_eq!(broken.to_string(), "line 2, column 3: not JSON");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(|s| Value::from(s.replace('\0', ""))),
        ];
        leaf.prop_recursive(5, 32, 6, |inner| {
            let name = any::<String>().prop_map(|s| s.replace('\0', ""));
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((name, inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_read_as_it_was_written(value in any_json()) {
            let written = value.to_string();
            prop_assert_eq!(read(&written).unwrap().to_string(), serde_json::from_str::<Value>(&written).unwrap().to_string());
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            prop_assert!(read(&text).is_err() || serde_json::from_str::<Value>(&text).is_ok());
        }

        #[test]
        fn any_damaged_value_is_read_or_refused(value in any_json(), at in any::<prop::sample::Index>(), with in any::<char>()) {
            let mut text: Vec<char> = value.to_string().chars().collect();
            let at = at.index(text.len());
            text[at] = with;
            let text: String = text.into_iter().collect();
            prop_assert!(read(&text).is_err() || serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
