//! `jarvis bench ingest`: how many events are taken in a second, beside the floor.

use super::house::{CACHE_MIB, House, in_a_house};
use super::kiosk::Kiosk;
use super::machine::{Machine, load, median};
use super::page::{self, Words};
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, spinner, table, talk};
use crate::serving::Serving;
use crate::{connection, wiring};
use anyhow::{Context as _, ensure};
use jarvis_db::bench::ground::{self, Place};
use jarvis_db::bench::ingest::{self as floor, Make, Rows, SAID};
use jarvis_db::bench::{Times, settings_of};
use jarvis_memory::sessions::MAX_EVENTS;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Our bar: this share of the rows a second of COPY.
const BAR: f64 = 0.75;
/// Our bar for 99 of 100 single events, in milliseconds.
const BAR_SINGLE_MS: f64 = 20.0;
/// A gym's kiosks may send 50 requests a second; single events come from so many gyms that each sends half of it.
const SINGLES_OF_A_GYM: u16 = 25;

/// Sends events to a server of its own and copies the same ones into a twin table, in turns.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The database is made for the run and removed afterwards, unless --database-url gives an empty one.
Examples:
  jarvis bench ingest
  jarvis bench ingest --clients 1 --json
  jarvis bench ingest --page docs")]
pub struct Arguments {
    /// Events of one request, at most 5 000
    #[arg(long, default_value = "5000")]
    batch: NonZeroUsize,
    /// Requests of one client in a round
    #[arg(long, default_value = "4")]
    batches: NonZeroU8,
    /// Rounds; ours and COPY take turns in each
    #[arg(long, default_value = "7")]
    rounds: NonZeroU8,
    /// Kiosks that send at the same time; as many connections copy
    #[arg(long, default_value = "2")]
    clients: NonZeroU8,
    /// Single events a second
    #[arg(long, default_value = "500")]
    rate: NonZeroU16,
    /// Seconds for which single events are sent
    #[arg(long, default_value = "20")]
    seconds: NonZeroU16,
    /// Write the figures into bench.md and bench.fr.md of this folder
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
    /// Exit code 3 unless ours is 0.75 times as fast as COPY, 99 of 100 single events take 20 ms at most, and nothing is lost
    #[arg(long)]
    check: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    postgresql: BTreeMap<String, String>,
    clients: u8,
    batch: usize,
    batches: u8,
    /// In the order in which they were run.
    rounds: Vec<Round>,
    /// Rows a second, the middle round.
    ours_rows_per_s: f64,
    /// The same of COPY.
    copy_rows_per_s: f64,
    /// The middle of the rounds' ratios.
    ratio: f64,
    single: Singles,
    /// Our table and the twin.
    table: Make,
    twin: Make,
    /// Events that were acknowledged, and those that are stored with their words.
    acknowledged: i64,
    stored: i64,
}

/// Ours and COPY, one after the other.
#[derive(Debug, Clone, Copy, Serialize)]
struct Round {
    ours_rows_per_s: f64,
    copy_rows_per_s: f64,
    ratio: f64,
    /// Load of the machine when the round ended.
    load: f64,
}

/// Single events at a fixed rate.
#[derive(Debug, Clone, Serialize)]
struct Singles {
    rate: u16,
    gyms: usize,
    sent: usize,
    refused: usize,
    /// From when it was due until it was acknowledged.
    times: Times,
    load: f64,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, a: &Arguments) -> anyhow::Result<Done> {
    if a.batch.get() > MAX_EVENTS {
        return Err(WrongUse(format!("--batch: the API takes {MAX_EVENTS} events at most")).into());
    }
    page::check(a.page.as_deref())?;
    let bar = spinner("starting");
    let tell = |line: String| bar.set_message(line);
    let report = in_a_house(global, CACHE_MIB, async |house| measure(house, a, &tell).await).await;
    bar.finish_and_clear();
    let report = report?;
    page::write(a.page.as_deref(), "ingest", |words| section(&report, words))?;
    out.data(&report, human)?;
    let lost = report.acknowledged - report.stored;
    let fast = report.ratio >= BAR && report.single.times.p99_ms <= BAR_SINGLE_MS;
    if a.check && !(fast && lost == 0 && report.single.refused == 0) {
        talk(&format!(
            "the bar is {BAR} times the rows a second of COPY, {BAR_SINGLE_MS} ms for 99 of 100 single events, none \
             refused and none lost ({lost} lost, {} refused)",
            report.single.refused
        ));
        return Ok(Done::Findings);
    }
    Ok(Done::Ok)
}

