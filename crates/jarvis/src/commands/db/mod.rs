//! `jarvis db`: the database itself.

mod lint;
mod reset;
mod status;

pub use lint::serving_login;

use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;

/// Look at the database, find its holes, or empty it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Version, migrations, and how many rows each table has
    Status,
    /// Find the holes through which one tenant, or anybody, reads another's rows; in any PostgreSQL, exit code 3 on a finding
    Lint(lint::Arguments),
    /// Undo every migration and apply them again: everything is lost
    Reset {
        /// Type the database's name to show that you mean it
        #[arg(long, value_name = "DATABASE")]
        confirm: String,
    },
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Status => status::run(global, out).await,
        Command::Lint(arguments) => lint::run(global, out, arguments).await,
        Command::Reset { confirm } => reset::run(global, out, &confirm).await,
    }
}
