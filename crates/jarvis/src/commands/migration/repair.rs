use super::Files;
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table, talk};
use jarvis_db::migrations::{self, Mark};

/// What to write into the history.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The versions (14 digits), as `jarvis migration list` shows them
    #[arg(required = true)]
    versions: Vec<String>,
    /// What the history shall say of them
    #[arg(long)]
    status: Status,
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Status {
    /// On record, with the text of its file
    Applied,
    /// Not on record
    Reverted,
}

#[derive(serde::Serialize)]
struct Line {
    version: String,
    name: String,
    state: &'static str,
    changed: bool,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let source = arguments.files.source()?;
    let (mark, state) = match arguments.status {
        Status::Applied => (Mark::Applied, "applied"),
        Status::Reverted => (Mark::Reverted, "reverted"),
    };
    let admin = connection::urls(global)?.admin;
    let lines: Vec<Line> = migrations::repair(&admin, &source, &arguments.versions, mark)
        .await?
        .into_iter()
        .map(|r| Line {
            version: r.version,
            name: r.name,
            state,
            changed: r.changed,
        })
        .collect();
    out.data(&lines, |lines| {
        let rows = lines.iter().map(|l| {
            let was = if l.changed { "" } else { "as before" };
            [
                l.version.clone(),
                l.name.clone(),
                l.state.to_owned(),
                was.to_owned(),
            ]
        });
        table(["version", "name", "recorded as", ""], rows)
    })?;
    if !out.is_json() {
        talk(
            "Only the history was written; no migration was run or undone.\n\
             Whether the database is what the history says: jarvis migration verify",
        );
    }
    Ok(Done::Ok)
}
