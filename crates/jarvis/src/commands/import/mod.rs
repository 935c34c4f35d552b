//! `jarvis import`: what other systems kept.

mod auth_users;
mod exported;

use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;

/// Bring over what other systems kept.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// People who signed in to a Supabase project, with their passwords
    AuthUsers(auth_users::Arguments),
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::AuthUsers(arguments) => auth_users::run(global, out, &arguments).await,
    }
}
