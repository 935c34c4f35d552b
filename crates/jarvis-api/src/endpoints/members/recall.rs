//! `GET` and `POST /api/v1/members/{id}/recall`

use crate::body::Input;
use crate::caller::{MemberPath, Person};
use crate::fields::{FieldError, Fields, FromFields};
use crate::problem::Problem;
use crate::query;
use crate::state::ApiState;
use crate::views::RecalledView;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use jarvis_core::ErrorCode;
use jarvis_memory::recall::{self, DEFAULT_THRESHOLD, MAX_K, MAX_QUERY_CHARS, RecallQuery};
use std::ops::RangeInclusive;
use utoipa::{IntoParams, ToSchema};

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::InvalidUtf8,
    ErrorCode::MemberNotFound,
];

/// Memories when nobody says how many.
const DEFAULT_K: i32 = 5;

/// A question to memory.
#[derive(Debug, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[schema(as = RecallInput)]
pub(crate) struct RecallInput {
    /// What is asked, 1 to 2000 characters.
    #[schema(min_length = 1, max_length = 2000, example = "mal au genou")]
    #[param(min_length = 1, max_length = 2000, example = "mal au genou")]
    q: String,
    /// At most so many memories; 5 when absent.
    #[schema(minimum = 1, maximum = 50)]
    #[param(minimum = 1, maximum = 50)]
    k: Option<i32>,
    /// Only memories at least this similar; 0.05 when absent. Without effect when recall is by words.
    #[schema(minimum = 0, maximum = 1)]
    #[param(minimum = 0, maximum = 1)]
    threshold: Option<f64>,
}

impl RecallInput {
    fn checked(q: String, k: Option<i32>, threshold: Option<f64>) -> Result<Self, FieldError> {
        let length = q.trim().chars().count();
        if length == 0 || length > MAX_QUERY_CHARS || q.contains('\0') {
            return Err(format!("q: 1 to {MAX_QUERY_CHARS} characters"));
        }
        if k.is_some_and(|k| !(1..=MAX_K).contains(&k)) {
            return Err(format!("k: 1 to {MAX_K}"));
        }
        let whole: RangeInclusive<f64> = 0.0..=1.0;
        if threshold.is_some_and(|t| !whole.contains(&t)) {
            return Err("threshold: 0 to 1".to_owned());
        }
        Ok(Self { q, k, threshold })
    }

    /// The question as the use-case takes it.
    pub(crate) fn into_query(self) -> RecallQuery {
        RecallQuery {
            text: self.q,
            k: self.k.unwrap_or(DEFAULT_K),
            threshold: self.threshold.unwrap_or(DEFAULT_THRESHOLD),
        }
    }
}

impl FromFields for RecallInput {
    const FIELDS: &'static [&'static str] = &["q", "k", "threshold"];

    fn from_fields(fields: &mut Fields) -> Result<Self, FieldError> {
        Self::checked(
            fields.required_text("q")?,
            fields.integer("k")?,
            fields.number("threshold")?,
        )
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RecallInput {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let invalid = |detail: String| Problem::because(ErrorCode::InvalidRequest, detail);
        let mut fields = Fields::of_query(query::pairs(parts.uri.query().unwrap_or_default())?);
        let mut read = || {
            let k = fields.numeric_text("k")?;
            let threshold = fields.numeric_text("threshold")?;
            Self::checked(fields.required_text("q")?, k, threshold)
        };
        read().map_err(invalid)
    }
}

/// What a member said before, nearest to a question.
///
/// Who asks by `GET` leaves the question in the logs of every proxy on the way; `POST` does not.
#[utoipa::path(get, path = "/members/{id}/recall", tag = "person", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member."), RecallInput),
    responses((status = 200, description = "Ranked memories.", body = RecalledView)))]
pub(crate) async fn recall_member(
    State(state): State<ApiState>,
    person: Person,
    MemberPath(member): MemberPath,
    input: RecallInput,
) -> Result<Json<RecalledView>, Problem> {
    let recalled = recall::recall(&state.memory, person.scope(), member, &input.into_query()).await?;
    Ok(Json(recalled.into()))
}

/// What a member said before, nearest to a question.
#[utoipa::path(post, path = "/members/{id}/recall", tag = "person", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member.")), request_body = RecallInput,
    responses((status = 200, description = "Ranked memories.", body = RecalledView)))]
pub(crate) async fn ask_member_memory(
    State(state): State<ApiState>,
    person: Person,
    MemberPath(member): MemberPath,
    Input(input): Input<RecallInput>,
) -> Result<Json<RecalledView>, Problem> {
    let recalled = recall::recall(&state.memory, person.scope(), member, &input.into_query()).await?;
    Ok(Json(recalled.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        for (bad, word) in [
            (json!({}), "q: is required"),
            (json!({"q": "  "}), "q: 1 to 2000"),
            (json!({"q": "x".repeat(2_001)}), "q: 1 to 2000"),
            (json!({"q": "x", "k": 0}), "k: 1 to 50"),
            (json!({"q": "x", "k": 51}), "k: 1 to 50"),
            (json!({"q": "x", "threshold": 1.5}), "threshold: 0 to 1"),
            (json!({"q": "x", "limit": 1}), "unknown field"),
        ] {
            let error = RecallInput::read(bad).unwrap_err();
            assert!(error.starts_with(word), "{error}");
        }
        let query = RecallInput::read(json!({"q": "genou"})).unwrap().into_query();
        assert_eq!((query.k, query.threshold), (5, DEFAULT_THRESHOLD));
        assert!(RecallInput::checked("x".into(), None, Some(f64::NAN)).is_err());
    }
}
