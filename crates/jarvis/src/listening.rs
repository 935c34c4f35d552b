//! The server's connections: how many, how long they may be silent, and how they end.

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jarvis_api::TrustedProxies;
use jarvis_api::allowance::{CONNECTIONS, HEAD_BYTES, HEAD_LINES, SILENT_CONNECTION};
use jarvis_api::realtime::Slot;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Who may connect, and how many.
#[derive(Debug, Clone, clap::Args)]
pub struct Connections {
    /// Reverse proxies whose X-Forwarded-For is believed, as addresses or networks; limits then count the callers behind them
    #[arg(
        long,
        env = "JARVIS_TRUSTED_PROXIES",
        default_value = "",
        hide_default_value = true,
        value_name = "NETWORKS"
    )]
    pub trusted_proxies: TrustedProxies,
    /// The most connections at a time; more are answered 503
    #[arg(
        long,
        env = "JARVIS_MAX_CONNECTIONS",
        default_value_t = Self::default().max_connections,
        value_name = "NUMBER"
    )]
    pub max_connections: NonZeroUsize,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            trusted_proxies: TrustedProxies::default(),
            max_connections: NonZeroUsize::new(CONNECTIONS).expect("4096 is not 0"),
        }
    }
}

/// So many connections beyond the limit are told so at the same time; more are closed without a word.
const REFUSALS: usize = 64;
/// Files that the process needs beside its connections: database, log, signing key.
const OTHER_FILES: u64 = 256;
/// When no connection can be accepted, as without a free file descriptor, this is waited.
const PAUSE: Duration = Duration::from_millis(200);

/// Raises the limit of open files as far as `connections` need it and the system allows; the number of connections
/// that fit.
pub fn room_for(connections: usize) -> usize {
    let wanted = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return connections;
    };
    let allowed = if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).is_ok() {
        wanted.min(hard)
    } else {
        soft
    };
    let fit = usize::try_from(allowed.saturating_sub(OTHER_FILES))
        .unwrap_or(usize::MAX)
        .max(1);
    if fit < connections {
        tracing::warn!(
            connections,
            fit,
            "the limit of open files allows fewer connections (ulimit -n)"
        );
    }
    fit.min(connections)
}

/// Serves `router` until `told`; then finishes what runs. Beyond `most` connections, `busy` answers.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    busy: Router,
    most: usize,
    told: CancellationToken,
) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(most));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    loop {
        let accepted = tokio::select! {
            () = told.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // The connection was gone already, or there is no file descriptor left; both pass.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (slot, router) = match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => (slot, router.clone()),
            Err(_) => match Arc::clone(&refusals).try_acquire_owned() {
                Ok(slot) => (slot, busy.clone()),
                Err(_) => continue,
            },
        };
        let slot = Slot::new(slot);
        connections.spawn(connection(stream, peer, slot, router, told.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    router: Router,
    told: CancellationToken,
) {
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        // A WebSocket outlives its connection's part in HTTP, and keeps the place.
        request.extensions_mut().insert(slot.clone());
        request.map(axum::body::Body::new)
    });
    // An answer is small and final: it is not kept back for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone at once");
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENT_CONNECTION)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Broken off, silent, or no HTTP: what it sent is nobody's business.
        tracing::debug!(%error, "a connection ended early");
    }
}
