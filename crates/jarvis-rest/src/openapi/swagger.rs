//! The small words of Swagger that relations and functions share.

use serde_json::{Map, Value, json};

/// An object without the members that are null.
pub fn object(members: Value) -> Value {
    match members {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

/// The type of JSON that a type of PostgreSQL's becomes; none for JSON itself, which may be anything.
pub fn kind(shown: &str) -> Option<&'static str> {
    match shown {
        "boolean" => Some("boolean"),
        "smallint" | "integer" | "bigint" => Some("integer"),
        "numeric" | "real" | "double precision" => Some("number"),
        "json" | "jsonb" => None,
        other if other.ends_with("[]") => Some("array"),
        _ => Some("string"),
    }
}

/// The type of an array's elements; null for what is no array.
pub fn items(shown: &str) -> Value {
    shown
        .strip_suffix("[]")
        .map_or(Value::Null, |element| object(json!({"type": kind(element)})))
}

/// A type as the schema of a property.
pub fn property(shown: &str) -> Value {
    object(json!({"type": kind(shown), "items": items(shown), "format": shown}))
}

/// A default that is a plain value: what is computed has no place in a description.
pub fn default(shown: &str, expression: &str) -> Option<Value> {
    if kind(shown) != Some("string") {
        return serde_json::from_str(expression).ok();
    }
    let literal = expression.strip_suffix(&format!("::{shown}"));
    let text = literal.map_or(expression, |literal| literal.trim_matches('\''));
    serde_json::from_str(&format!("\"{text}\"")).ok()
}

/// A comment's first line, and what follows it.
pub fn headline(comment: &str) -> (Option<&str>, Option<&str>) {
    let (first, rest) = comment.split_once('\n').unwrap_or((comment, ""));
    let rest = rest.trim_start_matches('\n');
    (Some(first), (!rest.is_empty()).then_some(rest))
}

/// A reference: `place` is `parameters` or `definitions`.
pub fn reference(place: &str, name: &str) -> Value {
    let name = name.replace('~', "~0").replace('/', "~1");
    json!({"$ref": format!("#/{place}/{name}")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_told_when_it_is_a_plain_value() {
        assert_eq!(default("text", "'new'::text"), Some(json!("new")));
        assert_eq!(
            default("character varying", "'new'::character varying"),
            Some(json!("new"))
        );
        assert_eq!(default("integer", "42"), Some(json!(42)));
        assert_eq!(default("boolean", "true"), Some(json!(true)));
        assert_eq!(default("date", "'1900-01-01'::date"), Some(json!("1900-01-01")));
        assert_eq!(default("integer", "nextval('films_id_seq'::regclass)"), None);
        assert_eq!(default("jsonb", "'{}'::jsonb"), None);
        assert_eq!(default("text[]", "'{}'::text[]"), None);
        // What would not be JSON is left out rather than told wrongly.
        assert_eq!(default("text", "'say \"hello\"'::text"), None);
    }

    #[test]
    fn a_comment_is_a_headline_and_the_rest() {
        assert_eq!(headline("Films"), (Some("Films"), None));
        assert_eq!(
            headline("Films\n\nAll of them\nreally"),
            (Some("Films"), Some("All of them\nreally"))
        );
    }
}
