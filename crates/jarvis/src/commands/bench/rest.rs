//! `jarvis bench rest`: the data API, beside pgbench sending the same statements.

use super::house::{CACHE_MIB, House, in_a_house};
use super::machine::{Machine, load, median};
use super::page::{self, Words};
use super::pgbench::Pgbench;
use super::wire::{self, Asked};
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, spinner, table, talk};
use anyhow::Context as _;
use axum::body::Body;
use axum::http::Request;
use jarvis_core::SystemClock;
use jarvis_db::bench::visits::{self, Size};
use jarvis_db::bench::{Times, rest_ground, settings_of};
use jarvis_rest::{Rest, Settings};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Our bar for the read of a row: so much of what pgbench reaches with the same statements.
const BAR: f64 = 0.5;
/// The numbers of an embedding.
const DIMENSIONS: usize = 1536;

/// Asks over HTTP for what the guide's code asks, and lets pgbench send the statements that come of it, in turn.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
pgbench sends exactly the statements of the data API (begin and settings included) with prepared statements, over as many
connections as there are clients; it comes with PostgreSQL.
Examples:
  jarvis bench rest
  jarvis bench rest --clients 8 --seconds 10 --json
  jarvis bench rest --page docs")]
pub struct Arguments {
    /// Callers at once, and connections to the database
    #[arg(long, default_value = "4")]
    clients: NonZeroU8,
    /// How long each is measured, in seconds
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// How often both are measured, in turn; the middle counts
    #[arg(long, default_value = "3")]
    rounds: NonZeroU8,
    /// Members of the gym
    #[arg(long, default_value = "500", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    members: u32,
    /// Exit code 3 unless the read of a row reaches half of what pgbench does
    #[arg(long)]
    check: bool,
    /// Put the figures between their marks in bench.md and bench.fr.md of this folder
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    postgresql: BTreeMap<String, String>,
    clients: u8,
    load: f64,
    requests: Vec<Measured>,
}

/// One kind of request, by its middle round.
#[derive(Debug, Serialize)]
struct Measured {
    name: &'static str,
    /// Per second, over HTTP.
    ours: f64,
    /// Per second, by pgbench.
    pgbench: f64,
    ratio: f64,
    times: Times,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, a: &Arguments) -> anyhow::Result<Done> {
    page::check(a.page.as_deref())?;
    let bar = spinner("starting");
    let tell = |line: String| bar.set_message(line);
    let report = in_a_house(global, CACHE_MIB, async |house| measure(house, a, &tell).await).await;
    bar.finish_and_clear();
    let report = report?;
    page::write(a.page.as_deref(), "rest", |words| section(&report, words))?;
    out.data(&report, human)?;
    if a.check && report.requests[0].ratio < BAR {
        talk(&format!("the bar is {BAR} of pgbench for the read of a row"));
        return Ok(Done::Findings);
    }
    Ok(Done::Ok)
}

async fn measure(house: &House<'_>, a: &Arguments, tell: &dyn Fn(String)) -> anyhow::Result<Report> {
    let mut admin = connection::admin(house.urls).await?;
    let members = usize::try_from(a.members)?;
    let size = Size {
        members,
        conversations: members * 4,
        turns: 2,
        seed: 1,
    };
    visits::fill(&mut admin, 0, 1, size, tell).await?;
    let ground = rest_ground::prepare(&mut admin).await?;
    let pgbench = Pgbench::find(&mut admin, &house.urls.admin).await?;
    let secret = SecretString::from(format!(
        "{}{}",
        uuid::Uuid::from_u128(1),
        uuid::Uuid::from_u128(2)
    ));
    let settings = Settings {
        anon_role: Some("anon".to_owned()),
        extra_search_path: ["public", "extensions"].map(str::to_owned).to_vec(),
        jwt_secret: Some(secret.clone()),
        private_types: ["vector", "halfvec"].map(str::to_owned).to_vec(),
        ..Settings::default()
    };
    let clients = u32::from(a.clients.get());
    let url = house.urls.admin.expose_secret();
    let rest = Rest::start(url, settings, clients, Arc::new(SystemClock)).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = rest.router();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let worked = async {
        let mut requests = Vec::new();
        for (name, asked) in asked(&ground, &token(&secret)?) {
            tell(name.to_owned());
            let script = Pgbench::script(
                &rest
                    .rehearse(request(&asked)?)
                    .await
                    .map_err(|error| refused(&error))?,
            )?;
            requests.push(compare(name, &asked, address, a, &pgbench, &script).await?);
        }
        anyhow::Ok(requests)
    }
    .await;
    serving.abort();
    rest.close().await;
    Ok(Report {
        machine: Machine::this(),
        postgresql: settings_of(&mut admin).await?,
        clients: a.clients.get(),
        load: load(),
        requests: worked?,
    })
}

