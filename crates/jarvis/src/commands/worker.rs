//! `jarvis worker`: processing without serving.

use crate::connection::DatabasePatience;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, talk};
use crate::{connection, serving, wiring};
use anyhow::bail;
use jarvis_api::Readiness;
use tokio_util::sync::CancellationToken;

/// Process closed sessions and run schedules; any number of workers may share a database.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    patience: DatabasePatience,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let db = connection::db_when_up(&urls.login, arguments.patience.duration()).await?;
    let memory = wiring::memory(db).await;
    let stop = CancellationToken::new();
    let mut worker = tokio::spawn(wiring::runner(&memory, &Readiness::new())?.run(stop.clone()));
    if out.is_json() {
        out.data(&serde_json::json!({"state": "working"}), |_| String::new())?;
    } else {
        talk("JARVIS works  (stop: Ctrl-C)");
    }
    let ended = tokio::select! {
        signal = serving::stop_signal() => { signal?; None }
        ended = &mut worker => Some(ended),
    };
    match ended {
        None => stop.cancel(),
        Some(Ok(())) => bail!("the worker ended by itself"),
        // What a panic says may quote what a member said: it is not passed on.
        Some(Err(_)) => bail!("the worker panicked"),
    }
    if worker.await.is_err() {
        bail!("the worker panicked");
    }
    serving::close(&memory).await;
    Ok(Done::Ok)
}
