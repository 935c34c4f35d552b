#![doc = include_str!("../README.md")]

mod arguments;
mod cli;
mod commands;
mod connection;
mod failure;
mod global;
mod language;
mod listening;
mod output;
mod private_file;
mod serving;
mod signing;
mod wiring;

use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    output::init_tracing(cli.global.log.as_deref(), cli.command.serves());
    failure::keep_panics_quiet();
    let output = output::Output::new(cli.global.json);
    match cli::run(cli, output).await {
        Ok(code) => code.into(),
        Err(error) => failure::report(output, &error),
    }
}
