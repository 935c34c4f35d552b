//! Functions.

use super::KINDS;
use super::swagger::{headline, kind, object, property, reference};
use crate::cache::{Argument, Routine};
use serde_json::{Map, Value, json};

/// How the function is called: by GET too, unless it may write.
pub fn path(routine: &Routine) -> Value {
    let (summary, about) = routine.description.as_deref().map_or((None, None), headline);
    let operation = |parameters: Vec<Value>| {
        let parameters = (!parameters.is_empty()).then_some(parameters);
        object(json!({
            "tags": [format!("(rpc) {}", routine.name.name)],
            "summary": summary,
            "description": about,
            "produces": KINDS[..3],
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
        }))
    };
    let body = json!({"name": "args", "in": "body", "required": true, "schema": arguments(routine)});
    let posted = operation(vec![body, reference("parameters", "preferParams")]);
    if routine.volatile {
        return json!({"post": posted});
    }
    let got = operation(routine.arguments.iter().map(query).collect());
    json!({"get": got, "post": posted})
}

/// All arguments as one object.
fn arguments(routine: &Routine) -> Value {
    let properties: Map<String, Value> = routine
        .arguments
        .iter()
        .map(|argument| (argument.name.clone(), property(&argument.shown)))
        .collect();
    let required: Vec<&str> = routine
        .arguments
        .iter()
        .filter(|argument| argument.required)
        .map(|argument| argument.name.as_str())
        .collect();
    object(json!({
        "type": "object",
        "description": routine.description,
        "properties": (!properties.is_empty()).then_some(properties),
        "required": (!required.is_empty()).then_some(required),
    }))
}

/// An argument in the query string: an array is one text in braces, unless the argument takes all that follow.
fn query(argument: &Argument) -> Value {
    let shown = argument.shown.as_str();
    let mut parameter = json!({"name": argument.name, "in": "query", "required": argument.required});
    if argument.variadic {
        let element = shown.strip_suffix("[]").unwrap_or(shown);
        parameter["type"] = json!(kind(shown).unwrap_or("string"));
        parameter["items"] = object(json!({"type": kind(element), "format": element}));
        parameter["collectionFormat"] = json!("multi");
    } else {
        let kind = kind(shown).filter(|kind| *kind != "array").unwrap_or("string");
        parameter["type"] = json!(kind);
        parameter["format"] = json!(shown);
    }
    parameter
}
