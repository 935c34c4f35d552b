//! `GET` and `POST /api/v1/members/{id}/facts`, `GET /api/v1/members/{id}/facts/history`

use crate::body::Input;
use crate::caller::{Manager, MemberPath, Person};
use crate::fact_views::{FactHistoryView, FactsView, LivingFactView, OwnedFactView, StateFactInput};
use crate::fields::{FieldError, Fields};
use crate::problem::Problem;
use crate::query;
use crate::state::ApiState;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chrono::{DateTime, Days, NaiveDate, Utc};
use jarvis_core::{Actor, ErrorCode, MemberId, Scope};
use jarvis_db::queries::fact::FactFilter;
use jarvis_db::queries::member::{self, Member};
use jarvis_memory::facts;
use utoipa::IntoParams;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::InvalidUtf8,
    ErrorCode::Forbidden,
    ErrorCode::MemberNotFound,
];
pub(crate) const STATE_ERRORS: &[ErrorCode] = &[
    ErrorCode::Forbidden,
    ErrorCode::MemberNotFound,
    ErrorCode::FactValueInvalid,
    ErrorCode::ConsentRequired,
];
pub(crate) const HISTORY_ERRORS: &[ErrorCode] = &[ErrorCode::Forbidden, ErrorCode::MemberNotFound];

/// Which facts.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FactsQuery {
    /// As they were known then: an instant of RFC 3339, or a day, at whose end in the gym's zone. For managers.
    #[param(value_type = Option<String>, format = Date, example = "2026-01-31")]
    as_of: Option<AsOf>,
    /// `true` for those that were retired or expired, too.
    #[param(value_type = Option<bool>)]
    all: bool,
}

/// A moment of the past.
#[derive(Debug, Clone, Copy)]
enum AsOf {
    Instant(DateTime<Utc>),
    Day(NaiveDate),
}

impl AsOf {
    fn read(text: &str) -> Option<Self> {
        let instant = DateTime::parse_from_rfc3339(text).map(|at| Self::Instant(at.with_timezone(&Utc)));
        instant.or_else(|_| text.parse().map(Self::Day)).ok()
    }

    fn of(self, member: &Member) -> Option<DateTime<Utc>> {
        match self {
            Self::Instant(at) => Some(at),
            Self::Day(day) => member.begin_of(day.checked_add_days(Days::new(1))?),
        }
    }
}

const AS_OF_RULE: &str = "as_of: must be a day such as 2026-01-31, or a date and time of RFC 3339";

impl FactsQuery {
    fn read(fields: &mut Fields) -> Result<Self, FieldError> {
        let as_of = match fields.text("as_of")? {
            Some(text) => Some(AsOf::read(&text).ok_or(AS_OF_RULE)?),
            None => None,
        };
        let all = match fields.text("all")?.as_deref() {
            None | Some("false") => false,
            Some("true" | "") => true,
            Some(_) => return Err("all: must be true or false".to_owned()),
        };
        Ok(Self { as_of, all })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for FactsQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut fields = Fields::of_query(query::pairs(parts.uri.query().unwrap_or_default())?);
        Self::read(&mut fields).map_err(invalid)
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::because(ErrorCode::InvalidRequest, detail.into())
}

/// What is remembered of a member. Staff do not see health.
#[utoipa::path(get, path = "/members/{id}/facts", tag = "person", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member."), FactsQuery),
    responses((status = 200, description = "The facts.", body = FactsView)))]
pub(crate) async fn list_facts(
    State(state): State<ApiState>,
    person: Person,
    MemberPath(member): MemberPath,
    query: FactsQuery,
) -> Result<Json<FactsView>, Problem> {
    let found = find(&state, &person.scope(), member).await?;
    let Some(as_of) = query.as_of else {
        let now = state.memory.clock.now();
        let filter = FactFilter {
            include_inactive: query.all,
            most_others: None,
        };
        let facts = facts::read::list(&state.memory, &person.scope(), found.gym_id, member, filter).await?;
        return Ok(Json(FactsView {
            facts: facts.into_iter().map(|f| LivingFactView::of(f, now)).collect(),
        }));
    };
    // The past is read by the server, which sees health.
    if !person.is_manager() {
        return Err(Problem::because(
            ErrorCode::Forbidden,
            "only a manager may do this",
        ));
    }
    let then = as_of.of(&found).ok_or_else(|| invalid(AS_OF_RULE))?;
    let server = Scope::gym(found.gym_id, Actor::User(person.account.id));
    let facts =
        facts::read::list_as_of(&state.memory, &server, found.gym_id, member, then, query.all).await?;
    Ok(Json(FactsView {
        facts: facts
            .into_iter()
            .map(|f| LivingFactView::of_past(f, then))
            .collect(),
    }))
}

/// State a fact; one of the same key is corrected. A person's word wins over what was heard before.
#[utoipa::path(post, path = "/members/{id}/facts", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member.")), request_body = StateFactInput,
    responses((status = 201, description = "It is stored.", body = OwnedFactView)))]
pub(crate) async fn state_fact(
    State(state): State<ApiState>,
    Manager(person): Manager,
    MemberPath(member): MemberPath,
    Input(input): Input<StateFactInput>,
) -> Result<(StatusCode, Json<OwnedFactView>), Problem> {
    let stored = facts::state(&state.memory, &person.scope(), member, &input.into()).await?;
    let view = OwnedFactView::of(stored, state.memory.clock.now());
    Ok((StatusCode::CREATED, Json(view)))
}

/// Every change of a member's facts, refused ones too.
#[utoipa::path(get, path = "/members/{id}/facts/history", tag = "manager", security(("person" = [])),
    params(("id" = Uuid, Path, description = "The member.")),
    responses((status = 200, description = "The changes.", body = FactHistoryView)))]
pub(crate) async fn fact_history(
    State(state): State<ApiState>,
    Manager(person): Manager,
    MemberPath(member): MemberPath,
) -> Result<Json<FactHistoryView>, Problem> {
    let found = find(&state, &person.scope(), member).await?;
    let server = Scope::gym(found.gym_id, Actor::User(person.account.id));
    let lines = facts::read::history(&state.memory, &server, found.gym_id, member).await?;
    Ok(Json(FactHistoryView {
        changes: lines.into_iter().map(Into::into).collect(),
    }))
}

/// The member, if the person's own eyes see them.
async fn find(state: &ApiState, scope: &Scope, member: MemberId) -> Result<Member, Problem> {
    let mut tx = state.memory.db.begin(scope).await?;
    let found = member::find(&mut tx, member).await?;
    found.ok_or_else(|| Problem::new(ErrorCode::MemberNotFound))
}
