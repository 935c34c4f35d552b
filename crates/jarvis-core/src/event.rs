//! What happens in a session.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::str::FromStr;

/// The kind of an event, as in the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// The member begins to speak.
    UserSpeechStart,
    /// The member stops.
    UserSpeechEnd,
    /// What the member said: a user turn.
    UserTranscript,
    /// The assistant begins to speak.
    AiSpeechStart,
    /// The assistant stops.
    AiSpeechEnd,
    /// What the assistant said.
    AiTranscript,
    /// The assistant calls a tool.
    ToolCall,
    /// The tool answers.
    ToolResult,
    /// Something failed during the session.
    Error,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::UserSpeechStart,
        Self::UserSpeechEnd,
        Self::UserTranscript,
        Self::AiSpeechStart,
        Self::AiSpeechEnd,
        Self::AiTranscript,
        Self::ToolCall,
        Self::ToolResult,
        Self::Error,
    ];

    /// As written in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserSpeechStart => "user_speech_start",
            Self::UserSpeechEnd => "user_speech_end",
            Self::UserTranscript => "user_transcript",
            Self::AiSpeechStart => "ai_speech_start",
            Self::AiSpeechEnd => "ai_speech_end",
            Self::AiTranscript => "ai_transcript",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Error => "error",
        }
    }
}

/// Why a text is no event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event type is one of user_speech_start, user_speech_end, user_transcript, ai_speech_start, \
     ai_speech_end, ai_transcript, tool_call, tool_result, error"
)]
pub struct UnknownEventType;

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|t| t.as_str() == text)
            .ok_or(UnknownEventType)
    }
}

/// An event as a kiosk sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// What happened.
    pub event_type: EventType,
    /// What was said; only for transcripts. At most [`NewEvent::MAX_TRANSCRIPT_CHARS`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// The tool's name; only for tool events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// What the tool was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_args: Option<Value>,
    /// What the tool answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_result: Option<Value>,
    /// The turn's number within the session, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_number: Option<i32>,
    /// Length of the audio, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_duration_ms: Option<i32>,
    /// How sure the speech recognition is, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence_score: Option<f64>,
    /// When it happened; the time of arrival when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<DateTime<Utc>>,
    /// The sender's own id of the event: the same id again is the same event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_event_id: Option<String>,
}

impl NewEvent {
    /// The longest transcript that is accepted, in characters (about an hour of speech).
    pub const MAX_TRANSCRIPT_CHARS: usize = 20_000;
}
