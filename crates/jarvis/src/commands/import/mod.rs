//! `jarvis import`: what other systems kept.

mod auth_users;
mod exported;
mod moment;
mod sheet;
mod visits;

use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;

/// Bring over what other systems kept.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// People who signed in to a Supabase project, with their passwords
    AuthUsers(auth_users::Arguments),
    /// Visits that the turnstile or another program counted
    Visits(visits::Arguments),
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::AuthUsers(arguments) => auth_users::run(global, out, &arguments).await,
        Command::Visits(arguments) => visits::run(global, out, &arguments).await,
    }
}
