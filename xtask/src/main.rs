//! What the house checks about itself: `cargo xtask check-layers`, `check-sizes`, `sqlx`, `with-postgres`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program's findings are its output"
)]

mod layers;
mod postgres;
mod queries;
mod sizes;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Exit code for "the check ran and found something".
const FINDINGS: u8 = 3;

#[derive(Parser)]
#[command(about = "Checks of the house, and a PostgreSQL for the tests")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Prove that every dependency between our crates goes down a floor
    CheckLayers,
    /// Name the files that are over 500 lines without their tests
    CheckSizes {
        /// List all files with their sizes, the longest first
        #[arg(long)]
        list: bool,
    },
    /// Write what PostgreSQL says of the queries to .sqlx
    Sqlx {
        /// Write nothing; fail when .sqlx is not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Run a command with JARVIS_TEST_DATABASE_URL naming a PostgreSQL that lives as long as the command
    WithPostgres {
        /// The command and its arguments, after --
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let root = workspace_root()?;
    let findings = match Cli::parse().task {
        Task::CheckLayers => layers::check(&root)?,
        Task::CheckSizes { list } => sizes::check(&root, list)?,
        Task::Sqlx { check } => queries::prepare(&root, check)?,
        Task::WithPostgres { command } => return Err(with_postgres(&command)),
    };
    for finding in &findings {
        println!("{finding}");
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FINDINGS)
    })
}

/// Becomes the testkit's program, which has the house's own way to make and migrate a database; returns only when
/// that could not be started.
fn with_postgres(command: &[String]) -> anyhow::Error {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["run", "--quiet", "--bin", "with-postgres", "--"])
        .args(command);
    anyhow::Error::from(cargo.exec()).context("cargo could not be started")
}

/// The folder of the workspace's Cargo.toml, from any folder inside it.
fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .map(Path::to_owned)
        .context("xtask stands one folder below the workspace")
}
