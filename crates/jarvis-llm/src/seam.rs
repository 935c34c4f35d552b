//! The two seams: what the rest of JARVIS may ask of a model, whoever serves it.

use std::fmt;
use std::ops::AddAssign;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::LlmError;
use crate::registry::Role;

/// A boxed future, so that the seams can be used as `Arc<dyn Chat>` and `Arc<dyn Embed>`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks a model for one answer that fits a strict JSON schema.
pub trait Chat: Send + Sync {
    /// Asks once, with the provider's retries, and returns an answer that was checked against the schema.
    ///
    /// # Errors
    /// [`LlmError`]; it never carries a word of the prompt or of the answer.
    fn structured<'a>(
        &'a self,
        request: &'a StructuredRequest,
    ) -> BoxFuture<'a, Result<StructuredReply, LlmError>>;
}

/// Turns texts into vectors.
pub trait Embed: Send + Sync {
    /// Embeds every input; vector `i` belongs to input `i`. No input may be empty.
    ///
    /// # Errors
    /// [`LlmError`]; it never carries a word of the inputs.
    fn embed<'a>(&'a self, inputs: &'a [String]) -> BoxFuture<'a, Result<EmbedReply, LlmError>>;
}

/// One question to a chat model. Its `Debug` prints sizes, never the texts.
#[derive(Clone)]
pub struct StructuredRequest {
    /// What the answer is for; the registry says which model serves it.
    pub role: Role,
    /// The instructions. Keep them byte-stable, so that the provider's prompt cache helps.
    pub system: String,
    /// The material to work on.
    pub user: String,
    /// A name for the schema: 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub schema_name: String,
    /// The strict JSON schema, see [`crate::StrictSchema`].
    pub schema: Value,
    /// The most tokens the answer may cost, reasoning included; at least 1.
    pub max_output_tokens: u32,
}

impl fmt::Debug for StructuredRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StructuredRequest")
            .field("role", &self.role)
            .field("system_bytes", &self.system.len())
            .field("user_bytes", &self.user.len())
            .field("schema_name", &self.schema_name)
            .field("max_output_tokens", &self.max_output_tokens)
            .finish_non_exhaustive()
    }
}

/// An answer that fits the schema. Its `Debug` leaves the answer out.
#[derive(Clone, PartialEq)]
pub struct StructuredReply {
    /// The answer, checked against the schema.
    pub value: Value,
    /// What it cost.
    pub usage: Usage,
    /// The model that was asked, as the registry names it: the key of the price book.
    pub model: String,
    /// The model that answered, as the provider names it (often a dated version of `model`).
    pub served_model: String,
}

impl fmt::Debug for StructuredReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StructuredReply")
            .field("usage", &self.usage)
            .field("model", &self.model)
            .field("served_model", &self.served_model)
            .finish_non_exhaustive()
    }
}

/// The vectors of a call to [`Embed::embed`]. Its `Debug` prints their number alone.
#[derive(Clone, PartialEq)]
pub struct EmbedReply {
    /// One vector per input, in the order of the inputs, all of one dimension, every number finite.
    pub vectors: Vec<Vec<f32>>,
    /// The model that was asked, as the registry names it. Never compare vectors of two models.
    pub model: String,
    /// What it cost, over all batches.
    pub usage: Usage,
}

impl fmt::Debug for EmbedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedReply")
            .field("vectors", &self.vectors.len())
            .field("model", &self.model)
            .field("usage", &self.usage)
            .finish()
    }
}

/// Tokens as the provider counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// The part of `input_tokens` that came from the provider's cache, at a lower price.
    pub cached_input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// The part of `output_tokens` spent on reasoning.
    pub reasoning_tokens: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(other.cached_input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_said_is_not_in_the_debug_output() {
        let request = StructuredRequest {
            role: Role::Extraction,
            system: "secret-instructions".to_owned(),
            user: "my knee hurts".to_owned(),
            schema_name: "facts".to_owned(),
            schema: serde_json::json!({"description": "secret-schema"}),
            max_output_tokens: 10,
        };
        let reply = StructuredReply {
            value: serde_json::json!({"fact": "my knee hurts"}),
            usage: Usage::default(),
            model: "m".to_owned(),
            served_model: "m-1".to_owned(),
        };
        let printed = format!("{request:?} {reply:?}");
        assert!(
            !printed.contains("knee") && !printed.contains("secret"),
            "{printed}"
        );
        assert!(printed.contains("user_bytes: 13"), "{printed}");
    }
}
