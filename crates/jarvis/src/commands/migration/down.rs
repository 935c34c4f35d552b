use super::{Line, lines_as_table};
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;
use jarvis_db::migrations::{self, Source};

/// What to undo.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many
    #[arg(long, default_value_t = 1)]
    steps: usize,
    /// Undo even when rows are lost
    #[arg(long)]
    allow_data_loss: bool,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let reverted = migrations::down(
        &urls.admin,
        Source::embedded(),
        arguments.steps,
        arguments.allow_data_loss,
    )
    .await?;
    let lines: Vec<Line> = reverted
        .into_iter()
        .map(|r| Line {
            version: r.version,
            name: r.name,
            state: "undone".to_owned(),
        })
        .collect();
    out.data(&lines, |lines| lines_as_table(lines))?;
    Ok(Done::Ok)
}
