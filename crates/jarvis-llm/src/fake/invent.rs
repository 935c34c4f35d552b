//! Values and vectors made of a hash: the same text gives the same result on every machine.

use std::fmt::Write as _;

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::schema::{Format, Kind, Node, StrictSchema};

/// From this depth on the shortest choice is taken, so that a recursive schema ends.
const DEEP: usize = 4;

/// A stream of numbers out of a text.
struct Chance {
    seed: [u8; 32],
    counter: u64,
}

impl Chance {
    fn new(text: &str) -> Self {
        Self {
            seed: Sha256::digest(text.as_bytes()).into(),
            counter: 0,
        }
    }

    fn next(&mut self) -> [u8; 32] {
        self.counter += 1;
        let hash = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.counter.to_le_bytes());
        hash.finalize().into()
    }

    fn number(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.next();
        u32::from_le_bytes([a, b, c, d])
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.number()).ok()?.checked_rem(items.len())?;
        items.get(index)
    }
}

/// The first `bytes` (at most 32) of the hash of a text, as hexadecimal digits.
pub(super) fn hex(text: &str, bytes: usize) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(bytes)
        .fold(String::new(), |mut out, byte| {
            let _infallible = write!(out, "{byte:02x}");
            out
        })
}

/// A vector of length 1 whose direction depends on the text alone.
pub(super) fn unit_vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut chance = Chance::new(text);
    let mut vector = Vec::with_capacity(dimensions + 16);
    while vector.len() < dimensions {
        let bytes = chance.next();
        let (pairs, _) = bytes.as_chunks::<2>();
        vector.extend(
            pairs
                .iter()
                .map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32768.0),
        );
    }
    vector.truncate(dimensions);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

/// A value that fits the schema and depends on the prompt alone.
pub(super) fn value(schema: &StrictSchema, prompt: &str) -> Value {
    node_value(schema, schema.root(), &mut Chance::new(prompt), 0)
}

fn node_value(schema: &StrictSchema, node: &Node, chance: &mut Chance, depth: usize) -> Value {
    if let Some(allowed) = &node.allowed {
        return chance.pick(allowed).cloned().unwrap_or_default();
    }
    if let Some(target) = node.reference.as_deref().and_then(|name| schema.resolve(name)) {
        // A reference that only leads to itself has no value at all; the check of the answer says so.
        return if depth > 4 * DEEP {
            Value::Null
        } else {
            node_value(schema, target, chance, depth + 1)
        };
    }
    if !node.any_of.is_empty() {
        let nothing = node.any_of.iter().find(|option| option.kinds == [Kind::Null]);
        let option = nothing
            .filter(|_| depth >= DEEP)
            .or_else(|| chance.pick(&node.any_of));
        return option.map_or(Value::Null, |option| {
            node_value(schema, option, chance, depth + 1)
        });
    }
    let nullable = node.kinds.contains(&Kind::Null);
    match chance.pick(&node.kinds) {
        _ if nullable && depth >= DEEP => Value::Null,
        Some(Kind::Boolean) => Value::Bool(chance.number().is_multiple_of(2)),
        Some(Kind::Integer) => integer(node, chance),
        Some(Kind::Number) => number(node, chance),
        Some(Kind::String) => text(node, chance),
        Some(Kind::Array) => array(schema, node, chance, depth),
        Some(Kind::Object) => {
            let properties = node.properties.iter();
            let object: Map<_, _> = properties
                .map(|(key, property)| (key.clone(), node_value(schema, property, chance, depth + 1)))
                .collect();
            Value::Object(object)
        }
        Some(Kind::Null) | None => Value::Null,
    }
}

fn integer(node: &Node, chance: &mut Chance) -> Value {
    let spread = f64::from(chance.number() % 10);
    let low = node.minimum.map(f64::ceil);
    let high = node.maximum.map(f64::floor);
    let found = match (low, high) {
        (Some(low), Some(high)) => (low + spread).min(high),
        (Some(low), None) => low + spread,
        (None, Some(high)) => high - spread,
        (None, None) => spread,
    };
    // Printing is the exact way from a whole f64 to an integer.
    format!("{found:.0}")
        .parse::<i64>()
        .map_or(Value::Null, Value::from)
}

fn number(node: &Node, chance: &mut Chance) -> Value {
    let share = f64::from(chance.number() % 1000) / 1000.0;
    let low = node
        .minimum
        .unwrap_or_else(|| node.maximum.map_or(0.0, |high| high - 1.0));
    let high = node.maximum.unwrap_or(low + 1.0);
    json!(low + (high - low) * share)
}

fn text(node: &Node, chance: &mut Chance) -> Value {
    let first = NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day of the calendar");
    let date = first + Days::new(u64::from(chance.number() % 365));
    Value::String(match node.format {
        Some(Format::Date) => date.to_string(),
        Some(Format::DateTime) => format!("{date}T12:00:00Z"),
        None => format!("text {:08x}", chance.number()),
    })
}

fn array(schema: &StrictSchema, node: &Node, chance: &mut Chance, depth: usize) -> Value {
    let wanted = usize::from(depth < DEEP);
    let items = node
        .items
        .iter()
        .flat_map(|item| std::iter::repeat_n(item, wanted.max(node.min_items)));
    Value::Array(
        items
            .map(|item| node_value(schema, item, chance, depth + 1))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_length_one_and_depends_on_its_text() {
        let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
        let (a, b) = (unit_vector("bonjour", 1536), unit_vector("bonsoir", 1536));
        assert_eq!((a.len(), b.len()), (1536, 1536));
        assert!((length(&a) - 1.0).abs() < 1e-5 && (length(&b) - 1.0).abs() < 1e-5);
        assert_eq!(a, unit_vector("bonjour", 1536));
        let cosine: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
        assert!(cosine.abs() < 0.2, "unrelated texts, cosine {cosine}");
    }

    #[test]
    fn an_invented_value_fits_its_schema() {
        let schema = StrictSchema::parse(&json!({
            "type": "object",
            "properties": {
                "tree": { "$ref": "#/$defs/tree" },
                "mood": { "type": "string", "enum": ["good", "bad"] },
                "when": { "type": ["string", "null"], "format": "date" },
                "count": { "type": "integer", "minimum": 3, "maximum": 4 },
                "share": { "type": "number", "minimum": 0, "maximum": 1 },
                "list": { "type": "array", "minItems": 2, "items": { "type": "boolean" } }
            },
            "required": ["tree", "mood", "when", "count", "share", "list"],
            "additionalProperties": false,
            "$defs": { "tree": {
                "type": "object",
                "properties": {
                    "name": { "type": "string" },
                    "branches": { "type": "array", "items": { "$ref": "#/$defs/tree" } },
                    "parent": { "anyOf": [{ "$ref": "#/$defs/tree" }, { "type": "null" }] }
                },
                "required": ["name", "branches", "parent"],
                "additionalProperties": false
            } }
        }))
        .unwrap();
        let mut found = Vec::new();
        for prompt in 0..50 {
            let invented = value(&schema, &prompt.to_string());
            schema
                .check(&invented)
                .unwrap_or_else(|error| panic!("{error} in {invented}"));
            assert_eq!(invented, value(&schema, &prompt.to_string()));
            found.push(invented.to_string());
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 50, "each prompt has its own answer");
    }
}
