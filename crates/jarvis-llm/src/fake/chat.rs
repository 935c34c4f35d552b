//! `POST /v1/chat/completions` and `POST /v1/responses`.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{Answer, ApiError, Demand, World, invent};
use crate::registry::Api;
use crate::schema::StrictSchema;

/// A provider caches prompts from this length on, in steps of [`CACHE_STEP`] tokens.
const CACHE_FROM_TOKENS: usize = 1024;
const CACHE_STEP: usize = 128;

/// The name under which an answer in JSON mode is queued: any object, by no schema.
const JSON_OBJECT: &str = "json_object";

/// A request that was found to be well formed.
struct Asked<'a> {
    model: &'a str,
    /// The first message, which a provider would cache.
    beginning: &'a str,
    /// All messages, one after the other.
    prompt: String,
    /// [`JSON_OBJECT`] where no schema is asked for.
    schema_name: &'a str,
    schema: Option<StrictSchema>,
    limit: Option<usize>,
}

/// What the model says, before it is wrapped.
struct Said {
    content: Option<String>,
    refusal: Option<String>,
    finish_reason: &'static str,
    with_usage: bool,
}

pub(super) fn reply(world: &World, body: &Value, demanded: Option<Demand>) -> Result<Value, ApiError> {
    let asked = read_request(world, body)?;
    let said = said(world, &asked, demanded)?;
    Ok(envelope(world, &asked, &said))
}

pub(super) fn reply_response(
    world: &World,
    body: &Value,
    demanded: Option<Demand>,
) -> Result<Value, ApiError> {
    let asked = read_response_request(world, body)?;
    let said = said(world, &asked, demanded)?;
    Ok(response_envelope(world, &asked, &said))
}

/// What the model says: what is demanded, else what was queued, else something that fits.
fn said(world: &World, asked: &Asked<'_>, demanded: Option<Demand>) -> Result<Said, ApiError> {
    let queued = world
        .memory()
        .answers
        .get_mut(asked.schema_name)
        .and_then(VecDeque::pop_front);
    let fitting = || {
        let schema = asked.schema.as_ref();
        schema.map_or_else(|| json!({}), |schema| invent::value(schema, &asked.prompt))
    };
    let answer = match demanded {
        Some(Demand::Refusal) => Answer::Refusal("I cannot help with that.".to_owned()),
        Some(Demand::Length) => Answer::CutShort,
        Some(Demand::Filter) => Answer::Filtered,
        Some(Demand::NotJson) => Answer::Raw("Sure! Here is your JSON:".to_owned()),
        Some(Demand::Nonsense) => Answer::Raw("{\"nonsense\": true}".to_owned()),
        Some(Demand::NoUsage) => Answer::WithoutUsage(fitting()),
        _ => queued.unwrap_or_else(|| Answer::Json(fitting())),
    };
    Ok(cut(say(answer, asked.schema.as_ref())?, asked.limit))
}

fn read_response_request<'a>(world: &World, body: &'a Value) -> Result<Asked<'a>, ApiError> {
    let model = read_model(world, body)?;
    let mut texts: Vec<&str> = body["instructions"].as_str().into_iter().collect();
    match &body["input"] {
        Value::String(text) => texts.push(text),
        messages => texts.extend(read_messages(messages)?),
    }
    let format = &body["text"]["format"];
    let (schema_name, schema) = read_schema(format, format, &texts)?;
    let limit = read_limit(&body["max_output_tokens"])?;
    Ok(Asked {
        model,
        beginning: texts[0],
        prompt: texts.join("\n"),
        schema_name,
        schema,
        limit,
    })
}

fn read_limit(limit: &Value) -> Result<Option<usize>, ApiError> {
    match limit.as_u64() {
        Some(0) => Err(ApiError::invalid("the limit of tokens must be at least 1")),
        limit => Ok(limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))),
    }
}

