//! The command line, as `--help` teaches it.

use crate::commands;
use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use std::path::PathBuf;

/// The memory of a gym's voice assistant: badge, conversation, memory, next visit.
#[derive(Debug, Parser)]
#[command(name = "jarvis", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  jarvis demo                        two gyms with members, French conversations, then a server
  jarvis up                          an embedded PostgreSQL, migrated, with server and worker
  DATABASE_URL=… jarvis serve        the same on your own PostgreSQL 15 or newer
  jarvis session list --state failed what went wrong
  jarvis doctor                      checks that nothing was lost; exit code 3 on a finding

Exit codes: 0 ok, 1 failure, 2 wrong use, 3 findings.";

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Your PostgreSQL, as postgres://user:password@host/database. Without it, commands talk to the database of a running `jarvis up` or `jarvis demo`
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database_url: Option<SecretString>,
    /// The same database as its owner, for migrations and accounts; DATABASE_URL when absent
    #[arg(
        long,
        global = true,
        env = "JARVIS_ADMIN_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub admin_database_url: Option<SecretString>,
    /// Where the embedded PostgreSQL and the signing key live [default: /var/lib/jarvis as root, else ~/.local/share/jarvis]
    #[arg(long, global = true, env = "JARVIS_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to log, such as `info` or `jarvis=debug,warn`
    #[arg(long, global = true, env = "JARVIS_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start an embedded PostgreSQL, migrate it, serve and work
    Up(commands::up::Arguments),
    /// Serve and work on your own PostgreSQL (DATABASE_URL)
    Serve(commands::serve::Arguments),
    /// Only work: make closed sessions into memory
    Worker(commands::worker::Arguments),
    /// Show the whole thing on two made-up gyms
    Demo(commands::demo::Arguments),
    /// List, apply, undo and write migrations
    #[command(subcommand)]
    Migration(commands::migration::Command),
    /// Look at the database, or empty it
    #[command(subcommand)]
    Db(commands::db::Command),
    /// Create and list gyms
    #[command(subcommand)]
    Gym(commands::gym::Command),
    /// List and show sessions, and process one again
    #[command(subcommand)]
    Session(commands::session::Command),
    /// Enrol, list and show members
    #[command(subcommand)]
    Member(commands::member::Command),
    /// List a member's facts, their history, and retire one
    #[command(subcommand)]
    Fact(commands::fact::Command),
    /// Ask what a member said before
    Recall(commands::recall::Arguments),
    /// Record and show what members agreed to
    #[command(subcommand)]
    Consent(commands::consent::Command),
    /// Add, pair and revoke kiosks
    #[command(subcommand)]
    Kiosk(commands::kiosk::Command),
    /// Create and list people who sign in
    #[command(subcommand)]
    User(commands::user::Command),
    /// Make access tokens
    #[command(subcommand)]
    Token(commands::token::Command),
    /// Check on live data that nothing was lost; exit code 3 on a finding
    Doctor(commands::doctor::Arguments),
}

impl Command {
    /// Whether the command is a server whose log somebody reads. The demo is not: it tells a story.
    pub fn serves(&self) -> bool {
        matches!(self, Self::Up(_) | Self::Serve(_) | Self::Worker(_))
    }
}
