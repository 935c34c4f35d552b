//! `jarvis eval extract`: what the rules read out of labelled conversations.

use super::{conversations, judged, report::Sets, utterances};
use crate::arguments;
use crate::failure::{Done, WrongUse};
use crate::output::{Output, table};
use chrono::NaiveDate;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_memory::eval::extract::{Report, measure, measure_with};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Extracts from every conversation of a set and compares with its labels.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  jarvis eval extract --set crates/jarvis-memory/eval/extract_test.json --min-precision 0.9"
)]
pub struct Arguments {
    /// The set: a JSON list of labelled conversations
    #[arg(long, value_name = "FILE")]
    set: PathBuf,
    /// The day at which relative dates resolve where a conversation names none; today by default
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// Exit code 3 if the precision is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_precision: Option<f64>,
    /// Exit code 3 if the recall is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_recall: Option<f64>,
    /// Exit code 3 if F1 is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_f1: Option<f64>,
    /// Exit code 3 if the accuracy of the sentiment is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_accuracy: Option<f64>,
}

/// Runs the command. A fact from the assistant's words is a finding whatever the bars.
pub async fn run(out: Output, a: &Arguments) -> anyhow::Result<Done> {
    let set = conversations(&a.set)?;
    if a.min_accuracy.is_some() && set.iter().all(|c| c.sentiment.is_none()) {
        return Err(WrongUse(format!(
            "--min-accuracy: no conversation of {} has a `sentiment` to compare with; label some, or leave the bar out",
            a.set.display()
        ))
        .into());
    }
    let today = a.date.unwrap_or_else(|| SystemClock.now().date_naive());
    let judge = if set.iter().any(|c| c.sentiment.is_some()) {
        utterances::judge_or_say().await
    } else {
        None
    };
    let report = measure_with(&set, today, judge.as_ref());
    out.data(&report, human)?;
    let accuracy = report.sentiment.as_ref().map_or(1.0, |s| s.accuracy);
    let bars = judged(&[
        ("precision", report.total.precision, a.min_precision),
        ("recall", report.total.recall, a.min_recall),
        ("f1", report.total.f1, a.min_f1),
        ("accuracy", accuracy, a.min_accuracy),
    ]);
    Ok(if report.facts_from_assistant > 0 {
        Done::Findings
    } else {
        bars
    })
}

fn human(report: &Report) -> String {
    let mut text = format!("{}\n\n{}\n", report.definition, figures(report));
    for miss in &report.misses {
        let _ = writeln!(
            text,
            "missed      {}: {} {}",
            miss.id,
            miss.category.as_str(),
            miss.matches
        );
    }
    for extra in &report.false_positives {
        let _ = writeln!(
            text,
            "not labelled {}: {} {} “{}”",
            extra.id,
            extra.category.as_str(),
            extra.fact_key,
            extra.quote
        );
    }
    for miss in report.sentiment.iter().flat_map(|s| &s.sentiment_misses) {
        let (labelled, found) = (miss.labelled.as_str(), miss.found.as_str());
        let _ = writeln!(text, "sentiment   {}: {labelled}, told {found}", miss.id);
    }
    text
}

fn figures(report: &Report) -> String {
    let total = [("all", report.total)];
    let rows = report
        .categories
        .iter()
        .map(|(name, score)| (*name, *score))
        .chain(total);
    let rows = rows.map(|(name, s)| {
        [
            name.to_owned(),
            s.labelled.to_string(),
            s.found.to_string(),
            s.right.to_string(),
            format!("{:.3}", s.precision),
            format!("{:.3}", s.recall),
            format!("{:.3}", s.f1),
        ]
    });
    let table = table(
        [
            "category",
            "labelled",
            "found",
            "right",
            "precision",
            "recall",
            "f1",
        ],
        rows,
    );
    let feelings = report.sentiment.as_ref().map_or_else(String::new, |s| {
        format!(
            "\nsentiment ({}): accuracy {:.3} of {} conversations",
            s.engine, s.accuracy, s.sentiments
        )
    });
    format!(
        "{table}\n\nfacts from the assistant's words: {}{feelings}\nextractor {}\n",
        report.facts_from_assistant, report.extractor
    )
}

/// The section of `docs/eval.md`.
pub fn section(sets: &Sets<'_>) -> anyhow::Result<String> {
    let mut text = String::from(
        "## Extraction\n\nWhat the rules (no model) read out of labelled conversations: \
         `jarvis eval extract --set FILE`. The rules are tuned on `dev`; nobody looks at `test` while tuning, so that \
         its figures are the ones to expect of new members.\n",
    );
    for (index, split) in ["test", "dev"].into_iter().enumerate() {
        let report = measure(
            &conversations(&sets.path(&format!("extract_{split}.json")))?,
            sets.day,
        );
        if index == 0 {
            let _ = writeln!(text, "\n{}\n", report.definition);
        }
        let _ = writeln!(
            text,
            "### `extract_{split}.json`, {} conversations\n",
            report.conversations
        );
        text.push_str(&split_figures(&report));
    }
    Ok(text)
}

fn split_figures(report: &Report) -> String {
    let mut text = String::from(
        "| category | labelled | found | right | precision | recall | F1 |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let total = [("**all**", report.total)];
    for (name, s) in report.categories.iter().map(|(n, s)| (*n, *s)).chain(total) {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {:.3} | {:.3} | {:.3} |",
            s.labelled, s.found, s.right, s.precision, s.recall, s.f1
        );
    }
    let _ = writeln!(
        text,
        "\nFacts from the assistant's words: {}. Extractor `{}`.\n",
        report.facts_from_assistant, report.extractor
    );
    for miss in &report.misses {
        let _ = writeln!(
            text,
            "* missed in {}: {} `{}`",
            miss.id,
            miss.category.as_str(),
            miss.matches
        );
    }
    for extra in &report.false_positives {
        let (category, key) = (extra.category.as_str(), &extra.fact_key);
        let _ = writeln!(
            text,
            "* not labelled in {}: {category} `{key}`, “{}”",
            extra.id, extra.quote
        );
    }
    text.push('\n');
    text
}
