//! The strict subset of JSON Schema that providers enforce, and the check that an answer fits it.
//!
//! In the subset every object lists all its properties as required and forbids others. A keyword that cannot be
//! checked here is refused when the schema is read, so that no rule of a schema is silently left unchecked.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

/// Deeper answers are refused; it also ends a reference that leads to itself.
const MAX_DEPTH: usize = 64;

/// A rule that a schema or an answer breaks. It names places and rules of the schema, never a word of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {rule}")]
pub struct SchemaError {
    /// Where, such as `$.facts[2].category`; names come from the schema.
    pub path: String,
    /// The broken rule.
    pub rule: &'static str,
}

/// A schema that was found to be strict.
#[derive(Debug, Clone)]
pub struct StrictSchema {
    root: Node,
    definitions: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Date,
    DateTime,
}

/// One place of a schema.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) allowed: Option<Vec<Value>>,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) any_of: Vec<Node>,
    /// `Some("")` is the root.
    pub(crate) reference: Option<String>,
    pub(crate) format: Option<Format>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    exclusive_minimum: Option<f64>,
    exclusive_maximum: Option<f64>,
    pub(crate) min_items: usize,
    max_items: Option<usize>,
}

/// The place being read or checked; a list on the stack, printed only for an error.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("$"),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl Place<'_> {
    fn breaks(&self, rule: &'static str) -> SchemaError {
        SchemaError {
            path: self.to_string(),
            rule,
        }
    }
}

impl StrictSchema {
    /// Reads a schema and checks that it is strict.
    ///
    /// # Errors
    /// [`SchemaError`] names the first place outside the strict subset.
    pub fn parse(schema: &Value) -> Result<Self, SchemaError> {
        let root_place = Place::Root;
        let root = Node::read(schema, &root_place)?;
        if root.kinds != [Kind::Object] || !root.any_of.is_empty() || root.reference.is_some() {
            return Err(root_place.breaks("the root must be an object"));
        }
        let mut definitions = BTreeMap::new();
        if let Some(found) = schema.get("$defs") {
            let place = Place::Key(&root_place, "$defs");
            let found = found
                .as_object()
                .ok_or_else(|| place.breaks("must be an object"))?;
            for (name, definition) in found {
                definitions.insert(name.clone(), Node::read(definition, &Place::Key(&place, name))?);
            }
        }
        let schema = Self { root, definitions };
        schema.root.check_references(&schema.definitions, &root_place)?;
        for (name, node) in &schema.definitions {
            node.check_references(&schema.definitions, &Place::Key(&root_place, name))?;
        }
        Ok(schema)
    }

    /// Checks an answer.
    ///
    /// # Errors
    /// [`SchemaError`] names the first rule the answer breaks.
    pub fn check(&self, value: &Value) -> Result<(), SchemaError> {
        self.check_node(&self.root, value, &Place::Root, 0)
    }

    #[cfg(feature = "fake")]
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    pub(crate) fn resolve(&self, reference: &str) -> Option<&Node> {
        if reference.is_empty() {
            Some(&self.root)
        } else {
            self.definitions.get(reference)
        }
    }

