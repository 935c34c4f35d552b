//! `jarvis bench recall`: how fast and how completely one member's summaries are found.

use super::house::in_a_house;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, spinner, table, talk};
use jarvis_db::bench::recall::{Design, Report, Settings, run as measure};
use std::fmt::Write as _;
use std::num::{NonZeroU32, NonZeroU64};

/// Our bar: this many times the guide's answers a second.
const BAR: f64 = 50.0;

/// Fills a PostgreSQL of its own with made-up summaries and asks it, as a signed-in manager under row level security.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The database is made for the run and removed afterwards; 100 000 summaries take about 3 GB of disk and some minutes.
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
    /// Seconds for which each design is asked
    #[arg(long, default_value = "10")]
    seconds: NonZeroU64,
    /// The same seed makes the same rows and questions
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Exit code 3 unless everything is found and ours is 50 times as fast as the guide's
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, a: &Arguments) -> anyhow::Result<Done> {
    let settings = Settings {
        summaries: usize::try_from(a.summaries)?,
        members: usize::try_from(a.members.min(a.summaries))?,
        clients: usize::try_from(a.clients.get())?,
        questions: usize::try_from(a.questions.get())?,
        seconds: a.seconds.get(),
        seed: a.seed,
    };
    let bar = spinner("starting");
    let tell = |line| bar.set_message(line);
    let report = in_a_house(global, async |house| {
        Ok(measure(&house.urls.admin, &settings, &tell).await?)
    })
    .await;
    bar.finish_and_clear();
    let report = report?;
    out.data(&report, human)?;
    let complete = report.ours.buckets.values().all(|b| b.recall_at_5 >= 1.0);
    if a.check && !(complete && report.qps_ratio >= BAR) {
        talk(&format!(
            "the bar is recall 1.0 in every bucket and {BAR} times the guide's answers a second"
        ));
        return Ok(Done::Findings);
    }
    Ok(Done::Ok)
}

fn human(report: &Report) -> String {
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
        "{rows}\n\nours / guide: {:.0} times the answers a second\nours / floor: {:.1} times the median \
         (dot products {:.3} ms + round trip {:.3} ms)\n\nrecall@5 by the member's summaries (ours, guide):\n",
        report.qps_ratio, report.floor_ratio, report.dot_products.p50_ms, report.round_trip.p50_ms
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
        "\n{} summaries, {} members, heaviest {}, a question meets {:.0} rows, {} clients, seed {}, {} processors",
        report.rows, s.members, report.heaviest, report.rows_met, s.clients, s.seed, report.processors
    );
    for (name, value) in &report.postgresql {
        let _ = write!(text, "{name} {value}  ");
    }
    text
}
