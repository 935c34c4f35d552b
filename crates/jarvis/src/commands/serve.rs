//! `jarvis serve`: your PostgreSQL.

use crate::connection::DatabasePatience;
use crate::data_api::DataApi;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::listening::Connections;
use crate::output::Output;
use crate::serving::Settings;
use crate::watching::Watching;
use crate::{connection, serving, signing};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Serve the API and process closed sessions, on the PostgreSQL of DATABASE_URL.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The database must be migrated (`jarvis migration up`), and the login of DATABASE_URL must be allowed to act as
jarvis_server and jarvis_system; the migrations make a role jarvis_login for it:
  alter role jarvis_login password '…';
  DATABASE_URL=postgres://jarvis_login:…@host/database jarvis serve")]
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
    /// Do not process sessions here; `jarvis worker` does
    #[arg(long)]
    no_worker: bool,
    /// The ES256 key (PKCS#8 PEM) that signs access tokens [default: signing-key.pem in the data folder, made when absent]
    #[arg(long, env = "JARVIS_SIGNING_KEY_FILE", value_name = "FILE")]
    signing_key: Option<PathBuf>,
    #[command(flatten)]
    patience: DatabasePatience,
    #[command(flatten)]
    watching: Watching,
    /// After SIGTERM, answer 503 at /readyz and go on serving for so long, so that a proxy sends requests elsewhere
    #[arg(
        long,
        env = "JARVIS_DRAIN_SECONDS",
        default_value = "0",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u16).range(..=600)
    )]
    drain_seconds: u16,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let Some(url) = global.database_url.clone() else {
        return Err(WrongUse(
            "`jarvis serve` needs DATABASE_URL; `jarvis up` brings its own PostgreSQL".into(),
        )
        .into());
    };
    let signing_key = match arguments.signing_key {
        Some(path) => path,
        None => signing::default_path(&connection::data_dir(global)?),
    };
    let settings = Settings {
        url,
        listen: arguments.listen,
        connections: arguments.connections,
        data_api: arguments.data_api,
        signing_key,
        work: !arguments.no_worker,
        database_patience: arguments.patience.duration(),
        watching: arguments.watching,
        drain: Duration::from_secs(arguments.drain_seconds.into()),
        home: connection::data_dir(global)?,
        disk: None,
    };
    let serving = serving::start(&settings).await?;
    serving.announce(out)?;
    serving.until_stopped().await?;
    Ok(Done::Ok)
}
