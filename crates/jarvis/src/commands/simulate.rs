//! `jarvis simulate`: gyms that do not exist.

use crate::failure::{Done, WrongUse};
use crate::output::{Output, progress, talk};
use anyhow::Context as _;
use chrono::NaiveDate;
use jarvis_insight::churn::history::History;
use jarvis_insight::simulate::Gym;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

const EXAMPLES: &str = "\
The file has one member a line, as JSON: gym, joined, visits, contract, conversations, goals. Members leave for reasons that
the model of `jarvis churn` is not told; it lacks the season and friends who leave altogether. No database is needed.

Examples:
  jarvis simulate --output gyms.ndjson
  jarvis simulate --gyms 3 --members 1200 --days 365 --seed 7 --output gyms.ndjson
  jarvis churn backtest gyms.ndjson";

/// What to make up.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// How many gyms
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    gyms: u32,
    #[command(flatten)]
    size: Size,
    /// The same seed makes the same gyms for ever; the second gym has the next seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// How large a gym, and when.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Size {
    /// Members at any moment
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub members: u32,
    /// Days after the year in which a gym fills
    #[arg(long, value_name = "N", default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// The first day after those made up
    #[arg(long, value_name = "DATE", default_value = "2026-01-01")]
    pub end: NaiveDate,
}

impl Size {
    /// The gym of a seed.
    pub fn gym(self, seed: u64) -> Gym {
        Gym {
            members: self.members as usize,
            days: i64::from(self.days),
            end: self.end,
            seed,
        }
    }
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// Which gym, from 1.
    pub gym: u32,
    /// The member.
    #[serde(flatten)]
    pub history: History,
}

/// Runs the command.
pub fn run(out: Output, a: &Arguments) -> anyhow::Result<Done> {
    let cannot = || format!("cannot write {}", a.output.display());
    if a.output.is_dir() {
        return Err(WrongUse(format!(
            "--output: {} is a folder; name a file",
            a.output.display()
        ))
        .into());
    }
    let mut file = BufWriter::new(std::fs::File::create(&a.output).with_context(cannot)?);
    let bar = progress(u64::from(a.gyms));
    let (mut members, mut visits, mut exits) = (0, 0, 0);
    for gym in 1..=a.gyms {
        for history in a.size.gym(a.seed.wrapping_add(u64::from(gym - 1))).simulate() {
            members += 1;
            visits += history.visits.len();
            exits += usize::from(history.exit(a.size.end).is_some());
            serde_json::to_writer(&mut file, &Line { gym, history }).with_context(cannot)?;
            file.write_all(b"\n").with_context(cannot)?;
        }
        bar.inc(1);
    }
    file.flush().with_context(cannot)?;
    bar.finish_and_clear();
    talk(&format!("written to {}", a.output.display()));
    let made = json!({"gyms": a.gyms, "members": members, "visits": visits, "exits": exits});
    out.data(&made, |_| {
        format!(
            "{} gyms, {members} members, {visits} visits, {exits} exits",
            a.gyms
        )
    })?;
    Ok(Done::Ok)
}
