//! `jarvis churn`: who is likely to leave, and whether to believe it.

pub mod backtest;
mod figures;

use crate::failure::Done;
use crate::output::Output;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// What scores would have been worth in the past of a gym; exit code 3 with too few exits or below a bar
    Backtest(backtest::Arguments),
}

/// Runs the command.
pub fn run(out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Backtest(a) => backtest::run(out, &a),
    }
}
