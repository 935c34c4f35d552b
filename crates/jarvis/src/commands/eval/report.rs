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
#[command(
    after_help = "Examples:\n  jarvis eval report --write docs/eval.md\n  jarvis eval report --locomo locomo10.json --write docs/eval.md"
)]
pub struct Arguments {
    /// The folder of the sets
    #[arg(long, value_name = "FOLDER", default_value = "crates/jarvis-memory/eval")]
    sets: PathBuf,
    /// Writes the page there instead of to standard output
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// data/locomo10.json of snap-research/LoCoMo (CC BY-NC: fetch it yourself), measured too; without it, what the page to
    /// write tells of it stays
    #[arg(long, value_name = "FILE")]
    locomo: Option<PathBuf>,
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
    let elsewhere = match (&a.locomo, &a.write) {
        (Some(path), _) => recall::locomo_section(path).await?,
        (None, Some(path)) => standing(&std::fs::read_to_string(path).unwrap_or_default()).to_owned(),
        (None, None) => String::new(),
    };
    let page = page(&sets, &judge, [recalled, elsewhere])?;
    match &a.write {
        Some(path) => {
            std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
            talk(&format!("written to {}", path.display()));
        }
        None => out.data(&serde_json::json!({ "page": page }), |_| page.clone())?,
    }
    Ok(Done::Ok)
}

/// What a page tells of a set that is not here; it is the last section.
fn standing(page: &str) -> &str {
    page.find(recall::LOCOMO).map_or("", |at| &page[at..])
}

fn page(sets: &Sets<'_>, judge: &Judge, recalled: [String; 2]) -> anyhow::Result<String> {
    let own = [
        extract::section(sets)?,
        summary::section(sets)?,
        utterances::section(sets, judge)?,
    ];
    let sections = own
        .into_iter()
        .chain(recalled)
        .filter(|section| !section.is_empty());
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

    #[test]
    fn what_was_measured_on_a_set_that_is_not_here_stays_on_the_page() {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/eval.md")).unwrap();
        let kept = standing(&page);
        assert!(kept.starts_with(recall::LOCOMO) && page.ends_with(kept));
        assert_eq!(standing("# a page without it"), "");
        let row = kept.lines().find(|line| line.starts_with("| all |")).unwrap();
        let figures: Vec<f64> = row
            .split('|')
            .filter_map(|cell| cell.trim().parse().ok())
            .collect();
        let [questions, _, _, _, r_at_10, r_at_20, _, _, _, session] = figures[..] else {
            panic!("{row}")
        };
        assert!(
            questions > 1_980.0 && r_at_10 >= 0.78 && r_at_20 >= 0.84 && session >= 0.94,
            "{row}"
        );
    }

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
