//! `jarvis eval sentiment` and `jarvis eval category`: what the heads and the rules tell of single utterances.

use super::{conversations, judged, report::Sets, text};
use crate::failure::{Done, WithHint, WrongUse};
use crate::output::{Output, table, talk};
use crate::{arguments, wiring};
use jarvis_embed::heads::Heads;
use jarvis_memory::Embedder;
use jarvis_memory::eval::extract::measure_with;
use jarvis_memory::eval::utterances::{DEFINITION, Report, Task, Utterance, measure, read};
use jarvis_memory::heads::Judge;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Tells every utterance of a set and compares with its labels.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The set is a JSON list of {\"label\": \"pos|neu|neg\", \"text\"} or {\"category\": \"goal|…|none\", \"text\"}.
Without the weights of the embedding model the rules tell alone, and the figures say so.
Example:
  jarvis eval sentiment --set crates/jarvis-memory/eval/utterances_test.json --min-accuracy 0.83")]
pub struct Arguments {
    /// The set: a JSON list of labelled utterances
    #[arg(long, value_name = "FILE")]
    set: PathBuf,
    /// Let the rules tell alone, as on a machine without the embedding model
    #[arg(long, conflicts_with = "heads")]
    rules: bool,
    /// Other heads than those of this program, as the example `train_heads` writes them
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
    /// Exit code 3 if the accuracy is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_accuracy: Option<f64>,
    /// Exit code 3 if macro F1 is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_macro_f1: Option<f64>,
}

/// Runs the command.
pub async fn run(out: Output, a: &Arguments, task: Task) -> anyhow::Result<Done> {
    let set = utterances(&a.set, task)?;
    let judge = match &a.heads {
        Some(path) => Some(Judge::with(model().await?, &Heads::read(path)?)?),
        None if a.rules => None,
        None => judge_or_say().await,
    };
    let report = tokio::task::spawn_blocking(move || measure(&set, task, judge.as_ref())).await?;
    out.data(&report, human)?;
    Ok(judged(&[
        ("accuracy", report.accuracy, a.min_accuracy),
        ("macro_f1", report.macro_f1, a.min_macro_f1),
    ]))
}

/// The heads of this program on the local model.
///
/// # Errors
/// Without the weights of the model.
pub async fn judge() -> anyhow::Result<Judge> {
    Ok(Judge::new(model().await?)?)
}

/// As [`judge`]; without the weights, says that the rules tell alone.
pub async fn judge_or_say() -> Option<Judge> {
    let judge = judge().await;
    judge
        .inspect_err(|error| talk(&format!("{error}; the rules tell alone")))
        .ok()
}

async fn model() -> anyhow::Result<Arc<jarvis_embed::LocalEmbedder>> {
    match wiring::local_embedder().await {
        Embedder::Local(model) => Ok(model),
        Embedder::Unavailable(why) => Err(WithHint {
            problem: why,
            hint: "fetch the weights with `scripts/fetch.py`, or name them in JARVIS_E5_WEIGHTS".to_owned(),
        }
        .into()),
        Embedder::Provider(_) => anyhow::bail!("the local model is no provider"),
    }
}

fn utterances(path: &Path, task: Task) -> anyhow::Result<Vec<Utterance>> {
    read(&text(path)?, task).map_err(|error| {
        WrongUse(format!(
            "{}: {error}; a set is a list of {{\"{}\": \"{}\", \"text\": \"…\"}}",
            path.display(),
            task.field(),
            task.classes().join("|")
        ))
        .into()
    })
}

fn human(report: &Report) -> String {
    let rows = report.classes.iter().map(|(name, class)| {
        [
            (*name).to_owned(),
            class.labelled.to_string(),
            class.told.to_string(),
            format!("{:.3}", class.precision),
            format!("{:.3}", class.recall),
            format!("{:.3}", class.f1),
        ]
    });
    let rows = table(["class", "labelled", "told", "precision", "recall", "f1"], rows);
    let mut text = format!(
        "{}\n\n{rows}\n\n{}: accuracy {:.3}, macro F1 {:.3} of {} utterances\n",
        report.definition, report.engine, report.accuracy, report.macro_f1, report.utterances
    );
    for miss in &report.misses {
        let _ = writeln!(text, "{}, told {}: “{}”", miss.labelled, miss.told, miss.text);
    }
    text
}

/// The section of `docs/eval.md`.
pub fn section(sets: &Sets<'_>, judge: &Judge) -> anyhow::Result<String> {
    let mut text = format!(
        "## Sentiment and category of utterances\n\nLearned heads (ridge regression on centred e5, fitted on \
         `utterances_train.json`) added to the rules, and the rules alone, as on a machine without the embedding \
         model: `jarvis eval sentiment --set FILE`, `jarvis eval category --set FILE`. Nothing is fitted on \
         `utterances_test.json`, whose groups are of their own.\n\n{DEFINITION}\n\n\
         | set | what | told by | utterances | accuracy | macro F1 |\n|---|---|---|--:|--:|--:|\n"
    );
    let path = sets.path("utterances_test.json");
    let mut misses = String::new();
    for (task, what) in [(Task::Sentiment, "sentiment"), (Task::Category, "category")] {
        let set = utterances(&path, task)?;
        for judge in [Some(judge), None] {
            let r = measure(&set, task, judge);
            let _ = writeln!(
                text,
                "| `utterances_test.json` | {what} | {} | {} | {:.3} | {:.3} |",
                r.engine, r.utterances, r.accuracy, r.macro_f1
            );
            if judge.is_some() {
                tell_misses(&mut misses, what, &r);
            }
        }
    }
    text.push_str(&conversations_section(sets, judge)?);
    text.push_str(&misses);
    Ok(text)
}

fn tell_misses(text: &mut String, what: &str, report: &Report) {
    let _ = writeln!(text, "\nMisses of {what}, told by {}:\n", report.engine);
    for miss in &report.misses {
        let _ = writeln!(text, "* {}, told {}: “{}”", miss.labelled, miss.told, miss.text);
    }
}

/// The sentiment of whole conversations, which is what a summary stores.
fn conversations_section(sets: &Sets<'_>, judge: &Judge) -> anyhow::Result<String> {
    let mut text = String::from(
        "\nThe sentiment of whole conversations (positive, neutral, negative, mixed), as a summary stores it:\n\n\
         | set | told by | conversations | accuracy |\n|---|---|--:|--:|\n",
    );
    for split in ["test", "dev"] {
        let name = format!("extract_{split}.json");
        let set = conversations(&sets.path(&name))?;
        for judge in [Some(judge), None] {
            let Some(s) = measure_with(&set, sets.day, judge).sentiment else {
                continue;
            };
            let _ = writeln!(
                text,
                "| `{name}` | {} | {} | {:.3} |",
                s.engine, s.sentiments, s.accuracy
            );
        }
    }
    Ok(text)
}
