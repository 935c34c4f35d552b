//! `jarvis migration`: the schema's history. One verb, one file.

mod down;
mod list;
mod new;
mod up;

use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table};

/// Migrations are the numbered files of `supabase/migrations`, recorded as the Supabase CLI records them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show every migration and whether it is applied
    List,
    /// Apply what is pending
    Up,
    /// Undo the newest migrations; says which rows would be lost
    Down(down::Arguments),
    /// Write an empty migration and its down
    New(new::Arguments),
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::List => list::run(global, out).await,
        Command::Up => up::run(global, out).await,
        Command::Down(arguments) => down::run(global, out, &arguments).await,
        Command::New(arguments) => new::run(out, &arguments),
    }
}

/// A migration and what became of it.
#[derive(serde::Serialize)]
struct Line {
    version: String,
    name: String,
    state: String,
}

fn lines_as_table(lines: &[Line]) -> String {
    let rows = lines
        .iter()
        .map(|l| [l.version.clone(), l.name.clone(), l.state.clone()]);
    table(["version", "name", "state"], rows)
}
