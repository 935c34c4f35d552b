use super::{Line, lines_as_table};
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;
use jarvis_db::migrations::{self, Source};

pub(super) async fn run(global: &Global, out: Output) -> anyhow::Result<Done> {
    let applied = migrations::up(&connection::urls(global)?.admin, Source::embedded()).await?;
    let lines: Vec<Line> = applied
        .into_iter()
        .map(|a| Line {
            version: a.version,
            name: a.name,
            state: format!("applied in {} ms", a.took.as_millis()),
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
