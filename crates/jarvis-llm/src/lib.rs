#![doc = include_str!("../README.md")]

mod breaker;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod openai;
mod registry;
mod retry;
mod schema;
mod seam;
mod tokens;

pub use breaker::{Breaker, BreakerSettings, BreakerState, Guarded, Permit};
pub use error::{LlmError, LlmErrorKind};
pub use openai::{Jitter, OpenAi, OpenAiConfig};
pub use registry::{Api, ModelEntry, ModelRegistry, OutputLimitField, RegistryError, Role, ShutdownWarning};
pub use retry::Backoff;
pub use schema::{SchemaError, StrictSchema};
pub use seam::{BoxFuture, Chat, Embed, EmbedReply, StructuredReply, StructuredRequest, Usage};
pub use tokens::{end_within, estimate_tokens};
