//! `jarvis migration`: the schema's history.

use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::migrations::{self, Source};
use std::path::PathBuf;

/// Migrations are the numbered files of `supabase/migrations`, recorded as the Supabase CLI records them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show every migration and whether it is applied
    List,
    /// Apply what is pending
    Up,
    /// Undo the newest migrations; says which rows would be lost
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: usize,
        /// Undo even when rows are lost
        #[arg(long)]
        allow_data_loss: bool,
    },
    /// Write an empty migration and its down
    New {
        /// A name in snake_case
        name: String,
        /// The folder of the migrations
        #[arg(long, default_value = "supabase/migrations", value_name = "DIR")]
        dir: PathBuf,
    },
}

#[derive(serde::Serialize)]
struct Line {
    version: String,
    name: String,
    state: String,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::List => list(global, out).await?,
        Command::Up => up(global, out).await?,
        Command::Down {
            steps,
            allow_data_loss,
        } => down(global, out, steps, allow_data_loss).await?,
        Command::New { name, dir } => {
            let files = migrations::new_file(&dir, &name, SystemClock.now())?;
            out.data(&files, |f| {
                f.iter()
                    .map(|p| p.display().to_string())
                    .collect::<Vec<_>>()
                    .join("\n")
            })?;
        }
    }
    Ok(Done::Ok)
}

async fn list(global: &Global, out: Output) -> anyhow::Result<()> {
    let entries = migrations::status(&connection::urls(global)?.admin, Source::embedded()).await?;
    let lines: Vec<Line> = entries
        .into_iter()
        .map(|e| Line {
            version: e.version,
            name: e.name,
            state: word(e.state).to_owned(),
        })
        .collect();
    out.data(&lines, |lines| {
        let rows = lines
            .iter()
            .map(|l| [l.version.clone(), l.name.clone(), l.state.clone()]);
        table(["version", "name", "state"], rows)
    })
}

fn word(state: migrations::State) -> &'static str {
    match state {
        migrations::State::Applied => "applied",
        migrations::State::Pending => "pending",
        migrations::State::Unknown => "unknown here",
    }
}

async fn up(global: &Global, out: Output) -> anyhow::Result<()> {
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
        let rows = lines
            .iter()
            .map(|l| [l.version.clone(), l.name.clone(), l.state.clone()]);
        table(["version", "name", "state"], rows)
    })
}

async fn down(global: &Global, out: Output, steps: usize, allow_data_loss: bool) -> anyhow::Result<()> {
    let urls = connection::urls(global)?;
    let reverted = migrations::down(&urls.admin, Source::embedded(), steps, allow_data_loss).await?;
    let lines: Vec<Line> = reverted
        .into_iter()
        .map(|r| Line {
            version: r.version,
            name: r.name,
            state: "undone".to_owned(),
        })
        .collect();
    out.data(&lines, |lines| {
        let rows = lines
            .iter()
            .map(|l| [l.version.clone(), l.name.clone(), l.state.clone()]);
        table(["version", "name", "state"], rows)
    })
}
