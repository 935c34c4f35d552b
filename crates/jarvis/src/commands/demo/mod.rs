//! `jarvis demo`: the whole thing on made-up gyms.

mod play;
mod report;
mod script;
mod seed;

use crate::commands::up;
use crate::connection::{self, Urls};
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, spinner, talk};
use crate::serving::{self, Serving, Settings};
use crate::signing;
use anyhow::{Context as _, bail};
use jarvis_core::KioskId;
use jarvis_memory::sessions::KioskIdentity;
use secrecy::ExposeSecret as _;
use std::net::SocketAddr;
use std::path::Path;

/// Load two made-up gyms, play French conversations through the whole pipeline, then serve.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The demo has a data folder of its own (demo/ in the data folder) and keeps what happened; begin again by removing it.
Examples:
  jarvis demo                 play, then serve until Ctrl-C
  jarvis demo --once --json   play, print everything as one JSON object, stop")]
pub struct Arguments {
    /// Do not serve: play, print what was remembered, stop
    #[arg(long)]
    once: bool,
    /// Where to listen [default: 127.0.0.1:8787, with --once a free port]
    #[arg(long, env = "JARVIS_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The port of the embedded PostgreSQL [default: a free one]
    #[arg(long, value_name = "PORT")]
    pg_port: Option<u16>,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let data_dir = connection::data_dir(global)?.join("demo");
    let mut house = up::start_postgres(&data_dir, arguments.pg_port).await?;
    let urls = house.urls.clone();
    let played = house
        .keep(Box::pin(play_and_serve(out, &arguments, &data_dir, &urls)))
        .await;
    house.stop().await?;
    played?;
    Ok(Done::Ok)
}

async fn play_and_serve(
    out: Output,
    arguments: &Arguments,
    data_dir: &Path,
    urls: &Urls,
) -> anyhow::Result<()> {
    let port = if arguments.once { 0 } else { 8787 };
    let settings = Settings {
        url: urls.login.clone(),
        listen: arguments
            .listen
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port))),
        signing_key: signing::default_path(data_dir),
        work: true,
    };
    let logins = tokio::select! {
        logins = seed::load(urls, data_dir, out) => logins?,
        stop = serving::stop_signal() => { stop?; bail!("interrupted while loading; start again to go on") }
    };
    let serving = serving::start(&settings).await?;
    let shown = tokio::select! {
        shown = tell_story(out, &serving, arguments.once) => shown,
        stop = serving::stop_signal() => stop.and_then(|()| bail!("interrupted; what was played is kept")),
    };
    if let Err(error) = shown {
        serving.stop().await.context("while stopping after a failure")?;
        return Err(error);
    }
    if arguments.once {
        return serving.stop().await;
    }
    let kiosk = seed::kiosk(&serving.memory.db, "lyon").await?;
    let token = serving.tokens.mint_kiosk(&KioskIdentity {
        kiosk: kiosk.id,
        gym: kiosk.gym_id,
    })?;
    talk(&farewell(
        &serving,
        &logins,
        kiosk.id,
        token.token.expose_secret(),
    ));
    serving.until_stopped().await?;
    talk("stopped; the demo's data is kept");
    Ok(())
}

async fn tell_story(out: Output, serving: &Serving, once: bool) -> anyhow::Result<()> {
    let bar = spinner("playing conversations");
    let played = play::play_all(serving, |line| bar.set_message(line.to_owned())).await;
    bar.finish_and_clear();
    let sessions = played?;
    let report = report::build(serving, &sessions).await?;
    if once || out.is_json() {
        return out.data(&report, report::describe);
    }
    talk(&report::describe(&report));
    Ok(())
}

fn farewell(serving: &Serving, logins: &[seed::Login], kiosk: KioskId, token: &str) -> String {
    let base = format!("http://{}", serving.address);
    let program = std::env::current_exe().map_or_else(|_| "jarvis".to_owned(), |p| p.display().to_string());
    let logins: Vec<_> = logins
        .iter()
        .map(|l| format!("  {:<28} {}  {}", l.email, l.password, l.role))
        .collect();
    let logins = logins.join(
        "
",
    );
    format!(
        "\nJARVIS serves {base}   API: {base}/api/docs   stop: Ctrl-C\n\n\
         Logins (POST /api/v1/auth/sign-in):\n{logins}\n\n\
         Read badge BADGE_001 at the kiosk of Lyon:\n  \
         curl -s {base}/api/v1/sessions -H 'content-type: application/json' \\\n    \
         -H 'authorization: Bearer {token}' \\\n    \
         -d '{{\"badge_id\":\"BADGE_001\"}}'\n\n\
         The token lasts 15 minutes. In another terminal:\n  \
         {program} token mint --kiosk {kiosk}\n  \
         {program} recall BADGE_001 'douleur au genou' --gym lyon\n  \
         {program} doctor\n"
    )
}
