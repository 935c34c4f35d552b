//! `GET /v1/models`: what is served, and until when.

use super::{ApiError, World};
use crate::registry::ModelEntry;
use serde_json::{Value, json};

/// Every model, by id.
pub(super) fn list(world: &World) -> Value {
    let data: Vec<Value> = world
        .options
        .registry
        .models()
        .map(|entry| describe(world, entry))
        .collect();
    json!({ "object": "list", "data": data })
}

/// One model.
pub(super) fn show(world: &World, id: &str) -> Result<Value, ApiError> {
    let entry = world.options.registry.find_entry(id);
    entry
        .map(|entry| describe(world, entry))
        .ok_or_else(ApiError::unknown_model)
}

/// As the provider has it, with two fields more: the last day and what comes after.
fn describe(world: &World, entry: &ModelEntry) -> Value {
    json!({
        "id": entry.id, "object": "model", "created": world.options.unix_time, "owned_by": "jarvis-fake",
        "shutdown_date": entry.shutdown, "replacement": entry.successor,
    })
}
