//! `jarvis worker`: processing without serving.

use crate::commands::member::kept_exports;
use crate::connection::DatabasePatience;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, talk};
use crate::watching::{Bound, Watching};
use crate::{connection, serving, wiring};
use anyhow::bail;
use jarvis_api::{Pulse, Readiness};
use jarvis_memory::Memory;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Process closed sessions and run schedules; any number of workers may share a database.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    patience: DatabasePatience,
    #[command(flatten)]
    watching: Watching,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let db = connection::db_when_up(&urls.login, arguments.patience.duration()).await?;
    let watching = arguments.watching.bind().await?;
    let memory = wiring::memory(db).await?;
    let stop = CancellationToken::new();
    let readiness = Readiness::new();
    let mut worker = tokio::spawn(wiring::runner(&memory, &readiness)?.run(stop.clone()));
    let tend = kept_exports::tend(connection::home(global)?, memory.clone(), stop.clone());
    let tending = tokio::spawn(tend);
    let metrics_url = watching.as_ref().map(Bound::url);
    let watched = watching.map(|bound| {
        tokio::spawn(bound.serve(memory.clone(), readiness.clone(), Pulse::default(), stop.clone()))
    });
    if out.is_json() {
        let told = serde_json::json!({"state": "working", "metrics_url": metrics_url});
        out.data(&told, |_| String::new())?;
    } else {
        talk("JARVIS works  (stop: Ctrl-C)");
        if let Some(url) = metrics_url {
            talk(&format!("metrics: {url}"));
        }
    }
    let ended = tokio::select! {
        signal = serving::stop_signal() => { signal?; None }
        ended = &mut worker => Some(ended),
    };
    match ended {
        None => {
            readiness.note_stopping();
            stop.cancel();
        }
        Some(Ok(())) => bail!("the worker ended by itself"),
        // What a panic says may quote what a member said: it is not passed on.
        Some(Err(_)) => bail!("the worker panicked"),
    }
    tending.await?;
    if worker.await.is_err() {
        bail!("the worker panicked");
    }
    end(&memory, watched).await
}

async fn end(memory: &Memory, watched: Option<JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<Done> {
    if let Some(watched) = watched {
        watched.await??;
    }
    serving::close(memory).await;
    Ok(Done::Ok)
}
