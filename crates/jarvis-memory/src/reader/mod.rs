//! A model of a provider reads conversations, in gyms that allow it. What it cannot or will not read, the rules read.

mod answer;
mod question;

pub(crate) use answer::Reading;

use crate::extract::Turn;
use crate::{Memory, MemoryError, Spent, spending};
use chrono::NaiveDate;
use jarvis_core::{GymId, Language, SessionId};
use jarvis_llm::{Breaker, Chat, LlmError, LlmErrorKind, StructuredReply};
use jarvis_observe::cost::ModelUse;
use jarvis_observe::provider::note_call;
use std::fmt;
use tokio::time::{Instant, timeout_at};

/// What of a conversation is shown to a model at most, in characters: some three hours of talk. A longer one is read by
/// the rules.
const MOST_CHARS: usize = 100_000;
/// What a call is for, in the metrics.
const USE: &str = "extraction";

/// Why the rules read a conversation that a model should have read, beside the codes of the provider's errors.
pub mod degraded {
    /// The server was started without a model that reads conversations.
    pub const NO_MODEL: &str = "no_model";
    /// The conversation is longer than what a model is shown.
    pub const TOO_LONG: &str = "too_long";
    /// The answer fits its schema and makes no sense.
    pub const NONSENSE: &str = "nonsense";
    /// The answer tries to steer the assistant.
    pub const STEERS: &str = "steers";
}

/// A model that reads conversations.
pub struct Reader {
    /// Who serves it, for the ledger of usage, such as `openai`.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// The client, behind `breaker`.
    pub client: Box<dyn Chat>,
    /// Whether the provider is left alone at the moment.
    pub breaker: Breaker,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({})", self.model)
    }
}

/// A conversation, as a model is asked about it.
pub(crate) struct Conversation<'a> {
    pub(crate) gym: GymId,
    pub(crate) session: &'a SessionId,
    pub(crate) turns: &'a [Turn],
    pub(crate) language: Language,
    /// The day of the conversation in the gym's zone.
    pub(crate) day: NaiveDate,
    /// Whether the member agreed to `health_memory`.
    pub(crate) health: bool,
}

/// What the model reads in a conversation before `until`, or the stable code of why the rules must.
///
/// # Errors
/// Only when what it cost cannot be written down: the next try asks again.
pub(crate) async fn read(
    memory: &Memory,
    talk: &Conversation<'_>,
    until: Instant,
) -> Result<Result<Reading, &'static str>, MemoryError> {
    let Some(reader) = &memory.reader else {
        return Ok(Err(degraded::NO_MODEL));
    };
    let Some(question) = question::question(talk.turns, talk.language, talk.day) else {
        return Ok(Err(degraded::TOO_LONG));
    };
    let reply = timeout_at(until, reader.client.structured(&question)).await;
    let reply = reply.unwrap_or_else(|_| Err(LlmError::too_late()));
    count(&reply);
    let usage = match &reply {
        Ok(reply) => Some(reply.usage),
        Err(error) => error.usage.as_deref().copied(),
    };
    if let Some(usage) = usage {
        let spent = Spent {
            provider: reader.provider.clone(),
            model: reader.model.clone(),
            usage,
        };
        spending::record(memory, talk.gym, Some(talk.session), &spent, USE).await?;
    }
    Ok(match reply {
        Ok(reply) => {
            answer::read(reply.value, talk.turns, talk.language, talk.health).ok_or(degraded::NONSENSE)
        }
        Err(error) => Err(error.kind.code()),
    })
}

fn count(reply: &Result<StructuredReply, LlmError>) {
    let (outcome, usage) = match reply {
        Ok(reply) => ("ok", Some(reply.usage)),
        Err(error) if matches!(error.kind, LlmErrorKind::CircuitOpen { .. }) => return,
        Err(error) => (error.kind.code(), error.usage.as_deref().copied()),
    };
    let usage = usage.unwrap_or_default();
    let used = ModelUse {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
    };
    note_call(USE, outcome, used);
}
