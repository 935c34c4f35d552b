//! A running server: it listens, works, and stops in good order.

use crate::commands::member::kept_exports;
use crate::data_api::{self, DataApi};
use crate::failure::WithHint;
use crate::listening::{self, Connections};
use crate::output::{Output, talk};
use crate::watching::{Bound, Watching};
use crate::{connection, signing, wiring};
use anyhow::{Context as _, anyhow, bail};
use jarvis_api::gotrue;
use jarvis_api::keys::Gatekeeper;
use jarvis_api::realtime::Realtime;
use jarvis_api::{ApiState, Readiness, Tokens};
use jarvis_memory::Memory;
use jarvis_rest::Rest;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Requests that run when the server is told to stop get this long.
const GRACE: Duration = Duration::from_secs(10);

/// A disk with less than this is nearly full.
const LOW_DISK_BYTES: u64 = 1 << 30;

/// How to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database, as the server's login role.
    pub url: SecretString,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may connect, and how many.
    pub connections: Connections,
    /// What the data API may take.
    pub data_api: DataApi,
    /// The key that signs access tokens.
    pub signing_key: PathBuf,
    /// Whether closed sessions are processed here as well.
    pub work: bool,
    /// For how long the database is waited for.
    pub database_patience: Duration,
    /// How it can be watched.
    pub watching: Watching,
    /// How long it goes on serving, not ready, after it was told to stop.
    pub drain: Duration,
    /// The data folder, in which exports of members may be.
    pub home: PathBuf,
    /// The folder whose disk must not fill up, when PostgreSQL is ours.
    pub disk: Option<PathBuf>,
}

/// A server that runs.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// The use-cases, for a caller in the same process.
    pub memory: Memory,
    /// What signs its tokens.
    pub tokens: Tokens,
    metrics_url: Option<String>,
    readiness: Readiness,
    rest: Rest,
    drain: Duration,
    stop: CancellationToken,
    /// The server and its worker. Neither ends before it is told to.
    parts: JoinSet<anyhow::Result<()>>,
}

/// Starts serving; returns once requests are answered.
pub async fn start(settings: &Settings) -> anyhow::Result<Serving> {
    let db = connection::db_when_up(&settings.url, settings.database_patience).await?;
    // Only now: who calls while there is nothing to answer with is refused, and does not hang.
    let listener = bind(settings.listen).await?;
    let watching = settings.watching.bind().await?;
    let address = listener.local_addr()?;
    let memory = wiring::memory(db).await?;
    let tokens = signing::load_or_create(&settings.signing_key)?;
    let (rest, keys) = Box::pin(data_api(settings, &memory, &tokens)).await?;
    let stop = CancellationToken::new();
    let readiness = Readiness::new();
    if let Some(folder) = &settings.disk {
        readiness.watch_disk(folder.clone(), LOW_DISK_BYTES);
    }
    let mut parts = JoinSet::new();
    if settings.work {
        parts.spawn(endless(wiring::runner(&memory, &readiness)?.run(stop.clone())));
        parts.spawn(endless(kept_exports::tend(
            settings.home.clone(),
            memory.clone(),
            stop.clone(),
        )));
    } else {
        readiness.note_works_elsewhere();
    }
    let state = ApiState::new(memory.clone(), tokens.clone(), readiness.clone())
        .behind(settings.connections.trusted_proxies.clone())
        .allowing(wiring::requests_per_gym()?);
    let most = listening::room_for(settings.connections.max_connections.get());
    let busy = jarvis_api::busy(memory.clock.clone());
    let metrics_url = watching.as_ref().map(Bound::url);
    if let Some(bound) = watching {
        parts.spawn(bound.serve(
            memory.clone(),
            readiness.clone(),
            state.pulse.clone(),
            stop.clone(),
        ));
    }
    parts.spawn({
        let (rest, stop) = (rest.clone(), stop.clone());
        async move {
            stop.run_until_cancelled(rest.follow()).await;
            Ok(())
        }
    });
    let told = stop.clone();
    let rows = Arc::new(data_api::AsListener(rest.clone()));
    // What else is asked has the other half of the connections.
    let realtime = Realtime::new(
        state.clone(),
        Arc::clone(&keys),
        rows,
        most.div_ceil(2),
        stop.clone(),
    );
    parts.spawn(endless(realtime.clone().follow()));
    let beside = data_api::router(&rest)
        .merge(gotrue::router(state.clone(), keys))
        .merge(realtime.router());
    let router = jarvis_api::router_beside(state, beside);
    parts.spawn(async move {
        let http = listening::serve(listener, router, busy, most, told.clone());
        tokio::select! {
            () = http => Ok(()),
            () = async { told.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    });
    tracing::info!(%address, work = settings.work, "serving");
    Ok(Serving {
        address,
        memory,
        tokens,
        metrics_url,
        readiness,
        rest,
        drain: settings.drain,
        stop,
        parts,
    })
}

/// A part that has nothing to report when it ends.
async fn endless(part: impl Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

async fn data_api(
    settings: &Settings,
    memory: &Memory,
    tokens: &Tokens,
) -> anyhow::Result<(Rest, Arc<Gatekeeper>)> {
    let secret = signing::jwt_secret(&settings.signing_key)?;
    let clock = memory.clock.clone();
    let keys = Arc::new(Gatekeeper::new(
        tokens.clone(),
        secret,
        memory.db.clone(),
        clock.clone(),
    ));
    let rest = data_api::start(&settings.data_api, &settings.url, Arc::clone(&keys), clock)
        .await
        .context("the data API cannot read the schema")?;
    Ok((rest, keys))
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there, perhaps another jarvis; stop it, or choose another: --listen 127.0.0.1:8788"
            }
            _ => "choose another address: --listen 127.0.0.1:8787",
        };
        WithHint { problem: format!("cannot listen on {address}: {error}"), hint: hint.to_owned() }.into()
    })
}

