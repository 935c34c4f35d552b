//! One command, one file, one function.

pub mod consent;
pub mod db;
pub mod demo;
pub mod doctor;
pub mod fact;
pub mod gym;
pub mod kiosk;
pub mod member;
pub mod migration;
pub mod recall;
pub mod serve;
pub mod session;
pub mod token;
pub mod up;
pub mod user;
pub mod worker;

use crate::cli::{Cli, Command};
use crate::failure::Done;
use crate::output::Output;

/// Runs the command that was given.
pub async fn run(cli: Cli, out: Output) -> anyhow::Result<Done> {
    let global = &cli.global;
    match cli.command {
        Command::Up(a) => up::run(global, out, a).await,
        Command::Serve(a) => serve::run(global, out, a).await,
        Command::Worker(a) => worker::run(global, out, a).await,
        Command::Demo(a) => Box::pin(demo::run(global, out, a)).await,
        Command::Migration(c) => migration::run(global, out, c).await,
        Command::Db(c) => db::run(global, out, c).await,
        Command::Gym(c) => gym::run(global, out, c).await,
        Command::Session(c) => session::run(global, out, c).await,
        Command::Member(c) => member::run(global, out, c).await,
        Command::Fact(c) => fact::run(global, out, c).await,
        Command::Recall(a) => recall::run(global, out, a).await,
        Command::Consent(c) => consent::run(global, out, c).await,
        Command::Kiosk(c) => kiosk::run(global, out, c).await,
        Command::User(c) => user::run(global, out, c).await,
        Command::Token(c) => token::run(global, out, c).await,
        Command::Doctor(a) => doctor::run(global, out, a).await,
    }
}
