//! `POST /chat/completions` with a strict JSON schema.

use serde_json::{Value, json};

use super::wire::{self, ChatCompletion, Choice};
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
            let received = self.post(&["chat", "completions"], &body(model, request)).await?;
            read_reply(&received, model, &schema)
        })
    }
}

fn check_request(model: &ModelEntry, request: &StructuredRequest) -> Result<StrictSchema, LlmErrorKind> {
    if model.api != Api::ChatCompletions {
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
    let content = choice
        .message
        .content
        .filter(|content| !content.trim().is_empty())
        .ok_or(LlmErrorKind::BadReply("the answer is empty"))?;
    let value = serde_json::from_str(&content).map_err(|_| LlmErrorKind::NotJson)?;
    schema.check(&value).map_err(LlmErrorKind::BreaksSchema)?;
    Ok(value)
}
