//! What the provider puts on the wire, read leniently: unknown fields are ignored, needed ones are checked.

use serde::Deserialize;
use serde_json::Value;

use crate::error::LlmErrorKind;
use crate::seam::Usage;

#[derive(Deserialize)]
pub(super) struct ChatCompletion {
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    pub(super) message: Message,
    pub(super) finish_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
}

/// The reply of `POST /responses`.
#[derive(Deserialize)]
pub(super) struct ModelResponse {
    pub(super) model: Option<String>,
    pub(super) status: Option<String>,
    pub(super) incomplete_details: Option<Incomplete>,
    #[serde(default)]
    pub(super) output: Vec<OutputItem>,
    pub(super) usage: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Incomplete {
    pub(super) reason: Option<String>,
}

/// A message, or something that is none (such as the model's reasoning), which has no content of these types.
#[derive(Deserialize)]
pub(super) struct OutputItem {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) content: Option<Vec<OutputPart>>,
}

#[derive(Deserialize)]
pub(super) struct OutputPart {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct EmbeddingList {
    pub(super) data: Vec<Embedding>,
    pub(super) usage: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Embedding {
    pub(super) index: usize,
    pub(super) embedding: Numbers,
}

/// Base64 was asked for; servers that do not know it send a list.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Numbers {
    Base64(String),
    List(Vec<f32>),
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(alias = "input_tokens")]
    prompt_tokens: u64,
    #[serde(default, alias = "output_tokens")]
    completion_tokens: u64,
    #[serde(alias = "input_tokens_details")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(alias = "output_tokens_details")]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// The usage of a reply; a reply without one is an error, because it would count as free.
pub(super) fn read_usage(usage: Option<&Value>) -> Result<Usage, LlmErrorKind> {
    let usage = usage
        .and_then(|value| WireUsage::deserialize(value).ok())
        .ok_or(LlmErrorKind::UsageMissing)?;
    let cached = usage
        .prompt_tokens_details
        .and_then(|details| details.cached_tokens)
        .unwrap_or(0);
    let reasoning = usage
        .completion_tokens_details
        .and_then(|details| details.reasoning_tokens)
        .unwrap_or(0);
    if cached > usage.prompt_tokens || reasoning > usage.completion_tokens {
        return Err(LlmErrorKind::BadReply(
            "a part of the usage is larger than the whole",
        ));
    }
    Ok(Usage {
        input_tokens: usage.prompt_tokens,
        cached_input_tokens: cached,
        output_tokens: usage.completion_tokens,
        reasoning_tokens: reasoning,
    })
}

/// The short code of an error body, else its type. Its message may quote the prompt and is never read.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
    ["code", "type"]
        .into_iter()
        .filter_map(|key| error.get(key)?.as_str())
        .find(|code| !code.is_empty() && code.len() <= 64 && code.chars().all(plain))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_that_is_absent_or_unreadable_is_not_free() {
        for usage in [
            None,
            Some(json!(null)),
            Some(json!({})),
            Some(json!({ "prompt_tokens": -1 })),
        ] {
            assert_eq!(
                read_usage(usage.as_ref()),
                Err(LlmErrorKind::UsageMissing),
                "{usage:?}"
            );
        }
    }

    #[test]
    fn cached_and_reasoning_tokens_are_parts_of_the_whole() {
        let usage = json!({
            "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": { "cached_tokens": 64 },
            "completion_tokens_details": { "reasoning_tokens": 12 }
        });
        let expected = Usage {
            input_tokens: 100,
            cached_input_tokens: 64,
            output_tokens: 20,
            reasoning_tokens: 12,
        };
        assert_eq!(read_usage(Some(&usage)), Ok(expected));
        let impossible = json!({ "prompt_tokens": 1, "prompt_tokens_details": { "cached_tokens": 2 } });
        assert!(matches!(
            read_usage(Some(&impossible)),
            Err(LlmErrorKind::BadReply(_))
        ));
    }

    #[test]
    fn an_error_code_is_repeated_only_when_it_is_a_code() {
        let code = |body: Value| error_code(body.to_string().as_bytes());
        assert_eq!(
            code(json!({ "error": { "code": "model_not_found" } })).as_deref(),
            Some("model_not_found")
        );
        assert_eq!(
            code(json!({ "error": { "code": 404, "type": "not_found" } })).as_deref(),
            Some("not_found")
        );
        assert_eq!(
            code(json!({ "error": { "code": "my knee hurts", "message": "my knee hurts" } })),
            None
        );
        assert_eq!(error_code(b"<html>"), None);
    }
}
