//! What a member agreed to.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A purpose of processing, agreed to or refused on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Talking to the assistant by voice.
    Voice,
    /// Remembering conversations, facts and summaries.
    Memory,
    /// Remembering health: injuries, pregnancy, medication, allergies.
    HealthMemory,
    /// Scores derived from conversations.
    Profiling,
    /// Showing what was said to the gym's staff.
    ShareWithStaff,
}

impl Purpose {
    /// Every purpose, in the order in which they are asked.
    pub const ALL: [Self; 5] = [
        Self::Voice,
        Self::Memory,
        Self::HealthMemory,
        Self::Profiling,
        Self::ShareWithStaff,
    ];

    /// As written in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Memory => "memory",
            Self::HealthMemory => "health_memory",
            Self::Profiling => "profiling",
            Self::ShareWithStaff => "share_with_staff",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a purpose is one of voice, memory, health_memory, profiling, share_with_staff")]
pub struct UnknownPurpose;

impl FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str() == text)
            .ok_or(UnknownPurpose)
    }
}

/// The purposes that are in force for one member now. Empty by default: silence is no consent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConsentSet(std::collections::BTreeSet<Purpose>);

impl ConsentSet {
    /// Whether `purpose` is in force.
    pub fn allows(&self, purpose: Purpose) -> bool {
        self.0.contains(&purpose)
    }

    /// The purposes in force.
    pub fn iter(&self) -> impl Iterator<Item = Purpose> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Purpose> for ConsentSet {
    fn from_iter<I: IntoIterator<Item = Purpose>>(purposes: I) -> Self {
        Self(purposes.into_iter().collect())
    }
}
