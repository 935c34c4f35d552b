#![doc = include_str!("../README.md")]

pub mod clock;
pub mod consent;
pub mod embedding;
pub mod error_code;
pub mod event;
pub mod fact;
pub mod ids;
pub mod language;
pub mod scope;
pub mod sentiment;
pub mod session;
pub mod text;

pub use clock::{Clock, FixedClock, SystemClock};
pub use consent::{ConsentSet, Purpose};
pub use error_code::ErrorCode;
pub use event::{EventType, NewEvent};
pub use fact::{Category, Fact, FactDraft, Life};
pub use ids::{EventId, FactId, GymId, KioskId, MemberId, SessionId, SummaryId, UserId};
pub use language::Language;
pub use scope::{Actor, Scope};
pub use sentiment::Sentiment;
pub use session::{Channel, EndReason, SessionState};
