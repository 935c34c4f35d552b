//! Schemas of the words that fields may hold, made from the words themselves so that they cannot drift.

use jarvis_core::{
    Category, Channel, EndReason, EventType, Language, Life, Purpose, Sentiment, SessionState,
};
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

const LANGUAGES: [Language; 5] = [
    Language::Fr,
    Language::En,
    Language::Es,
    Language::De,
    Language::It,
];
const SENTIMENTS: [Sentiment; 4] = [
    Sentiment::Positive,
    Sentiment::Neutral,
    Sentiment::Negative,
    Sentiment::Mixed,
];

macro_rules! word_schemas {
    ($($type:ident = $name:literal, $description:literal, $words:expr;)+) => {$(
        #[doc = $description]
        pub(crate) struct $type;

        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let words: Vec<&'static str> = $words;
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some(words))
                    .description(Some($description))
                    .into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )+};
}

word_schemas! {
    LanguageWord = "Language", "A language, by its two letters of ISO 639-1.",
        LANGUAGES.map(Language::as_str).to_vec();
    ChannelWord = "Channel", "How the member talks.",
        Channel::ALL.iter().map(|w| w.as_str()).collect();
    KioskChannelWord = "KioskChannel", "A channel by which a kiosk opens sessions.",
        vec![Channel::Voice.as_str(), Channel::Text.as_str()];
    SessionStateWord = "SessionState", "Where a session stands.",
        SessionState::ALL.iter().map(|w| w.as_str()).collect();
    EndReasonWord = "EndReason", "Why a conversation ended.",
        EndReason::ALL.iter().map(|w| w.as_str()).collect();
    EventTypeWord = "EventType", "What happened.",
        EventType::ALL.map(EventType::as_str).to_vec();
    CategoryWord = "Category", "What kind of thing a fact is.",
        Category::ALL.map(Category::as_str).to_vec();
    LifeWord = "FactLife", "Where a fact stands in its life.",
        Life::ALL.map(Life::as_str).to_vec();
    SentimentWord = "Sentiment", "How a member sounded, from the text.",
        SENTIMENTS.map(Sentiment::as_str).to_vec();
    PurposeWord = "Purpose", "A purpose that a member agrees to or refuses on its own.",
        Purpose::ALL.map(Purpose::as_str).to_vec();
}
