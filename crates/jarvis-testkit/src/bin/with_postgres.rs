//! Runs a command beside a throw-away PostgreSQL: `with-postgres COMMAND [ARGUMENT…]`.
//!
//! Exit code: the command's own; 1 when the server does not start; 2 without a command.

#![expect(clippy::print_stderr, reason = "a command line program talks on stderr")]

use jarvis_testkit::{Cluster, ClusterError, URL_VARIABLE};
use secrecy::ExposeSecret;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os()
        .skip(1)
        .skip_while(|argument| argument == "--");
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-postgres COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    };
    match run(&program, arguments.collect()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(program: &OsStr, arguments: Vec<OsString>) -> Result<ExitCode, ClusterError> {
    let failed = |source| ClusterError::Program {
        program: program.display().to_string(),
        source,
    };
    // From here on a Ctrl-C ends the command, which gets it from the terminal as we do, and then us, in order.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let cluster = Cluster::start().await?;
    let mut child = Command::new(program)
        .args(arguments)
        .env(URL_VARIABLE, cluster.url().expose_secret())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(failed)?,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => child.start_kill().map_err(failed)?,
        }
    };
    cluster.stop().await?;
    // A command that was killed by a signal has no code of its own.
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    ))
}
