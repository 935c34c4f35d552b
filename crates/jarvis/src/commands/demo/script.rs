//! What the demo is made of: data, read from the program itself.

use jarvis_core::{Language, Purpose};
use serde::Deserialize;

/// A made-up gym.
#[derive(Debug, Deserialize)]
pub struct DemoGym {
    pub name: String,
    pub slug: String,
    pub timezone: String,
    pub locale: String,
    pub kiosk: DemoKiosk,
    pub members: Vec<DemoMember>,
}

/// Its kiosk.
#[derive(Debug, Deserialize)]
pub struct DemoKiosk {
    pub name: String,
    pub slug: String,
}

/// One of its members.
#[derive(Debug, Deserialize)]
pub struct DemoMember {
    pub badge: String,
    pub first_name: String,
    pub last_name: String,
    #[serde(default)]
    pub language: Language,
    pub fitness: DemoFitness,
    pub grant: Vec<Purpose>,
    #[serde(default)]
    pub refuse: Vec<Purpose>,
}

/// What the member wrote down at enrolment.
#[derive(Debug, Deserialize)]
pub struct DemoFitness {
    pub level: String,
    pub goals: Vec<String>,
    pub sessions_per_week: i32,
}

/// A conversation to play.
#[derive(Debug, Deserialize)]
pub struct Conversation {
    pub gym: String,
    pub badge: String,
    #[serde(default)]
    pub language: Language,
    pub turns: Vec<Line>,
}

/// One turn.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    Member(String),
    Assistant(String),
}

/// The gyms.
pub fn gyms() -> anyhow::Result<Vec<DemoGym>> {
    Ok(serde_json::from_str(include_str!("../../../demo/gyms.json"))?)
}

/// The conversations.
pub fn conversations() -> anyhow::Result<Vec<Conversation>> {
    Ok(serde_json::from_str(include_str!(
        "../../../demo/conversations.json"
    ))?)
}