impl Serving {
    /// Tells where it serves: a line for people, or one JSON object on standard output.
    pub fn announce(&self, out: Output) -> anyhow::Result<()> {
        let url = format!("http://{}", self.address);
        if out.is_json() {
            let told = serde_json::json!({"url": url, "metrics_url": self.metrics_url});
            return out.data(&told, |_| String::new());
        }
        talk(&format!(
            "JARVIS serves {url}  (API: {url}/api/docs, stop: Ctrl-C)"
        ));
        if let Some(metrics) = &self.metrics_url {
            talk(&format!("metrics: {metrics}"));
        }
        Ok(())
    }

    /// Waits for Ctrl-C or SIGTERM, then stops in good order. A server or a worker that ends without being told to
    /// takes the other one along, and is an error.
    pub async fn until_stopped(mut self) -> anyhow::Result<()> {
        let ended = tokio::select! {
            signal = stop_signal() => { signal?; self.drain().await; None }
            ended = self.parts.join_next() => ended,
        };
        let stopped = self.stop().await;
        if let Some(ended) = ended {
            outcome(ended)?;
            bail!("the server or its worker ended by itself");
        }
        stopped
    }

    /// Says at `/readyz` that requests belong elsewhere, and goes on answering those that come until a proxy has seen it.
    async fn drain(&self) {
        self.readiness.note_stopping();
        if !self.drain.is_zero() {
            tracing::info!(
                drain_seconds = self.drain.as_secs(),
                "told to stop; not ready, still serving"
            );
            tokio::time::sleep(self.drain).await;
        }
    }

    /// Finishes or hands back what runs, then closes the connections.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut first = Ok(());
        while let Some(ended) = self.parts.join_next().await {
            first = first.and(outcome(ended));
        }
        if tokio::time::timeout(CLOSE, self.rest.close()).await.is_err() {
            tracing::warn!("stopped while a statement of the data API was running; it is undone");
        }
        close(&self.memory).await;
        first
    }
}

/// Longest wait for connections to be given back in the end.
const CLOSE: Duration = Duration::from_secs(3);

/// Closes the connections. One whose job was handed back in the middle of a statement is given up: PostgreSQL notices, and
/// undoes what was not committed.
pub async fn close(memory: &Memory) {
    if tokio::time::timeout(CLOSE, memory.db.close()).await.is_err() {
        tracing::warn!("stopped while a statement was running; it is undone");
    }
}

fn outcome(ended: Result<anyhow::Result<()>, JoinError>) -> anyhow::Result<()> {
    // What a panic says may quote what a member said: it is not passed on.
    ended.unwrap_or_else(|_| Err(anyhow!("the server or its worker panicked")))
}

/// Cancelled at the first Ctrl-C or SIGTERM. Signals come to a process, so there is one per process.
static STOP: OnceLock<CancellationToken> = OnceLock::new();

/// From now on Ctrl-C and SIGTERM do not end the process by themselves, so that what it started can be ended in order;
/// a second one does. What waits for [`stop_signal`] later still hears of an earlier signal.
pub fn catch_signals() -> anyhow::Result<&'static CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    if let Some(stop) = STOP.get() {
        return Ok(stop);
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = STOP.get_or_init(CancellationToken::new);
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                stop.cancel();
            } else {
                // 128 + SIGINT, as shells have it.
                std::process::exit(130);
            }
        }
    });
    Ok(stop)
}

/// Returns at Ctrl-C or SIGTERM, also at one that came since [`catch_signals`].
pub async fn stop_signal() -> anyhow::Result<()> {
    catch_signals()?.cancelled().await;
    Ok(())
}
