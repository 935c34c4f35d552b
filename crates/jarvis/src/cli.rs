//! The command line, as `--help` teaches it.

use crate::commands;
use crate::failure::{self, Done};
use crate::global::Global;
use crate::output::Output;
use clap::{Parser, Subcommand};
use jarvis_observe::log;

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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start an embedded PostgreSQL, migrate it, serve and work
    Up(commands::up::Arguments),
    /// Serve and work on your own PostgreSQL (DATABASE_URL)
    Serve(commands::serve::Arguments),
    /// Serve a data API in the language of PostgREST over any schema
    ServeRest(Box<commands::serve_rest::Arguments>),
    /// Write types for programs that read the database
    #[command(subcommand)]
    Gen(commands::r#gen::Command),
    /// Only work: make closed sessions into memory
    Worker(commands::worker::Arguments),
    /// Show the whole thing on two made-up gyms
    Demo(commands::demo::Arguments),
    /// List, apply, undo and write migrations
    #[command(subcommand)]
    Migration(commands::migration::Command),
    /// Look at the database, find its holes, or empty it
    #[command(subcommand)]
    Db(commands::db::Command),
    /// Write an encrypted backup, list and check backups
    Backup(commands::backup::Arguments),
    /// Bring a database back from a backup
    Restore(commands::restore::Arguments),
    /// Create and list gyms, and let models read their conversations
    #[command(subcommand)]
    Gym(commands::gym::Command),
    /// List and show sessions, and process one again
    #[command(subcommand)]
    Session(commands::session::Command),
    /// Enrol, list, show, hand out, restrict and erase members
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
    /// What models of a provider cost, and their prices
    #[command(subcommand)]
    Cost(commands::cost::Command),
    /// Who read or changed what
    #[command(subcommand)]
    Audit(commands::audit::Command),
    /// What happened in a gym, what stands out and what to do
    #[command(subcommand)]
    Report(commands::report::Command),
    /// How long things are kept, and what is past its time
    Retention(commands::retention::Arguments),
    /// Add, pair and revoke kiosks
    #[command(subcommand)]
    Kiosk(commands::kiosk::Command),
    /// The keys of the data API
    Keys(commands::keys::Arguments),
    /// Create and list people who sign in
    #[command(subcommand)]
    User(commands::user::Command),
    /// Bring over what other systems kept
    #[command(subcommand)]
    Import(commands::import::Command),
    /// Make access tokens
    #[command(subcommand)]
    Token(commands::token::Command),
    /// Measure what is extracted, summarised and recalled on labelled sets; exit code 3 below a bar
    #[command(subcommand)]
    Eval(commands::eval::Command),
    /// Make up gyms with visits, contracts and exits, for tests and demos
    Simulate(commands::simulate::Arguments),
    /// Who is likely to leave, and whether to believe it
    #[command(subcommand)]
    Churn(commands::churn::Command),
    /// Serve made-up answers in the protocol of a provider of models, for tests and development without a key
    FakeOpenai(commands::fake_openai::Arguments),
    /// Measure speed against the guide's design and the floor, on a database of its own
    #[command(subcommand)]
    Bench(commands::bench::Command),
    /// Check on live data that nothing was lost, stuck or left open; exit code 3 on a finding
    Doctor(commands::doctor::Arguments),
}

impl Cli {
    /// How this command logs.
    pub fn log_settings(&self) -> log::Settings {
        log::Settings {
            filter: self.global.log.clone(),
            format: self.global.log_format,
            serves: self.command.serves(),
            counts: matches!(self.command, Command::Bench(_)),
        }
    }
}

impl Command {
    /// Whether the command is a server whose log somebody reads. The demo is not: it tells a story.
    fn serves(&self) -> bool {
        matches!(
            self,
            Self::Up(_) | Self::Serve(_) | Self::ServeRest(_) | Self::Worker(_)
        )
    }

    /// Whether the command acts as the owner of the database, not as the server.
    fn needs_owner(&self) -> bool {
        use commands::{gym, user};
        match self {
            Self::Migration(_)
            | Self::Db(_)
            | Self::Doctor(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Import(_)
            | Self::Retention(_) => true,
            Self::Member(c) => c.needs_owner(),
            Self::Gym(c) => matches!(c, gym::Command::Add { .. } | gym::Command::ExternalModels { .. }),
            Self::Cost(c) => c.needs_owner(),
            Self::User(c) => matches!(c, user::Command::Add { .. }),
            _ => false,
        }
    }
}

/// Runs the command that was given.
pub async fn run(cli: Cli, out: Output) -> anyhow::Result<Done> {
    let needs_owner = cli.command.needs_owner();
    let done = Box::pin(run_command(&cli.global, cli.command, out)).await;
    if needs_owner {
        done.map_err(failure::needs_owner)
    } else {
        done
    }
}

async fn run_command(global: &Global, command: Command, out: Output) -> anyhow::Result<Done> {
    match command {
        Command::Up(a) => commands::up::run(global, out, a).await,
        Command::Serve(a) => commands::serve::run(global, out, a).await,
        Command::ServeRest(a) => commands::serve_rest::run(global, out, *a).await,
        Command::Gen(c) => commands::r#gen::run(global, out, c).await,
        Command::Worker(a) => commands::worker::run(global, out, a).await,
        Command::Demo(a) => Box::pin(commands::demo::run(global, out, a)).await,
        Command::Migration(c) => commands::migration::run(global, out, c).await,
        Command::Db(c) => commands::db::run(global, out, c).await,
        Command::Backup(a) => commands::backup::run(global, out, a).await,
        Command::Restore(a) => commands::restore::run(global, out, a).await,
        Command::Gym(c) => commands::gym::run(global, out, c).await,
        Command::FakeOpenai(a) => commands::fake_openai::run(out, a).await,
        Command::Session(c) => commands::session::run(global, out, c).await,
        Command::Member(c) => commands::member::run(global, out, c).await,
        Command::Fact(c) => commands::fact::run(global, out, c).await,
        Command::Recall(a) => commands::recall::run(global, out, a).await,
        Command::Consent(c) => commands::consent::run(global, out, c).await,
        Command::Cost(c) => commands::cost::run(global, out, c).await,
        Command::Audit(c) => commands::audit::run(global, out, c).await,
        Command::Keys(a) => commands::keys::run(global, out, a).await,
        Command::Report(c) => commands::report::run(global, out, c).await,
        Command::Retention(a) => commands::retention::run(global, out, a).await,
        Command::Kiosk(c) => commands::kiosk::run(global, out, c).await,
        Command::Import(c) => commands::import::run(global, out, c).await,
        Command::User(c) => commands::user::run(global, out, c).await,
        Command::Token(c) => commands::token::run(global, out, c).await,
        Command::Bench(c) => Box::pin(commands::bench::run(global, out, c)).await,
        Command::Eval(c) => commands::eval::run(out, c).await,
        Command::Simulate(a) => commands::simulate::run(out, &a),
        Command::Churn(c) => commands::churn::run(out, c),
        Command::Doctor(a) => commands::doctor::run(global, out, a).await,
    }
}
