//! `POST /v1/chat/completions`.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{Answer, ApiError, World, invent};
use crate::registry::Api;
use crate::schema::StrictSchema;

/// A provider caches prompts from this length on, in steps of [`CACHE_STEP`] tokens.
const CACHE_FROM_TOKENS: usize = 1024;
const CACHE_STEP: usize = 128;

/// A request that was found to be well formed.
struct Asked<'a> {
    model: &'a str,
    /// The first message, which a provider would cache.
    beginning: &'a str,
    /// All messages, one after the other.
    prompt: String,
    schema_name: &'a str,
    schema: StrictSchema,
    limit: Option<usize>,
}

/// What the model says, before it is wrapped.
struct Said {
    content: Option<String>,
    refusal: Option<String>,
    finish_reason: &'static str,
    with_usage: bool,
}

pub(super) fn reply(world: &World, body: &Value) -> Result<Value, ApiError> {
    let asked = read_request(world, body)?;
    let queued = world
        .memory()
        .answers
        .get_mut(asked.schema_name)
        .and_then(VecDeque::pop_front);
    let answer = queued.unwrap_or_else(|| Answer::Json(invent::value(&asked.schema, &asked.prompt)));
    let said = cut(say(answer, &asked.schema)?, asked.limit);
    Ok(envelope(world, &asked, &said))
}

fn read_request<'a>(world: &World, body: &'a Value) -> Result<Asked<'a>, ApiError> {
    let model = body["model"]
        .as_str()
        .ok_or_else(|| ApiError::invalid("model is missing"))?;
    let entry = world
        .options
        .registry
        .find_entry(model)
        .ok_or_else(ApiError::unknown_model)?;
    if entry.api != Api::ChatCompletions {
        return Err(ApiError::unknown_model());
    }
    if body["stream"] == Value::Bool(true) {
        return Err(ApiError::invalid("this server does not stream"));
    }
    let texts = read_messages(&body["messages"])?;
    let (schema_name, schema) = read_schema(&body["response_format"])?;
    let limit = ["max_completion_tokens", "max_tokens"]
        .into_iter()
        .find_map(|field| body[field].as_u64())
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit == Some(0) {
        return Err(ApiError::invalid("the limit of tokens must be at least 1"));
    }
    let prompt = texts.join("\n");
    Ok(Asked {
        model,
        beginning: texts[0],
        prompt,
        schema_name,
        schema,
        limit,
    })
}

/// At least one text.
fn read_messages(messages: &Value) -> Result<Vec<&str>, ApiError> {
    let messages = messages
        .as_array()
        .filter(|messages| !messages.is_empty())
        .ok_or_else(|| ApiError::invalid("messages must be a list that is not empty"))?;
    messages
        .iter()
        .map(|message| {
            if !matches!(
                message["role"].as_str(),
                Some("system" | "developer" | "user" | "assistant")
            ) {
                return Err(ApiError::invalid("a message has an unknown role"));
            }
            message["content"]
                .as_str()
                .ok_or_else(|| ApiError::invalid("a message has no text"))
        })
        .collect()
}

fn read_schema(format: &Value) -> Result<(&str, StrictSchema), ApiError> {
    let wanted = &format["json_schema"];
    if format["type"] != "json_schema" || wanted["strict"] != true {
        return Err(ApiError::invalid("this server answers strict JSON schemas only"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name = wanted["name"]
        .as_str()
        .filter(|name| (1..=64).contains(&name.len()) && name.chars().all(plain))
        .ok_or_else(|| ApiError::invalid("the schema has no valid name"))?;
    let schema = StrictSchema::parse(&wanted["schema"])
        .map_err(|error| ApiError::new(400, "invalid_json_schema", error.to_string()))?;
    Ok((name, schema))
}

fn say(answer: Answer, schema: &StrictSchema) -> Result<Said, ApiError> {
    let mut said = Said {
        content: None,
        refusal: None,
        finish_reason: "stop",
        with_usage: true,
    };
    match answer {
        Answer::Json(value) => said.content = Some(fitting(&value, schema)?),
        Answer::WithoutUsage(value) => {
            said.content = Some(fitting(&value, schema)?);
            said.with_usage = false;
        }
        Answer::Raw(text) => said.content = Some(text),
        Answer::Refusal(text) => said.refusal = Some(text),
        Answer::CutShort => {
            said.content = Some("{".to_owned());
            said.finish_reason = "length";
        }
        Answer::Filtered => said.finish_reason = "content_filter",
    }
    Ok(said)
}

/// A queued answer that does not fit is a mistake in the test that queued it.
fn fitting(value: &Value, schema: &StrictSchema) -> Result<String, ApiError> {
    schema
        .check(value)
        .map_err(|error| ApiError::script(error.to_string()))?;
    Ok(value.to_string())
}

fn cut(mut said: Said, limit: Option<usize>) -> Said {
    if let (Some(content), Some(limit)) = (&mut said.content, limit)
        && count_tokens(content) > limit
    {
        *content = content.chars().take(limit * CHARS_PER_TOKEN).collect();
        said.finish_reason = "length";
    }
    said
}

fn envelope(world: &World, asked: &Asked<'_>, said: &Said) -> Value {
    let id = invent::hex(&asked.prompt, 12);
    let usage = said.with_usage.then(|| usage(world, asked, said));
    let mut completion = json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion",
        "created": world.options.unix_time,
        "model": asked.model,
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": said.content, "refusal": said.refusal, "annotations": []
            },
            "logprobs": null,
            "finish_reason": said.finish_reason,
        }],
        "service_tier": "default",
    });
    if let Some(usage) = usage {
        completion["usage"] = usage;
    }
    completion
}

fn usage(world: &World, asked: &Asked<'_>, said: &Said) -> Value {
    let input = count_tokens(&asked.prompt);
    let output = said
        .content
        .as_deref()
        .or(said.refusal.as_deref())
        .map_or(0, count_tokens);
    let beginning = count_tokens(asked.beginning);
    let seen_before = !world.memory().cached_prompts.insert(asked.beginning.to_owned());
    let cached = if seen_before && beginning >= CACHE_FROM_TOKENS {
        beginning / CACHE_STEP * CACHE_STEP
    } else {
        0
    };
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": cached, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
        },
    })
}

const CHARS_PER_TOKEN: usize = 4;

/// The usual rule of thumb; a real tokenizer would not make a test better.
pub(super) fn count_tokens(text: &str) -> usize {
    text.chars().count().div_ceil(CHARS_PER_TOKEN)
}