/// A chat model that is served; both APIs serve all of them.
fn read_model<'a>(world: &World, body: &'a Value) -> Result<&'a str, ApiError> {
    let model = body["model"]
        .as_str()
        .ok_or_else(|| ApiError::invalid("model is missing"))?;
    let entry = world
        .options
        .registry
        .find_entry(model)
        .ok_or_else(ApiError::unknown_model)?;
    if !matches!(entry.api, Api::ChatCompletions | Api::Responses) {
        return Err(ApiError::unknown_model());
    }
    if body["stream"] == Value::Bool(true) {
        return Err(ApiError::invalid("this server does not stream"));
    }
    Ok(model)
}

fn read_request<'a>(world: &World, body: &'a Value) -> Result<Asked<'a>, ApiError> {
    let model = read_model(world, body)?;
    let texts = read_messages(&body["messages"])?;
    let format = &body["response_format"];
    let (schema_name, schema) = read_schema(format, &format["json_schema"], &texts)?;
    let limits = ["max_completion_tokens", "max_tokens"].map(|field| &body[field]);
    let limit = read_limit(
        limits
            .into_iter()
            .find(|limit| !limit.is_null())
            .unwrap_or(&Value::Null),
    )?;
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

fn read_schema<'a>(
    format: &Value,
    wanted: &'a Value,
    texts: &[&str],
) -> Result<(&'a str, Option<StrictSchema>), ApiError> {
    if format["type"] == JSON_OBJECT {
        // OpenAI refuses this mode where no message asks for JSON: the model might write spaces without end.
        if !texts.iter().any(|text| text.to_lowercase().contains("json")) {
            return Err(ApiError::invalid("a message must contain the word json"));
        }
        return Ok((JSON_OBJECT, None));
    }
    if format["type"] != "json_schema" || wanted["strict"] != true {
        return Err(ApiError::invalid(
            "this server answers strict JSON schemas and json_object only",
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name = wanted["name"]
        .as_str()
        .filter(|name| (1..=64).contains(&name.len()) && name.chars().all(plain))
        .ok_or_else(|| ApiError::invalid("the schema has no valid name"))?;
    let schema = StrictSchema::parse(&wanted["schema"])
        .map_err(|error| ApiError::new(400, "invalid_json_schema", error.to_string()))?;
    Ok((name, Some(schema)))
}

fn say(answer: Answer, schema: Option<&StrictSchema>) -> Result<Said, ApiError> {
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
fn fitting(value: &Value, schema: Option<&StrictSchema>) -> Result<String, ApiError> {
    if let Some(schema) = schema {
        schema
            .check(value)
            .map_err(|error| ApiError::script(error.to_string()))?;
    } else if !value.is_object() {
        return Err(ApiError::script("an answer in JSON mode is an object"));
    }
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

/// The envelope of the other API.
fn response_envelope(world: &World, asked: &Asked<'_>, said: &Said) -> Value {
    let id = invent::hex(&asked.prompt, 12);
    let cut = match said.finish_reason {
        "length" => Some("max_output_tokens"),
        "content_filter" => Some("content_filter"),
        _ => None,
    };
    let status = if cut.is_some() { "incomplete" } else { "completed" };
    let content = match (&said.refusal, &said.content) {
        (Some(refusal), _) => vec![json!({ "type": "refusal", "refusal": refusal })],
        (None, Some(text)) => {
            vec![json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })]
        }
        (None, None) => Vec::new(),
    };
    let mut response = json!({
        "id": format!("resp_{id}"),
        "object": "response",
        "created_at": world.options.unix_time,
        "status": status,
        "error": null,
        "incomplete_details": cut.map(|reason| json!({ "reason": reason })),
        "instructions": null, "max_output_tokens": asked.limit, "metadata": {},
        "model": asked.model,
        "output": [{
            "type": "message", "id": format!("msg_{id}"), "status": status, "role": "assistant",
            "content": content,
        }],
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "store": false,
    });
    if said.with_usage {
        let counted = usage(world, asked, said);
        response["usage"] = json!({
            "input_tokens": counted["prompt_tokens"],
            "input_tokens_details": {
                "cached_tokens": counted["prompt_tokens_details"]["cached_tokens"], "cache_write_tokens": 0,
            },
            "output_tokens": counted["completion_tokens"],
            "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": counted["total_tokens"],
        });
    }
    response
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
