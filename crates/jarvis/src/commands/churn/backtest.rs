//! `jarvis churn backtest`: on a file of histories, or on gyms that are made up for it.

use super::figures;
use crate::commands::bench::page::replaced;
use crate::commands::simulate::{Line, Size};
use crate::failure::{Done, WrongUse};
use crate::language::Lang;
use crate::output::{Output, progress, talk};
use anyhow::Context as _;
use chrono::{NaiveDate, TimeDelta};
use jarvis_insight::churn::BASE_RATE;
use jarvis_insight::churn::backtest::{Report, Verdict, backtest};
use jarvis_insight::churn::history::History;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Every 30 days, after the first year, a model is fitted on what was known by then and scores who is at risk; 30 days later
it is known who left. Under 20 exits there is no AUC.

Examples:
  jarvis churn backtest gyms.ndjson
  jarvis churn backtest --seeds 10 --page docs   # the figures of docs/churn.md

Exit codes: 0 ok, 1 failure, 2 wrong use, 3 too few exits, or AUC less than 0.08 above recency, or observed ÷ expected
exits outside 0.8 to 1.25.";

/// On what, and as of when.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Histories as `jarvis simulate` writes them, one member a line
    #[arg(
        value_name = "FILE",
        required_unless_present = "seeds",
        conflicts_with = "seeds"
    )]
    file: Option<PathBuf>,
    /// Makes up gyms of the seeds 1 to N, and tells the median
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: Option<u64>,
    #[command(flatten)]
    size: Size,
    /// The share of members that is believed to leave in 30 days, before any exit is seen
    #[arg(long, value_name = "SHARE", default_value_t = BASE_RATE, value_parser = share)]
    base_rate: f64,
    /// Writes the figures into churn.md and churn.fr.md of this folder
    #[arg(long, value_name = "FOLDER", requires = "seeds")]
    page: Option<PathBuf>,
    /// The language [default: that of the terminal]
    #[arg(long)]
    lang: Option<Lang>,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text
        .parse()
        .map_err(|_| "a number such as 0.034 is wanted".to_owned())?;
    if share > 0.0 && share < 0.5 {
        Ok(share)
    } else {
        Err("it must be above 0 and below 0.5".to_owned())
    }
}

/// Runs the command.
pub fn run(out: Output, a: &Arguments) -> anyhow::Result<Done> {
    let lang = Lang::or_of_surroundings(a.lang);
    if let (Some(path), None) = (&a.file, a.seeds) {
        return of_file(out, a, path, lang);
    }
    let pages = pages(a.page.as_deref())?;
    let seeds = a.seeds.unwrap_or(1);
    let bar = progress(seeds);
    let mut reports = Vec::new();
    for seed in 1..=seeds {
        reports.push(backtest(&a.size.gym(seed).simulate(), a.size.end, a.base_rate));
        bar.inc(1);
    }
    bar.finish_and_clear();
    for (path, lang) in &pages {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = replaced(&text, "backtest", &figures::of_many(&reports, a.size, *lang))
            .with_context(|| format!("{} has no marks for `backtest`", path.display()))?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        talk(&format!("written to {}", path.display()));
    }
    out.data(&json!({ "seeds": reports }), |_| {
        figures::of_many(&reports, a.size, lang)
    })?;
    Ok(if figures::median_holds(&reports) {
        Done::Ok
    } else {
        Done::Findings
    })
}

fn pages(folder: Option<&Path>) -> anyhow::Result<Vec<(PathBuf, Lang)>> {
    let Some(folder) = folder else {
        return Ok(Vec::new());
    };
    let pages =
        [("churn.md", Lang::En), ("churn.fr.md", Lang::Fr)].map(|(name, lang)| (folder.join(name), lang));
    match pages.iter().find(|(path, _)| !path.is_file()) {
        Some((path, _)) => Err(WrongUse(format!("--page: there is no {}", path.display())).into()),
        None => Ok(pages.into()),
    }
}

fn of_file(out: Output, a: &Arguments, path: &Path, lang: Lang) -> anyhow::Result<Done> {
    let gyms = read(path)?;
    let mut reports: BTreeMap<u32, Report> = BTreeMap::new();
    for (gym, histories) in &gyms {
        reports.insert(*gym, backtest(histories, end_of(histories), a.base_rate));
    }
    out.data(&reports, |reports| {
        let one = |(gym, report): (&u32, &Report)| figures::of_one(*gym, report, lang);
        reports.iter().map(one).collect::<Vec<_>>().join("\n")
    })?;
    Ok(if reports.values().all(|r| r.verdict == Verdict::Holds) {
        Done::Ok
    } else {
        Done::Findings
    })
}

/// The day after the last visit or contract event: what came later is not known.
fn end_of(histories: &[History]) -> NaiveDate {
    let days = |h: &History| {
        let visits = h.visits.iter().map(|v| v.on);
        let contract = h.contract.iter().map(|e| e.recorded);
        visits.chain(contract).chain([h.joined]).max()
    };
    histories.iter().filter_map(days).max().unwrap_or_default() + TimeDelta::days(1)
}

fn read(path: &Path) -> anyhow::Result<BTreeMap<u32, Vec<History>>> {
    let cannot = || format!("cannot read {}", path.display());
    let file = std::io::BufReader::new(std::fs::File::open(path).with_context(cannot)?);
    let mut gyms: BTreeMap<u32, Vec<History>> = BTreeMap::new();
    for (n, line) in file.lines().enumerate() {
        let line = line.with_context(cannot)?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).map_err(|error| {
            WrongUse(format!(
                "{}, line {}: {error}; `jarvis simulate` writes such a file",
                path.display(),
                n + 1
            ))
        })?;
        gyms.entry(line.gym).or_default().push(line.history);
    }
    if gyms.is_empty() {
        return Err(WrongUse(format!(
            "{} has no member; `jarvis simulate` writes such a file",
            path.display()
        ))
        .into());
    }
    Ok(gyms)
}
