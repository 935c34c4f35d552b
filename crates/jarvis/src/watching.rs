//! The listener for operators: metrics, and readiness with its details.

use crate::failure::WithHint;
use jarvis_api::{Pulse, Readiness, operations_router};
use jarvis_memory::Memory;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How a process that serves or works can be watched.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Watching {
    /// Serve /metrics for Prometheus, and /readyz with all causes, at this address, such as 127.0.0.1:9464; keep it private [default: nowhere]
    #[arg(long, env = "JARVIS_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
}

/// A listener that answers nothing yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Watching {
    /// Takes the address, if one was given.
    pub async fn bind(&self) -> anyhow::Result<Option<Bound>> {
        let Some(address) = self.metrics_listen else {
            return Ok(None);
        };
        let listener = TcpListener::bind(address).await.map_err(|error| WithHint {
            problem: format!("cannot serve metrics on {address}: {error}"),
            hint: "each process needs an address of its own: --metrics-listen 127.0.0.1:9465".to_owned(),
        })?;
        let address = listener.local_addr()?;
        Ok(Some(Bound { listener, address }))
    }
}

impl Bound {
    /// Where Prometheus finds the metrics.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Answers until `stop`.
    pub async fn serve(
        self,
        memory: Memory,
        readiness: Readiness,
        pulse: Pulse,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let router = operations_router(memory, readiness, pulse);
        let serving =
            axum::serve(self.listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::select! {
            ended = serving => Ok(ended?),
            // A scrape in the air holds up no shutdown.
            () = stop.cancelled() => Ok(()),
        }
    }
}
