//! A strict answer, by `POST /chat/completions` or by `POST /responses`.

use serde_json::{Value, json};

use super::wire::{self, ChatCompletion, Choice, ModelResponse};
use super::{OpenAi, Received};
use crate::error::{LlmError, LlmErrorKind};
use crate::registry::{Api, ModelEntry, OutputLimitField};
use crate::schema::StrictSchema;
use crate::seam::{BoxFuture, Chat, StructuredReply, StructuredRequest, Usage};

impl Chat for OpenAi {
    fn structured<'a>(
        &'a self,
        request: &'a StructuredRequest,
    ) -> BoxFuture<'a, Result<StructuredReply, LlmError>> {
        Box::pin(async move {
            let model = self.model(request.role)?;
            let schema = check_request(model, request).map_err(LlmError::new)?;
            if model.api == Api::Responses {
                let received = self.post(&["responses"], &response_body(model, request)).await?;
                return read_response(&received, model, &schema);
            }
            let received = self.post(&["chat", "completions"], &body(model, request)).await?;
            read_reply(&received, model, &schema)
        })
    }
}

fn check_request(model: &ModelEntry, request: &StructuredRequest) -> Result<StrictSchema, LlmErrorKind> {
    if !matches!(model.api, Api::ChatCompletions | Api::Responses) {
        return Err(LlmErrorKind::NoModel {
            role: request.role.name(),
        });
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name = &request.schema_name;
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(LlmErrorKind::InvalidRequest(
            "a schema name is 1 to 64 of a-z A-Z 0-9 _ -",
        ));
    }
    if request.max_output_tokens == 0 {
        return Err(LlmErrorKind::InvalidRequest(
            "the answer may cost no token at all",
        ));
    }
    StrictSchema::parse(&request.schema).map_err(LlmErrorKind::InvalidSchema)
}

fn body(model: &ModelEntry, request: &StructuredRequest) -> Value {
    let limit_field = match model.output_limit {
        OutputLimitField::MaxCompletionTokens => "max_completion_tokens",
        OutputLimitField::MaxTokens => "max_tokens",
    };
    json!({
        "model": model.id,
        "store": false,
        limit_field: request.max_output_tokens,
        "messages": [
            { "role": "system", "content": request.system },
            { "role": "user", "content": request.user },
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": { "name": request.schema_name, "strict": true, "schema": request.schema },
        },
    })
}

fn read_reply(
    received: &Received,
    model: &ModelEntry,
    schema: &StrictSchema,
) -> Result<StructuredReply, LlmError> {
    // The parser's own error quotes what it read, so it is dropped.
    let completion: ChatCompletion = serde_json::from_slice(&received.body)
        .map_err(|_| received.fails(LlmErrorKind::BadReply("not a chat completion")))?;
    let usage = wire::read_usage(completion.usage.as_ref());
    let known_usage: Option<Usage> = usage.as_ref().ok().copied();
    let fails = |kind| received.fails(kind).billed(known_usage);
    let choice = completion
        .choices
        .into_iter()
        .next()
        .ok_or_else(|| fails(LlmErrorKind::BadReply("no choice in the completion")))?;
    let value = read_answer(choice, schema).map_err(fails)?;
    Ok(StructuredReply {
        value,
        usage: usage.map_err(fails)?,
        model: model.id.clone(),
        served_model: completion.model.unwrap_or_else(|| model.id.clone()),
    })
}

fn response_body(model: &ModelEntry, request: &StructuredRequest) -> Value {
    json!({
        "model": model.id,
        "store": false,
        "max_output_tokens": request.max_output_tokens,
        "instructions": request.system,
        "input": [{ "role": "user", "content": request.user }],
        "text": {
            "format": {
                "type": "json_schema", "name": request.schema_name, "strict": true, "schema": request.schema,
            },
        },
    })
}

fn read_response(
    received: &Received,
    model: &ModelEntry,
    schema: &StrictSchema,
) -> Result<StructuredReply, LlmError> {
    // The parser's own error quotes what it read, so it is dropped.
    let response: ModelResponse = serde_json::from_slice(&received.body)
        .map_err(|_| received.fails(LlmErrorKind::BadReply("not a response")))?;
    let usage = wire::read_usage(response.usage.as_ref());
    let known_usage: Option<Usage> = usage.as_ref().ok().copied();
    let fails = |kind| received.fails(kind).billed(known_usage);
    let served_model = response.model.clone();
    let value = read_output(response, schema).map_err(fails)?;
    Ok(StructuredReply {
        value,
        usage: usage.map_err(fails)?,
        model: model.id.clone(),
        served_model: served_model.unwrap_or_else(|| model.id.clone()),
    })
}

fn read_output(response: ModelResponse, schema: &StrictSchema) -> Result<Value, LlmErrorKind> {
    let messages = response.output.into_iter().filter(|item| item.kind == "message");
    let parts: Vec<_> = messages.filter_map(|item| item.content).flatten().collect();
    if parts
        .iter()
        .any(|part| part.kind == "refusal" && part.refusal.as_deref().is_some_and(|text| !text.is_empty()))
    {
        return Err(LlmErrorKind::Refused);
    }
    let why = response.incomplete_details.and_then(|details| details.reason);
    match (response.status.as_deref(), why.as_deref()) {
        (Some("completed"), _) => {}
        (Some("incomplete"), Some("content_filter")) => return Err(LlmErrorKind::Filtered),
        (Some("incomplete"), Some("max_output_tokens")) => return Err(LlmErrorKind::CutShort),
        _ => return Err(LlmErrorKind::BadReply("the answer did not end by itself")),
    }
    let texts = parts.into_iter().filter(|part| part.kind == "output_text");
    let content: String = texts.filter_map(|part| part.text).collect();
    checked(&content, schema)
}

fn read_answer(choice: Choice, schema: &StrictSchema) -> Result<Value, LlmErrorKind> {
    if choice.message.refusal.is_some_and(|refusal| !refusal.is_empty()) {
        return Err(LlmErrorKind::Refused);
    }
    match choice.finish_reason.as_deref() {
        Some("stop") => {}
        Some("length") => return Err(LlmErrorKind::CutShort),
        Some("content_filter") => return Err(LlmErrorKind::Filtered),
        _ => return Err(LlmErrorKind::BadReply("the answer did not end by itself")),
    }
    checked(&choice.message.content.unwrap_or_default(), schema)
}

/// The answer itself, if it is what was asked for.
fn checked(content: &str, schema: &StrictSchema) -> Result<Value, LlmErrorKind> {
    if content.trim().is_empty() {
        return Err(LlmErrorKind::BadReply("the answer is empty"));
    }
    let value = serde_json::from_str(content).map_err(|_| LlmErrorKind::NotJson)?;
    schema.check(&value).map_err(LlmErrorKind::BreaksSchema)?;
    Ok(value)
}
