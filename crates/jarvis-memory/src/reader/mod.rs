//! A model of a provider reads conversations, in gyms that allow it. What it cannot or will not read, the rules read.

mod answer;
mod question;

pub(crate) use answer::Reading;

use crate::embedder::{failing, last_day, standing};
use crate::extract::Turn;
use crate::{Memory, MemoryError, Spent, spending};
use chrono::NaiveDate;
use jarvis_core::{GymId, Language, SessionId};
use jarvis_llm::{
    Breaker, Chat, LlmError, LlmErrorKind, StructuredReply, StructuredRequest, estimate_tokens,
};
use jarvis_observe::cost::ModelUse;
use jarvis_observe::provider::{Breaker as Standing, note_call};
use std::fmt;
use tokio::time::{Instant, timeout_at};

/// What a call is for, in the metrics.
const USE: &str = "extraction";

/// Why the rules read a conversation that a model should have read, beside the codes of the provider's errors.
pub mod degraded {
    /// The server was started without a model that reads conversations.
    pub const NO_MODEL: &str = "no_model";
    /// The model's window is too small for any words of the conversation.
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
    /// Tokens that the model takes, question and answer together.
    pub window: usize,
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

impl Reader {
    /// Where the breaker before the model stands now.
    pub fn standing(&self) -> Standing {
        standing(&self.breaker.state())
    }

    /// Why the rules read what the model should, if it is left alone.
    pub fn lacking(&self) -> Option<String> {
        failing(&self.breaker).map(|cause| {
            format!("the model that reads conversations fails ({cause}): the rules read them meanwhile")
        })
    }

    /// The last day of the model, where one was announced.
    pub fn last_day(&self) -> Option<NaiveDate> {
        last_day(&self.model)
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
    let mut window = reader.window;
    loop {
        let Some(asked) = question::question(talk.turns, talk.language, talk.day, window) else {
            return Ok(Err(degraded::TOO_LONG));
        };
        if asked.left_out > 0 {
            let (left_out, tokens) = (asked.left_out, estimate_tokens(&asked.request.user));
            tracing::info!(
                left_out,
                tokens,
                window,
                "a model is shown the end of a long conversation"
            );
        }
        let reply = ask(memory, reader, talk, &asked.request, until).await?;
        match reply {
            Ok(reply) => {
                let read = answer::read(reply.value, talk.turns, talk.language, talk.health);
                let read = read.map(|reading| Reading {
                    first_shown: asked.first_shown,
                    ..reading
                });
                return Ok(read.ok_or(degraded::NONSENSE));
            }
            // The model takes less than it was set to: once more, with half.
            Err(error) if error.kind.is_too_long() && window == reader.window => window /= 2,
            Err(error) if error.kind.is_too_long() => return Ok(Err(degraded::TOO_LONG)),
            Err(error) => return Ok(Err(error.kind.code())),
        }
    }
}

/// Asks before `until`, and writes down what that cost.
async fn ask(
    memory: &Memory,
    reader: &Reader,
    talk: &Conversation<'_>,
    request: &StructuredRequest,
    until: Instant,
) -> Result<Result<StructuredReply, LlmError>, MemoryError> {
    let reply = timeout_at(until, reader.client.structured(request)).await;
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
    Ok(reply)
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
