//! What the use-cases count, after their commit: what was rolled back did not happen.

use crate::sessions::Recorded;
use chrono::{DateTime, Utc};
use jarvis_core::{Channel, SessionState};
use jarvis_observe::METRICS;

/// What became of the facts of a conversation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts {
    /// Read out of it.
    pub(crate) read: usize,
    /// Without an exact quote, so not among those read.
    pub(crate) without_evidence: i32,
    /// Refused in all, by the gate or by a guard of the database.
    pub(crate) rejected: i32,
}

/// A session whose processing was given up.
pub(crate) fn gave_up() {
    METRICS.sessions_processed.inc(&[SessionState::Failed.as_str()]);
}

/// A session whose processing ended, `now`.
pub(crate) fn processed(
    state: SessionState,
    ended_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    facts: Facts,
) {
    METRICS.sessions_processed.inc(&[state.as_str()]);
    if let Some(lag) = ended_at.and_then(|at| (now - at).to_std().ok()) {
        METRICS.processing_lag.observe(lag);
    }
    let count = |n: i32| u64::try_from(n).unwrap_or_default();
    let evidence = count(facts.without_evidence);
    let guard = count(facts.rejected).saturating_sub(evidence);
    METRICS
        .facts
        .add(&["stored"], (facts.read as u64).saturating_sub(guard));
    METRICS.facts.add(&["refused_evidence"], evidence);
    METRICS.facts.add(&["refused_guard"], guard);
}

/// Turns that tried to steer the assistant.
pub(crate) fn quarantined(turns: u64) {
    METRICS.turns_quarantined.add(&[], turns);
}

/// A session that was opened.
pub(crate) fn opened(channel: Channel) {
    METRICS.sessions_opened.inc(&[channel.as_str()]);
}

/// Events that were sent, and what became of them.
pub(crate) fn recorded(recorded: &Recorded) {
    let duplicates = recorded.accepted.iter().filter(|event| event.duplicate).count() as u64;
    let accepted = recorded.accepted.len() as u64;
    METRICS.events.add(&["stored"], accepted - duplicates);
    METRICS.events.add(&["duplicate"], duplicates);
    METRICS.events.add(&["rejected"], recorded.rejected.len() as u64);
}
