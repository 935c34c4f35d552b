use super::{Files, Line, lines_as_table};
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;
use jarvis_db::migrations;

/// What to apply.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    files: Files,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let source = arguments.files.source()?;
    let applied = migrations::up(&connection::urls(global)?.admin, &source).await?;
    let lines: Vec<Line> = applied
        .into_iter()
        .map(|a| {
            let state = format!("applied in {} ms", a.took.as_millis());
            Line::new(a.version, a.name, &state)
        })
        .collect();
    out.data(&lines, |lines| {
        if lines.is_empty() {
            return "nothing to do".to_owned();
        }
        lines_as_table(lines)
    })?;
    Ok(Done::Ok)
}
