#![doc = include_str!("../README.md")]

mod arguments;
mod cli;
mod commands;
mod connection;
mod data_api;
#[cfg(test)]
mod documented;
mod embeddings;
mod failure;
mod global;
mod language;
mod listening;
mod output;
mod private_file;
mod serving;
mod signing;
mod watching;
mod wiring;

use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let output = output::Output::new(cli.global.json);
    if let Err(error) = jarvis_observe::log::init(&cli.log_settings()) {
        return failure::report(output, &failure::WrongUse(error.to_string()).into());
    }
    jarvis_observe::log::keep_panics_quiet();
    match cli::run(cli, output).await {
        Ok(code) => code.into(),
        Err(error) => failure::report(output, &error),
    }
}
