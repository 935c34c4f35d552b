//! `jarvis recall`: what a member said before.

use crate::arguments;
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table, talk};
use crate::wiring;
use jarvis_memory::recall::{self, DEFAULT_THRESHOLD, RecallMethod, RecallQuery};

/// Ask what a member said before; the best memories first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  jarvis recall BADGE_001 \"douleur au genou\" --gym lyon")]
pub struct Arguments {
    /// The member's id or badge
    member: String,
    /// The question, in French or English
    query: String,
    /// At most so many memories
    #[arg(short, default_value_t = 5, value_parser = clap::value_parser!(i32).range(1..=50))]
    k: i32,
    /// Only memories at least this similar, 0 to 1; 0.7 means "likely relevant"
    #[arg(long, default_value_t = DEFAULT_THRESHOLD, value_parser = arguments::similarity)]
    threshold: f64,
    /// The gym, by slug or id
    #[arg(long)]
    gym: Option<String>,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, a: Arguments) -> anyhow::Result<Done> {
    let desk = connection::desk(global, a.gym.as_deref()).await?;
    let member = connection::find_member(&desk, &a.member).await?;
    let memory = wiring::memory(desk.db.clone()).await?;
    let query = RecallQuery {
        text: a.query,
        k: a.k,
        threshold: a.threshold,
    };
    let recalled = recall::recall(&memory, desk.scope, member, &query).await?;
    if recalled.method == RecallMethod::FullText {
        talk("no embedding model here: these share words with the question");
    }
    if !recalled.complete {
        talk("time ran out: only past conversations were looked at, not every turn");
    }
    out.data(&recalled, |r| {
        let mut text = String::new();
        if r.nothing_noted {
            text.push_str("nothing noted about that\n");
        }
        let rows = r.memories.iter().map(|m| {
            [
                format!("{:.2}", m.similarity),
                m.created_at.format("%F").to_string(),
                m.summary_text.clone(),
            ]
        });
        if !r.memories.is_empty() {
            text.push_str(&table(["similarity", "day", "summary"], rows));
        }
        let turns = r.turns.iter().map(|t| {
            [
                format!("{:.2}", t.similarity),
                t.said_at.format("%F").to_string(),
                t.speaker.clone(),
                t.said.clone(),
            ]
        });
        if !r.turns.is_empty() {
            text.push('\n');
            text.push_str(&table(["similarity", "day", "who", "said"], turns));
        }
        text.trim_end().to_owned()
    })?;
    Ok(Done::Ok)
}
