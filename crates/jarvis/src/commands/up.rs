//! `jarvis up`: everything from one binary.

use crate::connection::{self, Urls};
use crate::data_api::DataApi;
use crate::failure::Done;
use crate::global::Global;
use crate::listening::Connections;
use crate::output::{Output, spinner, talk};
use crate::serving::{self, Settings};
use crate::signing;
use crate::watching::Watching;
use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use jarvis_db::embedded::{Embedded, EmbeddedSettings, Stage, cache_mib, memory_mib};
use jarvis_observe::METRICS;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

/// Start an embedded PostgreSQL, migrate it, serve the API and process closed sessions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything is kept in the data folder; Ctrl-C stops it all. Next steps, in another terminal:
  jarvis gym add \"Salle Lumière\" --slug lyon
  jarvis member add BADGE_001 Sophie Martin
  jarvis consent record BADGE_001 --grant voice,memory,health_memory
  jarvis kiosk add Entrée --slug entree")]
pub struct Arguments {
    /// Where to listen
    #[arg(
        long,
        env = "JARVIS_LISTEN",
        default_value = "127.0.0.1:8787",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    #[command(flatten)]
    connections: Connections,
    #[command(flatten)]
    data_api: DataApi,
    /// The port of the embedded PostgreSQL [default: a free one]
    #[arg(long, value_name = "PORT")]
    pg_port: Option<u16>,
    #[command(flatten)]
    watching: Watching,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let data_dir = connection::data_dir(global)?;
    let mut house = start_postgres(&data_dir, arguments.pg_port).await?;
    let settings = Settings {
        url: house.urls.login.clone(),
        listen: arguments.listen,
        connections: arguments.connections,
        data_api: arguments.data_api,
        signing_key: signing::default_path(&data_dir),
        work: true,
        database_patience: Duration::ZERO,
        watching: arguments.watching,
        drain: Duration::ZERO,
        home: data_dir.clone(),
        disk: Some(data_dir.clone()),
    };
    let served = house.keep(serve(out, &settings)).await;
    house.stop().await?;
    served?;
    talk("stopped");
    Ok(Done::Ok)
}

async fn serve(out: Output, settings: &Settings) -> anyhow::Result<()> {
    let serving = tokio::select! {
        started = serving::start(settings) => started?,
        stop = serving::stop_signal() => { stop?; bail!("interrupted while starting") }
    };
    serving.announce(out)?;
    serving.until_stopped().await
}

/// A running embedded PostgreSQL.
pub struct House {
    /// How to reach it.
    pub urls: Urls,
    embedded: Embedded,
}

/// Starts the embedded PostgreSQL of a data folder.
///
/// A Ctrl-C during the start is heard when PostgreSQL runs: only then it can be ended in order.
pub async fn start_postgres(data_dir: &Path, port: Option<u16>) -> anyhow::Result<House> {
    start_postgres_as(&EmbeddedSettings {
        port,
        shared_buffers_mib: cache_mib(memory_mib()),
        ..EmbeddedSettings::new(data_dir)
    })
    .await
}

/// As [`start_postgres`], with all settings.
pub async fn start_postgres_as(settings: &EmbeddedSettings) -> anyhow::Result<House> {
    let stop = serving::catch_signals()?;
    let bar = spinner("PostgreSQL");
    let result = Embedded::start(settings, &|stage| show(&bar, stage)).await;
    bar.finish_and_clear();
    let embedded = result?;
    if stop.is_cancelled() {
        embedded.stop().await?;
        bail!("interrupted while starting");
    }
    let login = embedded
        .login_url()
        .context("the embedded PostgreSQL has no login")?
        .clone();
    let urls = Urls {
        admin: embedded.admin_url().clone(),
        login,
    };
    Ok(House { urls, embedded })
}

/// How often it is looked after.
const LOOK: Duration = Duration::from_secs(1);
/// The longest wait between two tries to start it again.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl House {
    /// Does `work`, and starts PostgreSQL again should it die meanwhile, with longer and longer pauses while that fails,
    /// as on a full disk. A start is never cut short: nobody would end what it started.
    pub async fn keep<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut pause = LOOK;
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(pause) => {}
            }
            let mut reviving = pin!(self.embedded.revive());
            let (revived, done) = tokio::select! {
                revived = &mut reviving => (revived, None),
                done = &mut work => (reviving.await, Some(done)),
            };
            pause = match revived {
                Ok(again) => {
                    METRICS.postgres_up.set(&[], 1.0);
                    METRICS.postgres_restarts.add(&[], u64::from(again));
                    LOOK
                }
                Err(error) => {
                    METRICS.postgres_up.set(&[], 0.0);
                    let pause = (pause * 2).min(LONGEST_PAUSE);
                    let hint = error.hint().unwrap_or_default();
                    let next_try_s = pause.as_secs();
                    tracing::error!(%error, hint, next_try_s, "cannot start PostgreSQL again yet");
                    pause
                }
            };
            if let Some(done) = done {
                return done;
            }
        }
    }

    /// Stops PostgreSQL in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(self.embedded.stop().await?)
    }
}

fn show(bar: &ProgressBar, stage: Stage) {
    bar.set_message(match stage {
        Stage::Initialising => "PostgreSQL: making the data folder (once)".to_owned(),
        Stage::Starting => "PostgreSQL: starting".to_owned(),
        Stage::Recovering => "PostgreSQL: recovering after a crash".to_owned(),
        Stage::TakenOver { pid } => format!("PostgreSQL: taking over process {pid}, left by a killed jarvis"),
        Stage::Migrating => "PostgreSQL: bringing the schema up to date".to_owned(),
        Stage::Ready => "PostgreSQL: ready".to_owned(),
    });
}
