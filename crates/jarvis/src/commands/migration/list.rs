use super::{Line, lines_as_table};
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;
use jarvis_db::migrations::{self, Source};

pub(super) async fn run(global: &Global, out: Output) -> anyhow::Result<Done> {
    let entries = migrations::status(&connection::urls(global)?.admin, Source::embedded()).await?;
    let lines: Vec<Line> = entries
        .into_iter()
        .map(|e| Line {
            version: e.version,
            name: e.name,
            state: word(e.state).to_owned(),
        })
        .collect();
    out.data(&lines, |lines| lines_as_table(lines))?;
    Ok(Done::Ok)
}

fn word(state: migrations::State) -> &'static str {
    match state {
        migrations::State::Applied => "applied",
        migrations::State::Pending => "pending",
        migrations::State::Unknown => "unknown here",
    }
}
