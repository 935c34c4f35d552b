//! Phoenix's messages on the wire, in both versions that Supabase's clients speak.
//!
//! Version 1.0.0 is a JSON object. Version 2.0.0 is a JSON array, and broadcasts come as bytes: a kind, the lengths of the
//! parts of the head in one byte each, the parts, and then what was said.

use axum::body::Bytes;
use axum::extract::ws::Message;
use serde_json::{Value, json};

/// Bytes of a client that broadcast.
const USER_PUSH: u8 = 3;
/// Bytes of a server that broadcast.
const USER_BROADCAST: u8 = 4;
/// What is said is JSON, and not just bytes.
const AS_JSON: u8 = 1;
/// Lengths are one byte.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// Which form a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `1.0.0`, also where a client says nothing.
    One,
    /// `2.0.0`.
    Two,
}

impl Version {
    /// The one that a client names in `vsn`.
    pub(super) fn named(vsn: Option<&str>) -> Option<Self> {
        match vsn {
            None | Some("1.0.0") => Some(Self::One),
            Some("2.0.0") => Some(Self::Two),
            Some(_) => None,
        }
    }
}

/// What a client sent.
#[derive(Debug, PartialEq)]
pub(super) struct Push {
    /// Which of its joins it belongs to.
    pub(super) join_ref: Option<String>,
    /// What the reply repeats.
    pub(super) reference: Option<String>,
    pub(super) topic: String,
    pub(super) event: String,
    pub(super) payload: Payload,
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Payload {
    Json(Value),
    /// A broadcast that is only bytes, with its event.
    Bytes(String, Bytes),
}

/// What is no message of Phoenix.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Push {
    /// Reads a message; `None` for those that carry nothing, such as pings.
    pub(super) fn read(version: Version, message: Message) -> Option<Result<Self, Unreadable>> {
        match message {
            Message::Text(text) => Some(Self::from_json(version, &text).ok_or(Unreadable)),
            Message::Binary(bytes) => Some(Self::from_bytes(bytes).ok_or(Unreadable)),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => None,
        }
    }

    fn from_json(version: Version, text: &str) -> Option<Self> {
        let [join_ref, reference, topic, event, payload] = match (version, crate::json::read(text).ok()?) {
            (Version::One, Value::Object(mut object)) => ["join_ref", "ref", "topic", "event", "payload"]
                .map(|name| object.remove(name).unwrap_or_default()),
            (Version::Two, Value::Array(parts)) => parts.try_into().ok()?,
            _ => return None,
        };
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            _ => None,
        };
        let reference_of = |value: Value| match value {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text)),
            Value::Number(number) => Some(Some(number.to_string())),
            _ => None,
        };
        Some(Self {
            join_ref: reference_of(join_ref)?,
            reference: reference_of(reference)?,
            topic: text(topic)?,
            event: text(event)?,
            payload: Payload::Json(payload),
        })
    }

    fn from_bytes(mut bytes: Bytes) -> Option<Self> {
        let head: [u8; 7] = bytes.get(..7)?.try_into().ok()?;
        let [kind, join_ref, reference, topic, event, metadata, encoding] = head;
        let lengths = [join_ref, reference, topic, event, metadata].map(usize::from);
        if kind != USER_PUSH || bytes.len() < 7 + lengths.iter().sum::<usize>() {
            return None;
        }
        let _head = bytes.split_to(7);
        let mut part = |length| String::from_utf8(bytes.split_to(length).to_vec()).ok();
        let [join_ref, reference, topic, event, _metadata] = lengths.map(&mut part);
        let given = |text: Option<String>| text.map(|text| Some(text).filter(|text| !text.is_empty()));
        let event = event?;
        let payload = if encoding == AS_JSON {
            let said = crate::json::read(std::str::from_utf8(&bytes).ok()?).ok()?;
            Payload::Json(json!({"type": "broadcast", "event": event, "payload": said}))
        } else {
            Payload::Bytes(event, bytes)
        };
        Some(Self {
            join_ref: given(join_ref)?,
            reference: given(reference)?,
            topic: topic?,
            event: "broadcast".to_owned(),
            payload,
        })
    }
}

