//! Events as they arrive: one, a list, `{"events": […]}` or lines. Each is read on its own, so that a broken one
//! never loses the others.

use crate::body::{self, Media, refused};
use crate::fields::{FieldError, Fields, required};
use crate::json::{self, Broken, Fault};
use crate::problem::Problem;
use jarvis_core::{ErrorCode, NewEvent};
use jarvis_memory::sessions::{MAX_EVENTS, Submitted};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads the events of a body. An error means that the body as a whole cannot be told into events.
pub(crate) fn read(media: Media, body: &[u8]) -> Result<Vec<Submitted>, Problem> {
    match media {
        Media::Json => read_json(body),
        Media::NdJson => read_lines(body),
        Media::Compressed | Media::Other => Err(media.unsupported()),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    events: Option<&'a RawValue>,
}

fn read_json(body: &[u8]) -> Result<Vec<Submitted>, Problem> {
    let text = body::text(body)?;
    // Raw values are skipped over without recursion: nothing is too deep to be told apart.
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| refused(Broken::of(&error)))?;
    if !whole.get().starts_with('{') {
        return read_list(whole);
    }
    let envelope: Envelope<'_> =
        serde_json::from_str(whole.get()).map_err(|error| refused(Broken::of(&error)))?;
    match envelope.events {
        Some(list) => read_list(list),
        None => Ok(vec![read_event(whole.get())]),
    }
}

fn read_list(list: &RawValue) -> Result<Vec<Submitted>, Problem> {
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|_| {
        Problem::because(
            ErrorCode::InvalidRequest,
            "must be an event, a list of events, or {\"events\": […]}",
        )
    })?;
    check_count(items.len())?;
    Ok(items.into_iter().map(|item| read_event(item.get())).collect())
}

fn read_lines(body: &[u8]) -> Result<Vec<Submitted>, Problem> {
    let lines = || {
        body.split(|b| *b == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
    };
    check_count(lines().count())?;
    let read = |line| match std::str::from_utf8(line) {
        Ok(text) => read_event(json::without_mark(text)),
        Err(_) => Err("the line is not UTF-8".to_owned()),
    };
    Ok(lines().map(read).collect())
}

fn check_count(count: usize) -> Result<(), Problem> {
    if (1..=MAX_EVENTS).contains(&count) {
        return Ok(());
    }
    let detail = format!("1 to {MAX_EVENTS} events in one request");
    Err(Problem::because(ErrorCode::InvalidRequest, detail))
}

fn read_event(text: &str) -> Submitted {
    let value = json::read(text).map_err(|broken| match broken.fault {
        Fault::Syntax | Fault::TooDeep => {
            format!("must be a JSON object, at most {} levels deep", json::MAX_DEPTH)
        }
        other => format!("not a JSON object as it is read: {}", other.as_str()),
    })?;
    event_of(&mut Fields::of(value)?)
}

/// Fields that we do not know are ignored: kiosks may be newer than the server.
fn event_of(fields: &mut Fields) -> Result<NewEvent, FieldError> {
    Ok(NewEvent {
        event_type: fields.word("event_type")?.ok_or_else(|| required("event_type"))?,
        transcript: fields.text("transcript")?,
        tool_name: fields.text("tool_name")?,
        tool_args: fields.value("tool_args"),
        tool_result: fields.value("tool_result"),
        turn_number: fields.integer("turn_number")?,
        audio_duration_ms: fields.integer("audio_duration_ms")?,
        confidence_score: fields.number("confidence_score")?,
        timestamp: fields.instant("timestamp")?,
        // An empty id is no id; it must not make all events without one the same event.
        provider_event_id: fields.text("provider_event_id")?.filter(|id| !id.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jarvis_core::EventType;

    const SAID: &str = r#"{"event_type": "user_transcript", "transcript": "bonjour", "future_field": [1]}"#;

    fn code(result: Result<Vec<Submitted>, Problem>) -> ErrorCode {
        result.unwrap_err().code()
    }

    #[test]
    fn one_event_a_list_an_envelope_and_lines_are_the_same_to_us() {
        let one = read(Media::Json, SAID.as_bytes()).unwrap();
        assert_eq!(one[0].as_ref().unwrap().event_type, EventType::UserTranscript);
        assert_eq!(read(Media::Json, format!("[{SAID}]").as_bytes()).unwrap(), one);
        assert_eq!(
            read(Media::Json, format!(" {{\"events\": [{SAID}]}} ").as_bytes()).unwrap(),
            one
        );
        assert_eq!(
            read(Media::NdJson, format!("\n{SAID}\r\n\n").as_bytes()).unwrap(),
            one
        );
    }

    #[test]
    fn a_broken_event_never_loses_the_others() {
        let deep = "[".repeat(5_000) + &"]".repeat(5_000);
        let broken = [
            r#"{"event_type": "user_transcript", "transcript": 7}"#.to_owned(),
            r#"{"event_type": "shouting"}"#.to_owned(),
            r#"{"transcript": "x"}"#.to_owned(),
            r#"{"event_type": "user_transcript", "transcript": "\ud800"}"#.to_owned(),
            r#"{"event_type": "error", "confidence_score": 1e999}"#.to_owned(),
            format!(r#"{{"event_type": "error", "tool_args": {deep}}}"#),
            "17".to_owned(),
        ];
        let body = format!("[{SAID},{},{SAID}]", broken.join(","));
        let read = read(Media::Json, body.as_bytes()).unwrap();
        assert_eq!(read.len(), broken.len() + 2);
        let good: Vec<_> = read.iter().map(Result::is_ok).collect();
        assert!(good[0] && good[broken.len() + 1]);
        assert!(good[1..=broken.len()].iter().all(|ok| !ok), "{good:?}");
    }

    #[test]
    fn a_broken_line_never_loses_the_others() {
        let mut body = format!("{SAID}\nnot json\n").into_bytes();
        body.extend(b"{\"event_type\": \"error\", \"transcript\": \"\xff\"}\n");
        body.extend(SAID.as_bytes());
        let read = read(Media::NdJson, &body).unwrap();
        assert_eq!(
            read.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, false, false, true]
        );
        assert_eq!(read[2], Err("the line is not UTF-8".to_owned()));
    }

    #[test]
    fn an_unusable_body_says_what_is_wrong_with_it() {
        assert_eq!(
            code(read(Media::Other, SAID.as_bytes())),
            ErrorCode::UnsupportedMediaType
        );
        assert_eq!(code(read(Media::Json, b"")), ErrorCode::InvalidJson);
        assert_eq!(
            code(read(Media::Json, b"{\"event_type\": ")),
            ErrorCode::InvalidJson
        );
        assert_eq!(code(read(Media::Json, b"[\"\xc3\x28\"]")), ErrorCode::InvalidUtf8);
        assert_eq!(code(read(Media::Json, b"\"text\"")), ErrorCode::InvalidRequest);
        assert_eq!(code(read(Media::Json, b"[]")), ErrorCode::InvalidRequest);
        assert_eq!(
            code(read(Media::Json, b"{\"events\": 5}")),
            ErrorCode::InvalidRequest
        );
        assert_eq!(code(read(Media::NdJson, b"\n \n")), ErrorCode::InvalidRequest);
        let many = format!("[{}1]", "1,".repeat(5_000));
        assert_eq!(
            code(read(Media::Json, many.as_bytes())),
            ErrorCode::InvalidRequest
        );
    }
}
