use super::Files;
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table, talk};
use jarvis_db::migrations::{self, Entry, State};

/// Which migrations to compare with the database.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    files: Files,
}

#[derive(serde::Serialize)]
struct Line {
    version: String,
    name: String,
    state: &'static str,
    /// The version, when it is known here.
    local: Option<String>,
    /// The version, when the database records it.
    remote: Option<String>,
}

impl From<Entry> for Line {
    fn from(entry: Entry) -> Self {
        let there = |there: bool| there.then(|| entry.version.clone());
        Self {
            local: there(entry.state != State::Unknown),
            remote: there(entry.state != State::Pending),
            state: match entry.state {
                State::Applied => "applied",
                State::Pending => "pending",
                State::Unknown => "unknown here",
            },
            name: entry.name,
            version: entry.version,
        }
    }
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let source = arguments.files.source()?;
    let entries = migrations::status(&connection::urls(global)?.admin, &source).await?;
    let lines: Vec<Line> = entries.into_iter().map(Line::from).collect();
    out.data(&lines, |lines| as_table(lines))?;
    let unknown: Vec<String> = lines
        .iter()
        .filter(|line| line.local.is_none())
        .map(|line| line.version.clone())
        .collect();
    if !unknown.is_empty() && !out.is_json() {
        let [ours, theirs] = migrations::repair_commands(&unknown, "reverted");
        talk(&format!(
            "The database records what is unknown here. Name the folder that holds it with --dir, or use the program \
             that applied it.\nTo forget it: {ours}\n          or: {theirs}"
        ));
    }
    Ok(Done::Ok)
}

fn as_table(lines: &[Line]) -> String {
    let cell = |version: &Option<String>| version.clone().unwrap_or_default();
    let rows = lines.iter().map(|l| {
        [
            cell(&l.local),
            cell(&l.remote),
            l.name.clone(),
            l.state.to_owned(),
        ]
    });
    table(["local", "remote", "name", "state"], rows)
}
