//! `POST /realtime/v1/api/broadcast`: a broadcast of somebody who does not listen, such as a server.

use super::frame::{MAX_NAME_BYTES, Payload};
use super::rights::{Reach, Refused, Room};
use super::{MESSAGE_BYTES, MESSAGES_PER_SECOND, Realtime, answer, refused};
use crate::body;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::num::NonZeroU32;

/// `POST …/broadcast` with `{"messages": [{"topic", "event", "payload"}]}`: all of them, or none.
pub(super) async fn several(State(realtime): State<Realtime>, request: Request) -> Response {
    let (reach, bytes) = match begun(&realtime, request).await {
        Ok(begun) => begun,
        Err(response) => return response,
    };
    let wrong = || {
        answer(
            StatusCode::UNPROCESSABLE_ENTITY,
            "messages: an array of {\"topic\", \"event\", \"payload\"}",
        )
    };
    let Some(body) = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| crate::json::read(text).ok())
    else {
        return wrong();
    };
    let Some(messages) = body["messages"].as_array() else {
        return wrong();
    };
    let mut said = Vec::with_capacity(messages.len());
    for message in messages {
        let (Some(topic), Some(event)) = (message["topic"].as_str(), message["event"].as_str()) else {
            return wrong();
        };
        if event.len() > MAX_NAME_BYTES {
            return wrong();
        }
        match reach.room(topic) {
            Ok(room) => said.push((room, said_as_json(event, &message["payload"]))),
            Err(why) => return denied(why),
        }
    }
    say(&realtime, said)
}

/// `POST …/broadcast/{topic}/events/{event}` with what is said as the body, JSON or bytes.
pub(super) async fn one(
    State(realtime): State<Realtime>,
    Path((topic, event)): Path<(String, String)>,
    request: Request,
) -> Response {
    let as_bytes = is_bytes(request.headers());
    let (reach, bytes) = match begun(&realtime, request).await {
        Ok(begun) => begun,
        Err(response) => return response,
    };
    let room = match reach.room(&topic) {
        Ok(room) => room,
        Err(why) => return denied(why),
    };
    if event.is_empty() || event.len() > MAX_NAME_BYTES {
        let words = format!("event: at most {MAX_NAME_BYTES} bytes");
        return answer(StatusCode::UNPROCESSABLE_ENTITY, &words);
    }
    let payload = if as_bytes {
        Payload::Bytes(event, bytes)
    } else {
        let text = std::str::from_utf8(&bytes).ok();
        match text.and_then(|text| crate::json::read(text).ok()) {
            Some(payload) => said_as_json(&event, &payload),
            None => return answer(StatusCode::UNPROCESSABLE_ENTITY, "the body is no JSON"),
        }
    };
    say(&realtime, vec![(room, payload)])
}

fn is_bytes(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/octet-stream"))
}

fn said_as_json(event: &str, payload: &Value) -> Payload {
    Payload::Json(json!({"type": "broadcast", "event": event, "payload": payload}))
}

/// Who calls, and what they sent.
async fn begun(realtime: &Realtime, request: Request) -> Result<(Reach, Bytes), Response> {
    let (parts, content) = request.into_parts();
    let admitted = realtime.0.keys.admit(&parts.headers).await.map_err(refused)?;
    let reach = Reach::of(&realtime.0.state.memory.db, &admitted)
        .await
        .map_err(denied)?;
    let bytes = body::read(content, MESSAGE_BYTES)
        .await
        .map_err(IntoResponse::into_response)?;
    Ok((reach, bytes.into()))
}

fn denied(why: Refused) -> Response {
    let status = match why {
        Refused::Token(_) | Refused::NotSignedIn => StatusCode::UNAUTHORIZED,
        Refused::NoGym | Refused::OtherGym => StatusCode::FORBIDDEN,
        Refused::GymRequired | Refused::Topic => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    answer(status, &why)
}

fn say(realtime: &Realtime, said: Vec<(Room, Payload)>) -> Response {
    for (gym, count) in counted(&said) {
        let counted = realtime.0.over_http.check_key_n(&gym, count);
        if !matches!(counted, Ok(Ok(()))) {
            let words = format!("at most {MESSAGES_PER_SECOND} messages of a gym per second");
            let mut response = answer(StatusCode::TOO_MANY_REQUESTS, &words);
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            return response;
        }
    }
    for (room, payload) in said {
        realtime.0.rooms.say(&room, None, payload);
    }
    StatusCode::ACCEPTED.into_response()
}

/// How many messages there are for each gym.
fn counted(said: &[(Room, Payload)]) -> Vec<(jarvis_core::GymId, NonZeroU32)> {
    let mut counts: Vec<(jarvis_core::GymId, NonZeroU32)> = Vec::new();
    for ((gym, _), _) in said {
        match counts.iter_mut().find(|(known, _)| known == gym) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => counts.push((*gym, NonZeroU32::MIN)),
        }
    }
    counts
}
