//! Schemas of the words that fields may hold, made from the words themselves so that they cannot drift.

use jarvis_core::{Category, Channel, EndReason, EventType, Language, Purpose, Sentiment, SessionState};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

const LANGUAGES: [Language; 5] = [Language::Fr, Language::En, Language::Es, Language::De, Language::It];
const SENTIMENTS: [Sentiment; 4] =
    [Sentiment::Positive, Sentiment::Neutral, Sentiment::Negative, Sentiment::Mixed];

fn one_of(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

pub(crate) fn language() -> Object {
    one_of(LANGUAGES.map(Language::as_str))
}

pub(crate) fn channel() -> Object {
    one_of(Channel::ALL.iter().map(|w| w.as_str()))
}

/// The channels by which a kiosk opens sessions.
pub(crate) fn kiosk_channel() -> Object {
    one_of([Channel::Voice.as_str(), Channel::Text.as_str()])
}

pub(crate) fn session_state() -> Object {
    one_of(SessionState::ALL.iter().map(|w| w.as_str()))
}

pub(crate) fn end_reason() -> Object {
    one_of(EndReason::ALL.iter().map(|w| w.as_str()))
}

pub(crate) fn event_type() -> Object {
    one_of(EventType::ALL.map(EventType::as_str))
}

pub(crate) fn category() -> Object {
    one_of(Category::ALL.map(Category::as_str))
}

pub(crate) fn sentiment() -> Object {
    one_of(SENTIMENTS.map(Sentiment::as_str))
}

pub(crate) fn purpose() -> Object {
    one_of(Purpose::ALL.map(Purpose::as_str))
}

pub(crate) fn purposes() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(purpose()).build()
}
