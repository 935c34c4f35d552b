//! `jarvis bench recall`: how fast and how completely one member's summaries are found.

use super::house::{CACHE_MIB, in_a_house};
use super::machine::{Machine, load};
use super::page::{self, Words};
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, spinner, table, talk};
use jarvis_db::bench::recall::{Bucket, Design, Report, Settings, run as measure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::{NonZeroU8, NonZeroU32, NonZeroU64};
use std::path::PathBuf;

/// Our bar: this many times the guide's answers a second, with the largest of the caches.
const BAR: f64 = 50.0;
/// The cache that PostgreSQL takes unless told otherwise.
const DEFAULT_CACHE_MIB: u32 = 128;

/// Fills a PostgreSQL of its own with made-up summaries and asks it, as a signed-in manager under row level security.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A database is made for each run and removed afterwards; 100 000 summaries take about 3 GB of disk and some minutes. With
--database-url there is one run, with the cache of that PostgreSQL.
Examples:
  jarvis bench recall
  jarvis bench recall --summaries 300000 --json")]
pub struct Arguments {
    /// Summaries in all, at most 300 000
    #[arg(long, default_value = "100000", value_parser = clap::value_parser!(u32).range(1..=300_000))]
    summaries: u32,
    /// Members that share them; some have hundreds of times as many as others
    #[arg(long, default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    members: u32,
    /// Connections that ask at the same time
    #[arg(long, default_value = "2")]
    clients: NonZeroU32,
    /// Questions, each compared with the exact answer
    #[arg(long, default_value = "300")]
    questions: NonZeroU32,
    /// Seconds for which each design is asked in a round
    #[arg(long, default_value = "5")]
    seconds: NonZeroU64,
    /// Rounds; the designs take turns in each
    #[arg(long, default_value = "3")]
    rounds: NonZeroU8,
    /// Caches of PostgreSQL in MiB, one run each: what PostgreSQL takes by itself, and what a server of a few GiB is given
    #[arg(long, value_name = "MIB", value_delimiter = ',', default_values_t = [DEFAULT_CACHE_MIB, CACHE_MIB],
          value_parser = clap::value_parser!(u32).range(16..=65_536))]
    cache: Vec<u32>,
    /// The same seed makes the same rows and questions
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Write the figures into bench.md and bench.fr.md of this folder
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
    /// Exit code 3 unless everything is found with each cache, and with the largest ours is 50 times as fast as the guide's
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, a: &Arguments) -> anyhow::Result<Done> {
    page::check(a.page.as_deref())?;
    let settings = Settings {
        summaries: usize::try_from(a.summaries)?,
        members: usize::try_from(a.members.min(a.summaries))?,
        clients: usize::try_from(a.clients.get())?,
        questions: usize::try_from(a.questions.get())?,
        seconds: a.seconds.get(),
        rounds: a.rounds.get().into(),
        seed: a.seed,
    };
    let bar = spinner("starting");
    let tell = |line| bar.set_message(line);
    let caches = if global.database_url.is_some() {
        &a.cache[..1]
    } else {
        &a.cache[..]
    };
    let mut runs = Vec::new();
    for cache in caches {
        let run = in_a_house(global, *cache, async |house| {
            Ok(measure(&house.urls.admin, &settings, &tell).await?)
        })
        .await;
        if run.is_err() {
            bar.finish_and_clear();
        }
        runs.push(run?);
    }
    bar.finish_and_clear();
    let measured = Measured {
        runs,
        machine: Machine::this(),
        load: load(),
    };
    page::write(a.page.as_deref(), "recall", |words| section(&measured, words))?;
    out.data(&measured, human)?;
    let complete = measured.runs.iter().all(|run| is_complete(&run.ours.buckets));
    let largest = caches.iter().zip(&measured.runs).max_by_key(|(cache, _)| **cache);
    if a.check && !(complete && largest.is_some_and(|(_, run)| run.qps_ratio >= BAR)) {
        talk(&format!(
            "the bar is recall 1.0 in every bucket, and with the largest cache {BAR} times the guide's answers a second"
        ));
        return Ok(Done::Findings);
    }
    Ok(Done::Ok)
}

/// The figures, and where they come from.
#[derive(Debug, Serialize)]
struct Measured {
    runs: Vec<Report>,
    machine: Machine,
    load: f64,
}

/// Whether everything was found, whatever the size of the member.
fn is_complete(buckets: &BTreeMap<&'static str, Bucket>) -> bool {
    !buckets.is_empty() && buckets.values().all(|bucket| bucket.recall_at_5 >= 1.0)
}

