//! `POST /api/v1/sessions/{id}/events`

use super::incoming;
use crate::body::{self, EVENTS_LIMIT, Media};
use crate::caller::{KioskToken, SessionPath};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::words::EventTypeWord;
use axum::Json;
use axum::extract::{Request, State};
use chrono::{DateTime, Utc};
use jarvis_core::{ErrorCode, EventType, SessionId};
use jarvis_memory::sessions::{self, MAX_EVENTS, Recorded, Submitted};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use utoipa::openapi::schema::{AllOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

pub(crate) const ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::InvalidJson,
    ErrorCode::InvalidUtf8,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::RequestTimeout,
    ErrorCode::SessionNotFound,
    ErrorCode::SessionClosed,
    ErrorCode::EventInvalid,
];

/// One thing that happened. Fields that are not listed are ignored.
#[derive(Serialize, ToSchema)]
#[schema(as = EventInput)]
pub(crate) struct EventInput {
    /// What happened.
    #[schema(value_type = EventTypeWord)]
    event_type: EventType,
    /// What was said; for transcripts. At most 20 000 characters.
    #[schema(max_length = 20000)]
    transcript: Option<String>,
    /// The tool's name; for tool events. Letters, digits and `_ . : / -`.
    #[schema(min_length = 1, max_length = 256, pattern = "^[A-Za-z0-9_.:/-]+$")]
    tool_name: Option<String>,
    /// What the tool was asked, at most 64 KiB of JSON.
    tool_args: Option<Value>,
    /// What the tool answered, at most 64 KiB of JSON.
    tool_result: Option<Value>,
    /// The turn's number within the session, from 0.
    #[schema(minimum = 0)]
    turn_number: Option<i32>,
    /// Length of the audio, in milliseconds.
    #[schema(minimum = 0)]
    audio_duration_ms: Option<i32>,
    /// How sure the speech recognition is, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    confidence_score: Option<f64>,
    /// When it happened. The time of arrival is kept when it is absent or impossible: more than a day before the
    /// session began, or more than five minutes ahead.
    timestamp: Option<DateTime<Utc>>,
    /// The sender's own id of the event: the same id again is the same event. Letters, digits and `_ . : / -`.
    #[schema(max_length = 256, pattern = "^[A-Za-z0-9_.:/-]*$")]
    provider_event_id: Option<String>,
}

/// Events in one of the forms that are read: one, a list, or a list in an object. The last two cannot be told from
/// Rust types alone, since an object that has a list `events` is never read as one event.
pub(crate) enum EventsInput {}

impl PartialSchema for EventsInput {
    fn schema() -> RefOr<Schema> {
        let event = || Ref::from_schema_name(EventInput::name());
        let list = || {
            ArrayBuilder::new()
                .items(event())
                .min_items(Some(1))
                .max_items(Some(MAX_EVENTS))
        };
        let no_list = ObjectBuilder::new().property("events", ObjectBuilder::new().schema_type(Type::Null));
        let envelope = ObjectBuilder::new()
            .title(Some("envelope"))
            .description(Some("A list in an object."))
            .property("events", list().description(Some("The events.")))
            .required("events");
        let one = AllOfBuilder::new()
            .title(Some("one"))
            .description(Some("One event."))
            .item(event())
            .item(no_list);
        OneOfBuilder::new()
            .description(Some("Events in one of the forms that are read."))
            .item(one)
            .item(list().title(Some("list")).description(Some("A list of events.")))
            .item(envelope)
            .into()
    }
}

impl ToSchema for EventsInput {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("EventsInput")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((EventInput::name().into_owned(), EventInput::schema()));
        EventInput::schemas(schemas);
    }
}

/// What became of every event.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecordedEvents {
    /// On disk.
    accepted: Vec<Accepted>,
    /// Not stored; the others are.
    rejected: Vec<Rejected>,
    /// Spans about health that were not stored, for want of consent.
    withheld_health_spans: usize,
}

/// An event that is on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedEvent)]
pub(crate) struct Accepted {
    /// Its place in the request, from 0; empty lines do not count.
    index: usize,
    /// Its id; null when it was there already.
    id: Option<Uuid>,
    /// The same `provider_event_id` had been stored before.
    duplicate: bool,
    /// Its time was impossible, and the time of arrival was kept instead.
    timestamp_adjusted: bool,
    /// What was wrong with it all the same: `timestamp_out_of_range`, or null.
    #[schema(example = "timestamp_out_of_range")]
    code: Option<&'static str>,
}

/// An event that was not stored.
#[derive(Serialize, ToSchema)]
#[schema(as = RejectedEvent)]
pub(crate) struct Rejected {
    /// Its place in the request, from 0; empty lines do not count.
    index: usize,
    /// Always `event_invalid`.
    #[schema(example = "event_invalid")]
    code: &'static str,
    /// The field and what it must be; never its value.
    #[schema(example = "turn_number: 0 or more")]
    detail: String,
}

impl From<Recorded> for RecordedEvents {
    fn from(r: Recorded) -> Self {
        let accepted = r.accepted.into_iter().map(|a| Accepted {
            index: a.index,
            id: a.id.map(Uuid::from),
            duplicate: a.duplicate,
            timestamp_adjusted: a.timestamp_adjusted,
            code: a
                .timestamp_adjusted
                .then(|| ErrorCode::TimestampOutOfRange.as_str()),
        });
        let rejected = r.rejected.into_iter().map(|r| Rejected {
            index: r.index,
            code: ErrorCode::EventInvalid.as_str(),
            detail: r.detail,
        });
        Self {
            accepted: accepted.collect(),
            rejected: rejected.collect(),
            withheld_health_spans: r.withheld_health_spans,
        }
    }
}

/// Record what happened in a session of this kiosk.
///
/// One event, a list, `{"events": […]}`, or one event per line as `application/x-ndjson`; at most 5000 events and
/// 8 MiB. What is acknowledged is on disk. Every event is judged on its own: one that is broken never loses the
/// others. When all are broken, the answer is the problem `event_invalid` with the list `rejected`. Late events are
/// taken until ten minutes after the end of the session.
#[utoipa::path(post, path = "/sessions/{id}/events", tag = "kiosk", security(("kiosk" = [])),
    params(("id" = String, Path, description = "The session.")),
    request_body(content(
        (EventsInput = "application/json"),
        (String = "application/x-ndjson", example = "{\"event_type\":\"user_transcript\",\"transcript\":\"Bonjour\"}\n"),
    )),
    responses((status = 200, description = "What became of every event.", body = RecordedEvents)))]
pub(crate) async fn record_events(
    State(state): State<ApiState>,
    kiosk: KioskToken,
    session: Result<SessionPath, Problem>,
    request: Request,
) -> Result<Json<RecordedEvents>, Problem> {
    let (id, submitted) = match read(session, request).await {
        Ok(read) => read,
        Err(problem) => {
            // A kiosk that was revoked hears of that first.
            kiosk.is_active(&state).await?;
            return Err(problem);
        }
    };
    let recorded = sessions::record(&state.memory, &kiosk.identity, &id, submitted).await?;
    let view = RecordedEvents::from(recorded);
    if view.accepted.is_empty() {
        return Err(Problem::new(ErrorCode::EventInvalid).with("rejected", view.rejected));
    }
    Ok(Json(view))
}

async fn read(
    session: Result<SessionPath, Problem>,
    request: Request,
) -> Result<(SessionId, Vec<Submitted>), Problem> {
    let SessionPath(id) = session?;
    let media = Media::of(request.headers());
    let body = body::read(request.into_body(), EVENTS_LIMIT).await?;
    Ok((id, incoming::read(media, &body)?))
}