fn refused(error: &jarvis_rest::RestError) -> anyhow::Error {
    anyhow::anyhow!("the data API refuses it: {error}")
}

/// A caller that may read and write: the guide's code on the server has such a key.
fn token(secret: &SecretString) -> anyhow::Result<String> {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.expose_secret().as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    Ok(jsonwebtoken::encode(
        &header,
        &json!({"role": "service_role"}),
        &key,
    )?)
}

/// What the guide's code asks.
fn asked(ground: &rest_ground::Ground, token: &str) -> Vec<(&'static str, Asked)> {
    let member = ground.member;
    let one = |path: String| Asked {
        method: "GET",
        path,
        headers: vec![("accept", "application/vnd.pgrst.object+json".to_owned())],
        body: String::new(),
    };
    let embedding: Vec<f32> = (0_u16..)
        .take(DIMENSIONS)
        .map(|n| f32::from(n % 7) - 3.0)
        .collect();
    let event = json!({
        "session_id": ground.session, "gym_id": ground.gym, "member_id": ground.member, "event_type": "user_speech_start",
    });
    let wanted = json!({
        "query_embedding": embedding, "filter_member_id": ground.member, "match_threshold": 0.7, "match_count": 3,
    });
    let mut all = vec![
        (
            "read a row",
            one(format!("/gym_members_v2?select=*&id=eq.{member}")),
        ),
        (
            "read a row with two embedded",
            one(format!(
                "/gym_members_v2?select=*,member_fitness_profile(*),member_preferences(*)&id=eq.{member}"
            )),
        ),
        (
            "insert a row",
            Asked {
                method: "POST",
                path: "/conversation_events".to_owned(),
                headers: vec![("prefer", "return=minimal".to_owned())],
                body: event.to_string(),
            },
        ),
        (
            "call match_conversation_summaries",
            Asked {
                method: "POST",
                path: "/rpc/match_conversation_summaries".to_owned(),
                headers: Vec::new(),
                body: wanted.to_string(),
            },
        ),
    ];
    for (_, asked) in &mut all {
        asked.headers.push(("authorization", format!("Bearer {token}")));
        asked
            .headers
            .push(("content-type", "application/json".to_owned()));
    }
    all
}

fn request(asked: &Asked) -> anyhow::Result<Request<Body>> {
    let mut request = Request::builder().method(asked.method).uri(&asked.path);
    for (name, value) in &asked.headers {
        request = request.header(*name, value);
    }
    Ok(request.body(Body::from(asked.body.clone()))?)
}

async fn compare(
    name: &'static str,
    asked: &Asked,
    address: std::net::SocketAddr,
    a: &Arguments,
    pgbench: &Pgbench,
    script: &super::pgbench::Script,
) -> anyhow::Result<Measured> {
    let (clients, seconds) = (a.clients.get(), a.seconds);
    let time = Duration::from_secs(seconds.into());
    // Connections, plans and caches are warm before anything is counted.
    wire::ask(asked, address, clients, Duration::from_millis(500))
        .await
        .context(name)?;
    let (mut ours, mut theirs, mut ratios, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..a.rounds.get() {
        let took = wire::ask(asked, address, clients, time).await.context(name)?;
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 requests")]
        let per_second = took.len() as f64 / time.as_secs_f64();
        let by_pgbench = pgbench.run(script, clients, seconds).await.context(name)?;
        ours.push(per_second);
        theirs.push(by_pgbench);
        ratios.push(per_second / by_pgbench);
        times.extend(took);
    }
    Ok(Measured {
        name,
        ours: median(ours),
        pgbench: median(theirs),
        ratio: median(ratios),
        times: Times::of(times),
    })
}

fn human(report: &Report) -> String {
    let rows = report.requests.iter().map(|one| {
        [
            one.name.to_owned(),
            format!("{:.0}", one.ours),
            format!("{:.0}", one.pgbench),
            format!("{:.2}", one.ratio),
            format!("{:.1}", one.times.p50_ms),
            format!("{:.1}", one.times.p99_ms),
        ]
    });
    format!(
        "{}\n{}; {} clients; load {:.1}",
        table(
            ["request", "ours/s", "pgbench/s", "ratio", "p50 ms", "p99 ms"],
            rows
        ),
        report.machine.describe(),
        report.clients,
        report.load
    )
}

fn section(report: &Report, words: &Words) -> String {
    let rows = report
        .requests
        .iter()
        .zip(words.rest_requests)
        .map(|(one, name)| {
            format!(
                "| {name} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} |\n",
                one.ours, one.pgbench, one.ratio, one.times.p50_ms, one.times.p99_ms
            )
        });
    format!(
        "{}\n|---|---|---|---|---|---|\n{}\n{}: {}, {:.1}.\n\n{}",
        words.rest_head,
        rows.collect::<String>(),
        words.rest_clients,
        report.clients,
        report.load,
        page::measured_on(words, &report.machine, &report.postgresql)
    )
}
