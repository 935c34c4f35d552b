//! `jarvis bench`: ours, the guide's design and the floor, in one run.

mod house;
pub mod ingest;
mod kiosk;
mod machine;
pub mod open;
pub mod page;
mod pgbench;
pub mod recall;
pub mod rest;
mod wire;

use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Recall of one member's summaries: ours, the guide's design, dot products in memory
    Recall(recall::Arguments),
    /// Events over HTTP, beside a superuser's COPY into a twin table without triggers; and single events at a fixed rate
    Ingest(ingest::Arguments),
    /// Badge to context and question to memories over HTTP, in a gym with months of conversations
    Open(open::Arguments),
    /// The data API over HTTP, beside pgbench sending the same statements
    Rest(rest::Arguments),
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Recall(a) => recall::run(global, out, &a).await,
        Command::Ingest(a) => ingest::run(global, out, &a).await,
        Command::Open(a) => open::run(global, out, &a).await,
        Command::Rest(a) => rest::run(global, out, &a).await,
    }
}
