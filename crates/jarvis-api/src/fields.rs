//! Reading JSON objects field by field. A parser's own messages quote the input, and the input is what a member
//! said or a password; ours name the field and what it must be.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// Why an object is not what was asked for: a field and what it must be, never its value.
pub(crate) type FieldError = String;

/// Something that is read from an object.
pub(crate) trait FromFields: Sized {
    /// The fields that may be there.
    const FIELDS: &'static [&'static str];

    /// Takes the fields.
    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError>;

    /// Reads an object that has no other fields than ours.
    fn read(value: Value) -> Result<Self, FieldError> {
        let mut fields = Fields::of(value)?;
        if fields.0.keys().any(|name| !Self::FIELDS.contains(&name.as_str())) {
            return Err(format!(
                "unknown field; the fields are {}",
                Self::FIELDS.join(", ")
            ));
        }
        Self::from_fields(&mut fields)
    }
}

/// An object whose fields are taken one by one. `null` is as good as absent.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of a JSON object.
    pub(crate) fn of(value: Value) -> Result<Self, FieldError> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err("must be a JSON object".to_owned()),
        }
    }

    /// The fields of a query string. Numbers in it are text.
    pub(crate) fn of_query(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)))
                .collect(),
        )
    }

    /// Any value.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|v| !v.is_null())
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name}: must be text")),
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, FieldError> {
        self.text(name)?.ok_or_else(|| required(name))
    }

    /// A word of ours. The errors of our words list what is allowed and never quote.
    pub(crate) fn word<T>(&mut self, name: &str) -> Result<Option<T>, FieldError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|rule| format!("{name}: {rule}"))
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i32>, FieldError> {
        let number = match self.value(name) {
            None => return Ok(None),
            Some(Value::Number(n)) => whole(&n),
            Some(_) => None,
        };
        number
            .map(Some)
            .ok_or_else(|| format!("{name}: must be a whole number"))
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, FieldError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(n)) => Ok(n.as_f64()),
            Some(_) => Err(format!("{name}: must be a number")),
        }
    }

    /// A number written as text, as in a query string.
    pub(crate) fn numeric_text<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| format!("{name}: must be a number"))
    }

    /// An instant, as in RFC 3339.
    pub(crate) fn instant(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, FieldError> {
        let rule = || format!("{name}: must be a date and time of RFC 3339, such as 2026-01-31T18:05:00Z");
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => match DateTime::parse_from_rfc3339(&text) {
                Ok(at) => Ok(Some(at.with_timezone(&Utc))),
                Err(_) => Err(rule()),
            },
            Some(_) => Err(rule()),
        }
    }
}

/// A whole number, however it is written: 5.0 is 5 in JSON.
fn whole(number: &serde_json::Number) -> Option<i32> {
    if let Some(n) = number.as_i64() {
        return i32::try_from(n).ok();
    }
    let n = number.as_f64().filter(|n| n.fract() == 0.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX))
        .contains(&n)
        .then_some(n as i32);
    fits
}

/// The message for a field that is missing.
pub(crate) fn required(name: &str) -> FieldError {
    format!("{name}: is required")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jarvis_core::Language;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::of(value).unwrap()
    }

    #[test]
    fn messages_name_the_field_and_never_quote_the_value() {
        let secret = "mal au genou";
        let mut f =
            fields(json!({"a": secret, "b": secret, "c": secret, "d": secret, "e": [secret], "f": secret}));
        let messages = [
            f.integer("a").unwrap_err(),
            f.number("b").unwrap_err(),
            f.instant("c").unwrap_err(),
            f.word::<Language>("d").unwrap_err(),
            f.text("e").unwrap_err(),
            f.numeric_text::<i32>("f").unwrap_err(),
        ];
        for (message, name) in messages.iter().zip(["a", "b", "c", "d", "e", "f"]) {
            assert!(message.starts_with(&format!("{name}: ")), "{message}");
            assert!(!message.contains("genou"), "{message}");
        }
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let mut f = fields(json!({"a": null}));
        assert_eq!(f.text("a"), Ok(None));
        assert_eq!(f.required_text("a"), Err("a: is required".to_owned()));
    }

    #[test]
    fn numbers_out_of_range_are_no_numbers() {
        let mut f = fields(json!({"a": 3_000_000_000_i64, "b": 1.5, "c": u64::MAX, "d": 1e300, "e": 49.0}));
        assert!(f.integer("a").is_err());
        assert!(f.integer("b").is_err());
        assert!(f.integer("c").is_err());
        assert!(f.integer("d").is_err());
        assert_eq!(f.integer("e"), Ok(Some(49)));
    }

    #[test]
    fn instants_of_any_year_with_four_digits_are_read() {
        let mut f = fields(
            json!({"a": "1970-01-01T00:00:00Z", "b": "2400-06-01T12:00:00+02:00",
            "c": "99999-01-01T00:00:00Z", "d": "2026-13-01T00:00:00Z", "e": 1_700_000_000}),
        );
        assert!(f.instant("a").unwrap().is_some());
        assert!(f.instant("b").unwrap().is_some());
        for name in ["c", "d", "e"] {
            assert!(f.instant(name).is_err(), "{name}");
        }
    }
}