    fn check_node(
        &self,
        node: &Node,
        value: &Value,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), SchemaError> {
        if depth > MAX_DEPTH {
            return Err(place.breaks("is nested too deeply"));
        }
        if let Some(reference) = &node.reference {
            let target = self
                .resolve(reference)
                .ok_or_else(|| place.breaks("refers to nothing"))?;
            self.check_node(target, value, place, depth + 1)?;
        }
        if !node.any_of.is_empty()
            && !node
                .any_of
                .iter()
                .any(|option| self.check_node(option, value, place, depth + 1).is_ok())
        {
            return Err(place.breaks("fits none of the alternatives"));
        }
        if !node.kinds.is_empty() && !node.kinds.iter().any(|kind| kind.holds(value)) {
            return Err(place.breaks("has the wrong type"));
        }
        if node
            .allowed
            .as_ref()
            .is_some_and(|allowed| !allowed.contains(value))
        {
            return Err(place.breaks("is not one of the allowed values"));
        }
        match value {
            Value::Number(number) => node.check_number(number.as_f64(), place),
            Value::String(text) => node.check_text(text, place),
            Value::Array(items) => self.check_items(node, items, place, depth),
            Value::Object(object) => self.check_object(node, object, place, depth),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn check_items(
        &self,
        node: &Node,
        items: &[Value],
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), SchemaError> {
        if items.len() < node.min_items {
            return Err(place.breaks("has too few items"));
        }
        if node.max_items.is_some_and(|most| items.len() > most) {
            return Err(place.breaks("has too many items"));
        }
        let Some(item_node) = &node.items else {
            return Ok(());
        };
        items.iter().enumerate().try_for_each(|(index, item)| {
            self.check_node(item_node, item, &Place::Index(place, index), depth + 1)
        })
    }

    fn check_object(
        &self,
        node: &Node,
        object: &Map<String, Value>,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), SchemaError> {
        // A node without the type object (a bare anyOf or $ref) leaves its objects to its branches.
        if !node.kinds.contains(&Kind::Object) {
            return Ok(());
        }
        for (key, property) in &node.properties {
            let place = Place::Key(place, key);
            let value = object.get(key).ok_or_else(|| place.breaks("is missing"))?;
            self.check_node(property, value, &place, depth + 1)?;
        }
        // The name of the surplus property is a word of the answer: it stays out of the error.
        if object.len() > node.properties.len() {
            return Err(place.breaks("has a property that the schema does not know"));
        }
        Ok(())
    }
}

impl Kind {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

impl Node {
    fn read(schema: &Value, place: &Place<'_>) -> Result<Self, SchemaError> {
        let object = schema
            .as_object()
            .ok_or_else(|| place.breaks("a schema must be an object"))?;
        let mut node = Self::default();
        for (keyword, value) in object {
            node.read_keyword(keyword, value, &Place::Key(place, keyword))?;
        }
        if node.kinds.contains(&Kind::Object) {
            check_closed(object, place)?;
        } else if object.contains_key("properties") {
            return Err(place.breaks("has properties and is not an object"));
        }
        if node.kinds.contains(&Kind::Array) && node.items.is_none() {
            return Err(place.breaks("an array must say what its items are"));
        }
        let says_something = !node.kinds.is_empty()
            || node.allowed.is_some()
            || !node.any_of.is_empty()
            || node.reference.is_some();
        if says_something {
            Ok(node)
        } else {
            Err(place.breaks("says nothing about the value"))
        }
    }

    fn read_keyword(&mut self, keyword: &str, value: &Value, place: &Place<'_>) -> Result<(), SchemaError> {
        match keyword {
            "type" => self.kinds = read_kinds(value, place)?,
            "enum" => self.allowed = Some(read_list(value, place)?.to_vec()),
            "const" => self.allowed = Some(vec![value.clone()]),
            "properties" => {
                let found = value
                    .as_object()
                    .ok_or_else(|| place.breaks("must be an object"))?;
                for (name, property) in found {
                    self.properties
                        .insert(name.clone(), Self::read(property, &Place::Key(place, name))?);
                }
            }
            "items" => self.items = Some(Box::new(Self::read(value, place)?)),
            "anyOf" => {
                for (index, option) in read_list(value, place)?.iter().enumerate() {
                    self.any_of.push(Self::read(option, &Place::Index(place, index))?);
                }
            }
            "$ref" => self.reference = Some(read_reference(value, place)?),
            "format" => {
                self.format = Some(match value.as_str() {
                    Some("date") => Format::Date,
                    Some("date-time") => Format::DateTime,
                    _ => return Err(place.breaks("only the formats date and date-time are checked")),
                });
            }
            "minimum" => self.minimum = Some(read_number(value, place)?),
            "maximum" => self.maximum = Some(read_number(value, place)?),
            "exclusiveMinimum" => self.exclusive_minimum = Some(read_number(value, place)?),
            "exclusiveMaximum" => self.exclusive_maximum = Some(read_number(value, place)?),
            "minItems" => self.min_items = read_count(value, place)?,
            "maxItems" => self.max_items = Some(read_count(value, place)?),
            // Read with the whole object, or words for the model alone.
            "required" | "additionalProperties" | "$defs" | "title" | "description" => {}
            _ => return Err(place.breaks("this keyword is not in the strict subset")),
        }
        Ok(())
    }

    fn check_references(
        &self,
        definitions: &BTreeMap<String, Node>,
        place: &Place<'_>,
    ) -> Result<(), SchemaError> {
        if self
            .reference
            .as_ref()
            .is_some_and(|name| !name.is_empty() && !definitions.contains_key(name))
        {
            return Err(place.breaks("refers to nothing"));
        }
        for (key, property) in &self.properties {
            property.check_references(definitions, &Place::Key(place, key))?;
        }
        self.items
            .as_deref()
            .into_iter()
            .chain(&self.any_of)
            .try_for_each(|node| node.check_references(definitions, place))
    }

    fn check_number(&self, number: Option<f64>, place: &Place<'_>) -> Result<(), SchemaError> {
        let number = number.ok_or_else(|| place.breaks("is not a finite number"))?;
        let too_small = self.minimum.is_some_and(|least| number < least)
            || self.exclusive_minimum.is_some_and(|least| number <= least);
        let too_large = self.maximum.is_some_and(|most| number > most)
            || self.exclusive_maximum.is_some_and(|most| number >= most);
        if too_small || too_large {
            Err(place.breaks("is out of range"))
        } else {
            Ok(())
        }
    }

    fn check_text(&self, text: &str, place: &Place<'_>) -> Result<(), SchemaError> {
        let fits = match self.format {
            None => true,
            Some(Format::Date) => chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
            Some(Format::DateTime) => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        };
        if fits {
            Ok(())
        } else {
            Err(place.breaks("is not a valid date"))
        }
    }
}

/// All properties required, no others allowed: what makes an object strict.
fn check_closed(object: &Map<String, Value>, place: &Place<'_>) -> Result<(), SchemaError> {
    if object.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err(place.breaks("additionalProperties must be false"));
    }
    let no_properties = Map::new();
    let properties = object
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&no_properties);
    let required = object
        .get("required")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let all_listed = properties
        .keys()
        .all(|key| required.iter().any(|name| name == key));
    let all_known = required
        .iter()
        .all(|name| name.as_str().is_some_and(|name| properties.contains_key(name)));
    if all_listed && all_known {
        Ok(())
    } else {
        Err(place.breaks("required must list every property"))
    }
}

fn read_kinds(value: &Value, place: &Place<'_>) -> Result<Vec<Kind>, SchemaError> {
    let names = match value {
        Value::String(_) => std::slice::from_ref(value),
        other => read_list(other, place)?,
    };
    names
        .iter()
        .map(|name| {
            name.as_str()
                .and_then(Kind::read)
                .ok_or_else(|| place.breaks("is not a type"))
        })
        .collect()
}

fn read_list<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v [Value], SchemaError> {
    match value.as_array() {
        Some(list) if !list.is_empty() => Ok(list),
        _ => Err(place.breaks("must be a list that is not empty")),
    }
}

fn read_reference(value: &Value, place: &Place<'_>) -> Result<String, SchemaError> {
    match value.as_str() {
        Some("#") => Some(String::new()),
        Some(path) => path.strip_prefix("#/$defs/").map(str::to_owned),
        None => None,
    }
    .ok_or_else(|| place.breaks("must be # or #/$defs/NAME"))
}

fn read_number(value: &Value, place: &Place<'_>) -> Result<f64, SchemaError> {
    value.as_f64().ok_or_else(|| place.breaks("must be a number"))
}

fn read_count(value: &Value, place: &Place<'_>) -> Result<usize, SchemaError> {
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| place.breaks("must be a count"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts() -> Value {
        json!({
            "type": "object",
            "properties": {
                "facts": { "type": "array", "maxItems": 2, "items": { "$ref": "#/$defs/fact" } },
                "until": { "type": ["string", "null"], "format": "date" }
            },
            "required": ["facts", "until"],
            "additionalProperties": false,
            "$defs": { "fact": {
                "type": "object",
                "properties": {
                    "category": { "type": "string", "enum": ["injury", "goal"] },
                    "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
                    "source": { "anyOf": [{ "type": "integer" }, { "type": "null" }] }
                },
                "required": ["category", "confidence", "source"],
                "additionalProperties": false
            } }
        })
    }

    fn fact(category: &str, confidence: f64) -> Value {
        json!({ "category": category, "confidence": confidence, "source": null })
    }

    #[test]
    fn an_answer_that_fits_passes() {
        let schema = StrictSchema::parse(&facts()).unwrap();
        schema
            .check(&json!({ "facts": [fact("goal", 1.0)], "until": "2026-02-28" }))
            .unwrap();
        schema.check(&json!({ "facts": [], "until": null })).unwrap();
    }

    #[test]
    fn each_broken_rule_is_named_with_its_place() {
        let schema = StrictSchema::parse(&facts()).unwrap();
        let cases = [
            (json!([]), "$: has the wrong type"),
            (json!({ "facts": [] }), "$.until: is missing"),
            (
                json!({ "facts": [], "until": "2026-02-30" }),
                "$.until: is not a valid date",
            ),
            (
                json!({ "facts": 1, "until": null }),
                "$.facts: has the wrong type",
            ),
            (
                json!({ "facts": [fact("goal", 0.5), fact("love", 0.5)], "until": null }),
                "$.facts[1].category: is not one of the allowed values",
            ),
            (
                json!({ "facts": [fact("goal", 1.5)], "until": null }),
                "$.facts[0].confidence: is out of range",
            ),
            (
                json!({ "facts": [{ "category": "goal", "confidence": 1, "source": 1.5 }], "until": null }),
                "$.facts[0].source: fits none of the alternatives",
            ),
            (
                json!({ "facts": [fact("goal", 0.1), fact("goal", 0.2), fact("goal", 0.3)], "until": null }),
                "$.facts: has too many items",
            ),
        ];
        for (answer, expected) in cases {
            assert_eq!(schema.check(&answer).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_surplus_property_is_refused_without_repeating_its_name() {
        let schema = StrictSchema::parse(&facts()).unwrap();
        let error = schema
            .check(&json!({ "facts": [], "until": null, "my knee hurts": 1 }))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "$: has a property that the schema does not know"
        );
    }

    #[test]
    fn a_schema_that_is_not_strict_is_refused() {
        let closed = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
        let text = || json!({ "type": "string" });
        let cases = [
            (
                json!({ "type": "array", "items": text() }),
                "$: the root must be an object",
            ),
            (
                json!({ "type": "object", "properties": {}, "required": [] }),
                "$: additionalProperties must be false",
            ),
            (
                closed(json!({ "a": text() }), json!([])),
                "$: required must list every property",
            ),
            (
                closed(json!({}), json!(["a"])),
                "$: required must list every property",
            ),
            (
                closed(json!({ "a": { "type": "string", "pattern": "x" } }), json!(["a"])),
                "$.properties.a.pattern: this keyword is not in the strict subset",
            ),
            (
                closed(json!({ "a": {} }), json!(["a"])),
                "$.properties.a: says nothing about the value",
            ),
            (
                closed(json!({ "a": { "$ref": "#/$defs/b" } }), json!(["a"])),
                "$.a: refers to nothing",
            ),
            (
                closed(json!({ "a": { "type": "text" } }), json!(["a"])),
                "$.properties.a.type: is not a type",
            ),
            (
                closed(json!({ "a": { "type": "array" } }), json!(["a"])),
                "$.properties.a: an array must say what its items are",
            ),
        ];
        for (schema, expected) in cases {
            assert_eq!(StrictSchema::parse(&schema).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_reference_to_itself_ends() {
        let schema = StrictSchema::parse(&json!({
            "type": "object", "properties": { "a": { "$ref": "#/$defs/loop" } }, "required": ["a"],
            "additionalProperties": false, "$defs": { "loop": { "$ref": "#/$defs/loop" } }
        }))
        .unwrap();
        assert_eq!(
            schema.check(&json!({ "a": 1 })).unwrap_err().rule,
            "is nested too deeply"
        );
    }
}
