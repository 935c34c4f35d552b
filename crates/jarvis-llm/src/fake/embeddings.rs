//! `POST /v1/embeddings`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::chat::count_tokens;
use super::{ApiError, World, invent};
use crate::registry::Api;

const MOST_INPUTS: usize = 2048;
/// For a model whose registry entry names no dimension.
const USUAL_DIMENSIONS: usize = 1536;

pub(super) fn reply(world: &World, body: &Value) -> Result<Value, ApiError> {
    let model = body["model"]
        .as_str()
        .ok_or_else(|| ApiError::invalid("model is missing"))?;
    let entry = world
        .options
        .registry
        .find_entry(model)
        .filter(|entry| entry.api == Api::Embeddings)
        .ok_or_else(ApiError::unknown_model)?;
    let dimensions = read_dimensions(&body["dimensions"], entry.dimensions.unwrap_or(USUAL_DIMENSIONS))?;
    let encode: fn(&[f32]) -> Value = match body["encoding_format"].as_str() {
        None | Some("float") => |vector| json!(vector),
        Some("base64") => to_base64,
        Some(_) => return Err(ApiError::invalid("encoding_format is float or base64")),
    };
    let inputs = read_inputs(&body["input"])?;
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = invent::unit_vector(text, dimensions);
            json!({ "object": "embedding", "index": index, "embedding": encode(&vector) })
        })
        .collect();
    let tokens: usize = inputs.iter().map(|text| count_tokens(text)).sum();
    Ok(json!({
        "object": "list", "data": data, "model": model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    }))
}

fn read_dimensions(wanted: &Value, largest: usize) -> Result<usize, ApiError> {
    match wanted {
        Value::Null => Ok(largest),
        wanted => wanted
            .as_u64()
            .and_then(|wanted| usize::try_from(wanted).ok())
            .filter(|wanted| (1..=largest).contains(wanted))
            .ok_or_else(|| ApiError::invalid("dimensions is not between 1 and the size of the model")),
    }
}

fn read_inputs(input: &Value) -> Result<Vec<&str>, ApiError> {
    let items = match input {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    if items.is_empty() || items.len() > MOST_INPUTS {
        return Err(ApiError::invalid("input must hold 1 to 2048 texts"));
    }
    items
        .iter()
        .map(|item| item.as_str().filter(|text| !text.is_empty()))
        .collect::<Option<_>>()
        .ok_or_else(|| ApiError::invalid("an input is not a text, or is empty"))
}

fn to_base64(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    Value::String(STANDARD.encode(bytes))
}
