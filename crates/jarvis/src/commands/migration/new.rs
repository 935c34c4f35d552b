use crate::failure::Done;
use crate::output::Output;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::migrations;
use std::path::PathBuf;

/// The migration to begin.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A name in snake_case
    name: String,
    /// The folder of the migrations
    #[arg(long, default_value = "supabase/migrations", value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let files = migrations::new_file(&arguments.dir, &arguments.name, SystemClock.now())?;
    out.data(&files, |f| {
        f.iter()
            .map(|p| p.display().to_string())
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    Ok(Done::Ok)
}