/// The cache of a run, as PostgreSQL writes it.
fn cache(run: &Report) -> &str {
    run.postgresql.get("shared_buffers").map_or("?", String::as_str)
}

fn human(measured: &Measured) -> String {
    let mut text = measured.runs.iter().map(one).collect::<String>();
    let _ = write!(text, "load {:.1}, {}", measured.load, measured.machine.describe());
    text
}

fn one(report: &Report) -> String {
    let row = |name: &str, d: &Design| {
        [
            name.to_owned(),
            format!("{:.3}", d.times.p50_ms),
            format!("{:.3}", d.times.p99_ms),
            format!("{:.0}", d.qps),
            format!("{:.3}", d.recall_at_5),
        ]
    };
    let rows = table(
        ["design", "p50 ms", "p99 ms", "answers/s", "recall@5"],
        [row("ours", &report.ours), row("guide", &report.guide)],
    );
    let mut text = format!(
        "shared_buffers {}\n{rows}\n\nours / guide: {:.0} times the answers a second\nours / floor: {:.1} times the median \
         (dot products {:.3} ms + round trip {:.3} ms)\n\nrecall@5 by the member's summaries (ours, guide):\n",
        cache(report),
        report.qps_ratio,
        report.floor_ratio,
        report.dot_products.p50_ms,
        report.round_trip.p50_ms
    );
    for (name, ours) in &report.ours.buckets {
        let guide = report.guide.buckets.get(name).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "  {name}: {:.3}, {:.3} ({} questions)",
            ours.recall_at_5, guide.recall_at_5, ours.questions
        );
    }
    let s = &report.settings;
    let _ = writeln!(
        text,
        "\n{} summaries, {} members, heaviest {}, a question meets {:.0} rows, {} clients, seed {}\n{}\n",
        report.rows,
        s.members,
        report.heaviest,
        report.rows_met,
        s.clients,
        s.seed,
        page::settings(&report.postgresql)
    );
    text
}

fn section(measured: &Measured, words: &Words) -> String {
    let mut text = String::new();
    for report in &measured.runs {
        tables(&mut text, report, words);
    }
    if let Some(report) = measured.runs.last() {
        let s = &report.settings;
        let same = |(name, _): &(&String, &String)| *name != "shared_buffers";
        let settings = report.postgresql.iter().filter(same);
        let settings = settings
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let _ = write!(
            text,
            "{}: {}, {}, {}, {:.0}, {}, {:.1}.\n\n{}",
            words.recall_gym,
            report.rows,
            s.members,
            report.heaviest,
            report.rows_met,
            s.clients,
            measured.load,
            page::measured_on(words, &measured.machine, &settings)
        );
    }
    text
}

/// One run's tables: the designs, and what they find by the size of the member.
fn tables(text: &mut String, report: &Report, words: &Words) {
    let _ = write!(
        text,
        "**shared_buffers {}**\n\n{}\n|---|---|---|---|---|---|\n",
        cache(report),
        words.designs_head
    );
    for (name, d) in [(words.ours, &report.ours), (words.guide, &report.guide)] {
        let (t, empty) = (&d.times, 100.0 * d.empty);
        let _ = writeln!(
            text,
            "| {name} | {:.2} | {:.1} | {:.0} | {:.3} | {empty:.1} % |",
            t.p50_ms, t.p99_ms, d.qps, d.recall_at_5
        );
    }
    let floor = report.dot_products.p50_ms + report.round_trip.p50_ms;
    let rounds: Vec<_> = report.rounds.iter().map(|r| format!("{:.0}", r.ratio)).collect();
    let _ = writeln!(
        text,
        "| {} | {floor:.2} | | | 1.000 | |\n\n{}: **{:.0}** ({}).\n\n{}\n|---|---|---|---|",
        words.floor,
        words.ratio,
        report.qps_ratio,
        rounds.join(", "),
        words.buckets_head
    );
    for (name, ours) in &report.ours.buckets {
        let guide = report.guide.buckets.get(name).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {:.3} | {:.3} |",
            name.replace(" to ", "–").replace(" and more", "+"),
            ours.questions,
            ours.recall_at_5,
            guide.recall_at_5
        );
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missed_summary_of_one_size_of_member_is_not_complete() {
        let bucket = |recall_at_5| Bucket {
            questions: 100,
            recall_at_5,
        };
        assert!(is_complete(&BTreeMap::from([("1 to 9", bucket(1.0))])));
        let missed = BTreeMap::from([("1 to 9", bucket(1.0)), ("1000 and more", bucket(0.998))]);
        assert!(!is_complete(&missed));
        assert!(!is_complete(&BTreeMap::new()), "nothing was asked");
    }
}
