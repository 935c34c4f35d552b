//! `jarvis eval report`: the page of all figures. Every section is a module's own `section`.

use super::{extract, recall, summary, utterances};
use crate::failure::{Done, WrongUse};
use crate::output::{Output, talk};
use anyhow::Context;
use chrono::NaiveDate;
use jarvis_memory::heads::Judge;
use std::path::{Path, PathBuf};

/// The day at which relative dates of the sets resolve, so that the page reads the same every day.
const DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 3, 18).expect("a day of the calendar");

/// Measures on every set of the repository and writes the page.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  jarvis eval report --write docs/eval.md")]
pub struct Arguments {
    /// The folder of the sets
    #[arg(long, value_name = "FOLDER", default_value = "crates/jarvis-memory/eval")]
    sets: PathBuf,
    /// Writes the page there instead of to standard output
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Where the sets are, and their day.
pub struct Sets<'a> {
    folder: &'a Path,
    /// The day at which relative dates resolve.
    pub day: NaiveDate,
}

impl<'a> Sets<'a> {
    /// The sets of a folder.
    pub fn of(folder: &'a Path) -> Self {
        Self { folder, day: DAY }
    }

    /// The file of a set.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Runs the command.
pub async fn run(out: Output, a: &Arguments) -> anyhow::Result<Done> {
    if !a.sets.is_dir() {
        let folder = a.sets.display();
        return Err(WrongUse(format!(
            "{folder} is no folder; run this in the checkout or name one with --sets"
        ))
        .into());
    }
    let judge = utterances::judge().await?;
    let sets = Sets::of(&a.sets);
    let recalled = recall::section(&sets).await?;
    let page = page(&sets, &judge, recalled)?;
    match &a.write {
        Some(path) => {
            std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
            talk(&format!("written to {}", path.display()));
        }
        None => out.data(&serde_json::json!({ "page": page }), |_| page.clone())?,
    }
    Ok(Done::Ok)
}

fn page(sets: &Sets<'_>, judge: &Judge, recalled: String) -> anyhow::Result<String> {
    let sections = [
        extract::section(sets)?,
        summary::section(sets)?,
        utterances::section(sets, judge)?,
        recalled,
    ];
    let mut text = String::from(
        "# What memory understands, in figures\n\n\
         <!-- Written by `make eval`; do not edit. -->\n\n\
         Measured on the labelled sets in `crates/jarvis-memory/eval`, all misses told. `make eval` measures again and \
         writes this page.\n",
    );
    for section in sections {
        text.push('\n');
        text.push_str(section.trim_end());
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_tells_what_the_heads_reach_today_and_they_reach_their_bars() {
        let Ok(judge) = utterances::judge().await else {
            println!("skipped: the weights of the embedding model are not here");
            return;
        };
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let page = std::fs::read_to_string(root.join("docs/eval.md")).unwrap();
        let folder = root.join("crates/jarvis-memory/eval");
        let section = utterances::section(&Sets::of(&folder), &judge).unwrap();
        assert!(
            page.contains(section.trim_end()),
            "write docs/eval.md again with `make eval`"
        );
        for (what, bar) in [("sentiment", 0.83), ("category", 0.80)] {
            let row = format!("| `utterances_test.json` | {what} | heads + rules |");
            let row = section.lines().find(|line| line.starts_with(&row)).unwrap();
            let accuracy: f64 = row.split('|').nth(5).unwrap().trim().parse().unwrap();
            assert!(accuracy >= bar, "{what} {accuracy} is below {bar}");
        }
    }

    /// The rules are quick and need no model, so that their sections can be compared in every test run.
    #[test]
    fn the_page_tells_what_the_rules_reach_today() {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let page = std::fs::read_to_string(root.join("docs/eval.md")).unwrap();
        let folder = root.join("crates/jarvis-memory/eval");
        let sets = Sets::of(&folder);
        for section in [extract::section(&sets).unwrap(), summary::section(&sets).unwrap()] {
            assert!(
                page.contains(section.trim_end()),
                "write docs/eval.md again with `make eval`"
            );
        }
    }
}
