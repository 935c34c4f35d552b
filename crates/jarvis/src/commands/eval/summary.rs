//! `jarvis eval summary`: whether summaries keep the facts and invent nothing.

use super::{conversations, judged, report::Sets};
use crate::arguments;
use crate::failure::Done;
use crate::output::Output;
use chrono::NaiveDate;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_memory::eval::summary::{Report, measure};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Summarises every conversation of a set.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  jarvis eval summary --set crates/jarvis-memory/eval/extract_test.json --min-kept 0.95"
)]
pub struct Arguments {
    /// The set: a JSON list of labelled conversations
    #[arg(long, value_name = "FILE")]
    set: PathBuf,
    /// The day at which relative dates resolve where a conversation names none; today by default
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// Exit code 3 if a smaller share of the facts is kept
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_kept: Option<f64>,
}

/// Runs the command. An invented piece is a finding whatever the bar.
pub fn run(out: Output, a: &Arguments) -> anyhow::Result<Done> {
    let set = conversations(&a.set)?;
    let today = a.date.unwrap_or_else(|| SystemClock.now().date_naive());
    let report = measure(&set, today);
    out.data(&report, human)?;
    let bar = judged(&[("kept", report.kept, a.min_kept)]);
    Ok(if report.invented > 0 { Done::Findings } else { bar })
}

fn human(report: &Report) -> String {
    let mut text = format!(
        "{}\n\nfacts kept {} of {} ({:.3})\ninvented pieces {} of {}\nmean length {:.0} characters\n",
        report.definition,
        report.facts_kept,
        report.facts,
        report.kept,
        report.invented,
        report.pieces,
        report.mean_length
    );
    for id in &report.misses {
        text.push_str("not kept or invented: ");
        text.push_str(id);
        text.push('\n');
    }
    text
}

/// The section of `docs/eval.md`.
pub fn section(sets: &Sets<'_>) -> anyhow::Result<String> {
    let mut text = format!(
        "## Summaries\n\nExtractive, in the member's words: `jarvis eval summary --set FILE`.\n\n{}\n\n\
         | set | conversations | facts | kept | invented pieces | mean length |\n|---|--:|--:|--:|--:|--:|\n",
        jarvis_memory::eval::summary::DEFINITION
    );
    for split in ["test", "dev"] {
        let r = measure(
            &conversations(&sets.path(&format!("extract_{split}.json")))?,
            sets.day,
        );
        let _ = writeln!(
            text,
            "| `extract_{split}.json` | {} | {} | {:.3} | {} of {} | {:.0} characters |",
            r.conversations, r.facts, r.kept, r.invented, r.pieces, r.mean_length
        );
    }
    Ok(text)
}
