//! `POST /api/v1/sessions/{id}/context`

use crate::body::Input;
use crate::caller::{Kiosk, SessionPath};
use crate::fields::{FieldError, Fields, FromFields};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::ContextView;
use axum::Json;
use axum::extract::State;
use jarvis_core::ErrorCode;
use jarvis_memory::context::{self, MAX_WORDS_CHARS};
use utoipa::ToSchema;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::SessionNotFound,
    ErrorCode::SessionClosed,
];

/// What the member says now.
#[derive(Debug, ToSchema)]
#[schema(as = ContextInput)]
pub(crate) struct ContextInput {
    /// Their words, 1 to 20000 characters; of more than 2000 the last 2000 count.
    #[schema(min_length = 1, max_length = 20_000, example = "j'ai encore mal au genou")]
    words: String,
}

impl FromFields for ContextInput {
    const FIELDS: &'static [&'static str] = &["words"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        let words = fields.required_text("words")?;
        if words.trim().is_empty() || words.chars().count() > MAX_WORDS_CHARS || words.contains('\0') {
            return Err(format!("words: 1 to {MAX_WORDS_CHARS} characters"));
        }
        Ok(Self { words })
    }
}

/// What the assistant should know for what the member says now.
///
/// As the context of the opening, with the facts first that have to do with the words, the memories nearest to them, and
/// what was said word for word. It keeps nothing: record the turn as an event. The search has half a second, and the
/// words' meaning .4 s; `notes` tell what is left out when it takes longer. No chat model is asked.
#[utoipa::path(post, path = "/sessions/{id}/context", tag = "kiosk", security(("kiosk" = [])),
    params(("id" = String, Path, description = "The session.")), request_body = ContextInput,
    responses((status = 200, description = "The context.", body = ContextView)))]
pub(crate) async fn context_of_turn(
    State(state): State<ApiState>,
    kiosk: Kiosk,
    SessionPath(id): SessionPath,
    Input(input): Input<ContextInput>,
) -> Result<Json<ContextView>, Problem> {
    let context = context::in_session(&state.memory, &kiosk.identity, &id, &input.words).await?;
    Ok(Json(context.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        for (bad, word) in [
            (json!({}), "words: is required"),
            (json!({"words": " "}), "words: 1 to 20000"),
            (json!({"words": "x".repeat(20_001)}), "words: 1 to 20000"),
            (json!({"words": "x", "k": 1}), "unknown field"),
        ] {
            let error = ContextInput::read(bad).unwrap_err();
            assert!(error.starts_with(word), "{error}");
        }
    }
}