/// What a client is told of a channel.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) join_ref: Option<&'a str>,
    pub(super) reference: Option<&'a str>,
    pub(super) topic: &'a str,
    pub(super) event: &'a str,
    pub(super) payload: &'a Payload,
}

impl Told<'_> {
    /// Writes it; `None` where this version has no form for it: version 1.0.0 has none for bytes.
    pub(super) fn write(&self, version: Version) -> Option<Message> {
        let text = match (self.payload, version) {
            (Payload::Json(payload), Version::One) => json!({
                "join_ref": self.join_ref, "ref": self.reference, "topic": self.topic, "event": self.event,
                "payload": payload,
            }),
            (Payload::Json(payload), Version::Two) => {
                json!([self.join_ref, self.reference, self.topic, self.event, payload])
            }
            (Payload::Bytes(..), Version::One) => return None,
            (Payload::Bytes(event, bytes), Version::Two) => return as_bytes(self.topic, event, bytes),
        };
        Some(Message::Text(text.to_string().into()))
    }
}

fn as_bytes(topic: &str, event: &str, said: &Bytes) -> Option<Message> {
    // No metadata, and bytes that are not JSON.
    let head = [
        USER_BROADCAST,
        u8::try_from(topic.len()).ok()?,
        u8::try_from(event.len()).ok()?,
        0,
        0,
    ];
    let frame = [&head, topic.as_bytes(), event.as_bytes(), said].concat();
    Some(Message::Binary(frame.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pushed(bytes: &[u8]) -> Option<Push> {
        Push::from_bytes(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn both_versions_say_the_same() {
        let one =
            r#"{"topic":"realtime:desk","event":"phx_join","payload":{"a":1},"ref":"2","join_ref":"1"}"#;
        let two = r#"["1","2","realtime:desk","phx_join",{"a":1}]"#;
        let read = Push::from_json(Version::One, one).unwrap();
        assert_eq!(Push::from_json(Version::Two, two).unwrap(), read);
        assert_eq!(
            (read.join_ref.as_deref(), read.reference.as_deref()),
            (Some("1"), Some("2"))
        );
        for wrong in [two, "{}", "[]", "1", r#"{"topic":1,"event":"x"}"#] {
            assert_eq!(Push::from_json(Version::One, wrong), None, "{wrong}");
        }
        for wrong in [one, r#"["1","2","t","e"]"#, r#"["1",[],"t","e",{}]"#] {
            assert_eq!(Push::from_json(Version::Two, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_broadcast_as_bytes_is_read_and_written() {
        let json = pushed(b"\x03\x01\x01\x01\x04\x00\x0112tdone{\"a\":\"\xc3\xa9\"}").unwrap();
        assert_eq!(
            json.payload,
            Payload::Json(json!({"type": "broadcast", "event": "done", "payload": {"a": "é"}}))
        );
        assert_eq!((json.topic.as_str(), json.event.as_str()), ("t", "broadcast"));
        let bytes = pushed(b"\x03\x00\x00\x01\x01\x00\x00te\xff\x00").unwrap();
        assert_eq!(bytes.reference, None);
        let told = Told {
            join_ref: None,
            reference: None,
            topic: "t",
            event: "broadcast",
            payload: &bytes.payload,
        };
        assert_eq!(
            told.write(Version::Two),
            Some(Message::Binary(Bytes::from_static(
                b"\x04\x01\x01\x00\x00te\xff\x00"
            )))
        );
        assert_eq!(told.write(Version::One), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _read = pushed(&bytes);
            let mut begun = vec![USER_PUSH];
            begun.extend(bytes);
            let _read = pushed(&begun);
        }
    }
}
