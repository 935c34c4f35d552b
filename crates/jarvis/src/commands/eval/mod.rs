//! `jarvis eval`: figures on labelled sets, with what was missed.

pub mod extract;
pub mod recall;
pub mod report;
pub mod summary;
pub mod utterances;

use crate::failure::{Done, WrongUse};
use crate::output::Output;
use anyhow::Context;
use jarvis_memory::eval::set::{self, Conversation};
use jarvis_memory::eval::utterances::Task;
use std::path::Path;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Precision and recall of the facts read out of labelled conversations; needs no database
    Extract(extract::Arguments),
    /// Whether summaries keep the facts and invent nothing; needs no database
    Summary(summary::Arguments),
    /// Accuracy of the sentiment of labelled utterances; needs no database
    Sentiment(utterances::Arguments),
    /// Accuracy of the category of labelled utterances; needs no database
    Category(utterances::Arguments),
    /// Whether the right memories are found, on an embedded PostgreSQL made for it
    Recall(recall::Arguments),
    /// Write the page of all figures on the sets of the repository
    Report(report::Arguments),
}

/// Runs the command.
pub async fn run(out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Extract(a) => extract::run(out, &a).await,
        Command::Summary(a) => summary::run(out, &a),
        Command::Sentiment(a) => utterances::run(out, &a, Task::Sentiment).await,
        Command::Category(a) => utterances::run(out, &a, Task::Category).await,
        Command::Recall(a) => recall::run(out, &a).await,
        Command::Report(a) => report::run(out, &a).await,
    }
}

/// A set of labelled conversations.
fn conversations(path: &Path) -> anyhow::Result<Vec<Conversation>> {
    let json = text(path)?;
    set::read(&json).map_err(|error| {
        WrongUse(format!(
            "{}: {error}; a set is a list of {{\"id\", \"transcript\": \"Adhérent: …\\nJARVIS: …\", \"facts\": \
             [{{\"category\", \"matches\"}}], \"sentiment\"}}, such as crates/jarvis-memory/eval/extract_dev.json",
            path.display()
        ))
        .into()
    })
}

/// The text of a file that was named on the command line.
fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether every figure reaches its bar: exit code 3 if one does not.
fn judged(bars: &[(&str, f64, Option<f64>)]) -> Done {
    let below: Vec<_> = bars
        .iter()
        .filter_map(|(name, reached, bar)| bar.filter(|bar| reached < bar).map(|bar| (name, reached, bar)))
        .collect();
    for (name, reached, bar) in &below {
        crate::output::talk(&format!("{name} {reached:.3} is below {bar:.3}"));
    }
    if below.is_empty() {
        Done::Ok
    } else {
        Done::Findings
    }
}