async fn measure(house: &House<'_>, a: &Arguments, tell: &dyn Fn(String)) -> anyhow::Result<Report> {
    let mut admin = connection::admin(house.urls).await?;
    floor::make_twin(&mut admin).await?;
    let senders = ground::settle(&mut admin, 0, 1, a.clients.get().into()).await?;
    let gyms = u32::from(a.rate.get().div_ceil(SINGLES_OF_A_GYM));
    let singles = ground::settle(&mut admin, 1, gyms, 1).await?;
    let serving = house.serve().await?;
    let worked = async {
        let mut rounds = Vec::new();
        // What is not counted: connections, prepared statements, the first pages of every index.
        round(house, &serving, &senders, a, "w").await?;
        for number in 0..a.rounds.get() {
            tell(format!("round {} of {}", number + 1, a.rounds));
            floor::settle_disk(&mut admin).await?;
            rounds.push(round(house, &serving, &senders, a, &number.to_string()).await?);
        }
        tell("single events".to_owned());
        floor::settle_disk(&mut admin).await?;
        let single = single_events(&serving, &singles, a).await?;
        anyhow::Ok((rounds, single))
    }
    .await;
    serving.stop().await?;
    let (rounds, single) = worked?;
    let (table, twin) = floor::makes(&mut admin).await?;
    ensure!(
        (table.indexes, table.foreign_keys, table.checks) == (twin.indexes, twin.foreign_keys, twin.checks)
            && twin.triggers == 0,
        "the twin is no twin: {table:?}, {twin:?}"
    );
    let of_batches =
        (i64::from(a.rounds.get()) + 1) * i64::from(a.clients.get()) * i64::from(a.batches.get());
    let acknowledged =
        of_batches * i64::try_from(a.batch.get())? + i64::try_from(single.sent - single.refused)?;
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    Ok(Report {
        machine: Machine::this(),
        postgresql: settings_of(&mut admin).await?,
        clients: a.clients.get(),
        batch: a.batch.get(),
        batches: a.batches.get(),
        ours_rows_per_s: of(|r| r.ours_rows_per_s),
        copy_rows_per_s: of(|r| r.copy_rows_per_s),
        ratio: of(|r| r.ratio),
        rounds,
        single,
        table,
        twin,
        acknowledged,
        stored: floor::stored_with_words(&mut admin).await?,
    })
}

/// Every client opens a session and has its batches ready; then all send at once. The same for COPY.
async fn round(
    house: &House<'_>,
    serving: &Serving,
    senders: &[Place],
    a: &Arguments,
    name: &str,
) -> anyhow::Result<Round> {
    let mut ready = Vec::new();
    let mut rows = Vec::new();
    for place in senders {
        let kiosk = Kiosk::at(serving, place)?;
        let (session, _) = kiosk.open(&place.badge).await?;
        let runs: Vec<_> = (0..a.batches.get()).map(|n| format!("{name}-{n}")).collect();
        let bodies: Vec<_> = runs.iter().map(|run| body(run, a.batch.get())).collect();
        let now = wiring::clock().now();
        rows.push(
            runs.iter()
                .map(|run| Rows::of(place, &session, &format!("{run}-{session}"), a.batch.get(), now))
                .collect::<Vec<_>>(),
        );
        ready.push((kiosk, format!("/sessions/{session}/events"), bodies));
    }
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for (kiosk, path, bodies) in ready {
        clients.spawn(async move {
            let mut answers = Vec::new();
            for body in bodies {
                answers.push(kiosk.post(&path, body).await?);
            }
            anyhow::Ok(answers)
        });
    }
    let answers = joined(clients).await?;
    let ours = started.elapsed();
    for answer in answers.into_iter().flatten() {
        let accepted = answer.value()?["accepted"].as_array().map_or(0, Vec::len);
        ensure!(
            accepted == a.batch.get(),
            "{accepted} of {} events accepted",
            a.batch
        );
    }
    let mut floors = JoinSet::new();
    for batches in rows {
        let url = house.urls.admin.clone();
        floors.spawn(async move { anyhow::Ok(floor::copy(&url, batches).await?) });
    }
    // Connecting is not counted; all begin within a millisecond, and the last to end counts.
    let copied = joined(floors).await?.into_iter().max().unwrap_or_default();
    let count = f64::from(u32::try_from(
        senders.len() * usize::from(a.batches.get()) * a.batch.get(),
    )?);
    let (ours, copied) = (count / ours.as_secs_f64(), count / copied.as_secs_f64());
    Ok(Round {
        ours_rows_per_s: ours,
        copy_rows_per_s: copied,
        ratio: ours / copied,
        load: load(),
    })
}

