//! `jarvis bench`: ours, the guide's design and the floor, in one run.

pub mod recall;

use crate::commands::up;
use crate::connection::Urls;
use crate::failure::Done;
use crate::output::Output;
use anyhow::Context as _;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Recall of one member's summaries: ours, the guide's design, dot products in memory
    Recall(recall::Arguments),
}

/// Runs the command.
pub async fn run(out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Recall(a) => recall::run(out, &a).await,
    }
}

/// Does `work` on a PostgreSQL of its own, migrated and empty, and removes it afterwards.
async fn on_a_database_of_its_own<T>(
    work: impl AsyncFnOnce(&Urls) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let folder = std::env::temp_dir().join(format!("jarvis-bench-{}", std::process::id()));
    let house = up::start_postgres(&folder, None).await?;
    let stop = crate::serving::catch_signals()?;
    let worked = tokio::select! {
        worked = work(&house.urls) => worked,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    let stopped = house.stop().await;
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    stopped?;
    worked
}
