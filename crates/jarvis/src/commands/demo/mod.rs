//! `jarvis demo`: the whole thing on made-up gyms.

mod play;
mod report;
mod script;
mod seed;
mod words;

use crate::commands::up;
use crate::connection::{self, Urls};
use crate::data_api::DataApi;
use crate::failure::Done;
use crate::global::Global;
use crate::listening::Connections;
use crate::output::{Output, spinner, talk};
use crate::serving::{self, Serving, Settings};
use crate::signing;
use crate::watching::Watching;
use anyhow::{Context as _, bail};
use jarvis_core::KioskId;
use jarvis_memory::sessions::KioskIdentity;
use secrecy::ExposeSecret as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use words::Words;

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
    /// The language of the story, fr or en [default: that of LC_ALL or LANG, else fr]
    #[arg(long, value_name = "LANGUAGE", value_parser = Words::named)]
    lang: Option<&'static Words>,
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
        connections: Connections::default(),
        data_api: DataApi::default(),
        signing_key: signing::default_path(data_dir),
        work: true,
        database_patience: std::time::Duration::ZERO,
        watching: Watching::default(),
        drain: Duration::ZERO,
        home: data_dir.to_owned(),
        disk: None,
    };
    let words = arguments.lang.unwrap_or_else(Words::of_surroundings);
    let logins = tokio::select! {
        logins = seed::load(urls, data_dir, out, words) => logins?,
        stop = serving::stop_signal() => { stop?; bail!("interrupted while loading; start again to go on") }
    };
    let serving = serving::start(&settings).await?;
    let shown = tokio::select! {
        shown = tell_story(out, &serving, arguments.once, words) => shown,
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
        words,
        &serving,
        &logins,
        kiosk.id,
        token.token.expose_secret(),
    ));
    serving.until_stopped().await?;
    talk(words.stopped);
    Ok(())
}

async fn tell_story(out: Output, serving: &Serving, once: bool, words: &Words) -> anyhow::Result<()> {
    let bar = spinner(words.playing);
    let played = play::play_all(serving, words, |line| bar.set_message(line.to_owned())).await;
    bar.finish_and_clear();
    let sessions = played?;
    let report = report::build(serving, &sessions).await?;
    if once || out.is_json() {
        return out.data(&report, |report| report::describe(report, words));
    }
    talk(&report::describe(&report, words));
    Ok(())
}

fn farewell(words: &Words, serving: &Serving, logins: &[seed::Login], kiosk: KioskId, token: &str) -> String {
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
         {} (POST /api/v1/auth/sign-in):\n{logins}\n\n\
         {}\n  \
         curl -s {base}/api/v1/sessions -H 'content-type: application/json' \\\n    \
         -H 'authorization: Bearer {token}' \\\n    \
         -d '{{\"badge_id\":\"BADGE_001\"}}'\n\n\
         {}\n  \
         {program} token mint --kiosk {kiosk}\n  \
         {program} recall BADGE_001 'douleur au genou' --gym lyon\n  \
         {program} doctor\n",
        words.logins, words.read_badge, words.token_lasts
    )
}