fn body(run: &str, count: usize) -> String {
    let now = wiring::clock().now();
    let events: Vec<_> = (0..count)
        .map(|turn| {
            json!({
                "event_type": "user_transcript",
                "transcript": SAID,
                "turn_number": turn,
                "confidence_score": 0.93,
                "timestamp": now,
                "provider_event_id": format!("{run}-{turn}"),
            })
        })
        .collect();
    json!({ "events": events }).to_string()
}

/// Sends each event when it is due, whatever became of those before it.
async fn single_events(serving: &Serving, places: &[Place], a: &Arguments) -> anyhow::Result<Singles> {
    let mut senders = Vec::new();
    for place in places {
        let kiosk = Kiosk::at(serving, place)?;
        let (session, _) = kiosk.open(&place.badge).await?;
        senders.push((kiosk, format!("/sessions/{session}/events")));
    }
    let rate = u32::from(a.rate.get());
    let count = rate * u32::from(a.seconds.get());
    let begun = tokio::time::Instant::now() + Duration::from_millis(50);
    let mut events = JoinSet::new();
    for number in 0..count {
        let due = begun + Duration::from_secs(1) * number / rate;
        tokio::time::sleep_until(due).await;
        let (kiosk, path) = senders[number as usize % senders.len()].clone();
        events.spawn(async move {
            let event = json!({
                "event_type": "user_transcript",
                "transcript": SAID,
                "turn_number": number,
                "confidence_score": 0.93,
                "provider_event_id": format!("single-{number}"),
            });
            let answer = kiosk.post(&path, event.to_string()).await;
            (due.elapsed(), answer.is_ok_and(|answer| answer.ok))
        });
    }
    let all = events.join_all().await;
    Ok(Singles {
        rate: a.rate.get(),
        gyms: places.len(),
        sent: all.len(),
        refused: all.iter().filter(|(_, ok)| !ok).count(),
        times: Times::of(all.into_iter().map(|(took, _)| took).collect()),
        load: load(),
    })
}

async fn joined<T: 'static>(mut tasks: JoinSet<anyhow::Result<T>>) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(task) = tasks.join_next().await {
        all.push(task.context("a client of the bench panicked")??);
    }
    Ok(all)
}

fn human(report: &Report) -> String {
    let rows = report.rounds.iter().enumerate().map(|(number, r)| {
        [
            (number + 1).to_string(),
            format!("{:.0}", r.ours_rows_per_s),
            format!("{:.0}", r.copy_rows_per_s),
            format!("{:.2}", r.ratio),
            format!("{:.1}", r.load),
        ]
    });
    let rounds = table(["round", "ours rows/s", "COPY rows/s", "ratio", "load"], rows);
    let s = &report.single;
    let mut text = format!(
        "{rounds}\n\nours / COPY: {:.2} (middle of the rounds; {} clients, batches of {})\n\
         single events at {}/s from {} gyms: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, {} of {} refused, load {:.1}\n\
         acknowledged {}, stored with their words {}\n\n{}\n",
        report.ratio,
        report.clients,
        report.batch,
        s.rate,
        s.gyms,
        s.times.p50_ms,
        s.times.p95_ms,
        s.times.p99_ms,
        s.refused,
        s.sent,
        s.load,
        report.acknowledged,
        report.stored,
        report.machine.describe(),
    );
    text.push_str(&page::settings(&report.postgresql));
    text
}

fn section(report: &Report, words: &Words) -> String {
    let s = &report.single;
    let rows = report.rounds.iter().enumerate().map(|(number, r)| {
        format!(
            "| {} | {:.0} | {:.0} | {:.2} | {:.1} |\n",
            number + 1,
            r.ours_rows_per_s,
            r.copy_rows_per_s,
            r.ratio,
            r.load
        )
    });
    let of_rounds: String = rows.collect();
    let single = format!(
        "| {} | {:.1} | {:.1} | {:.1} | {} / {} | {:.1} |\n",
        s.rate, s.times.p50_ms, s.times.p95_ms, s.times.p99_ms, s.refused, s.sent, s.load
    );
    format!(
        "{}\n|---|---|---|---|---|\n{of_rounds}| **{}** | **{:.0}** | **{:.0}** | **{:.2}** | |\n\n\
         {}\n|---|---|---|---|---|---|\n{single}\n{}",
        words.rounds_head,
        words.middle,
        report.ours_rows_per_s,
        report.copy_rows_per_s,
        report.ratio,
        words.singles_head,
        page::measured_on(words, &report.machine, &report.postgresql)
    )
}
