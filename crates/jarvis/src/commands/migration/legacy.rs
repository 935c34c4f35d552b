use super::Stated;
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, spinner, table, talk};
use jarvis_db::migrations::legacy::{self, Report, Statements};
use std::collections::BTreeMap;

/// What to import, and what the operator states.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --yes nothing is changed: it says what would be. Members cannot be changed while it runs, in a plan too.
Health and everything else a member told needs their consent here. Without one it is held back, and goes on by itself
when the member agrees. What they agreed to at the predecessor's can be stated for all of them; an answer given here
since is never overridden, and under 15 only a guardian can agree.
Example:
  jarvis migration legacy --consent imported:memory,health_memory --yes")]
pub struct Arguments {
    /// Do it
    #[arg(long)]
    yes: bool,
    /// What the members agreed to before, such as imported:memory,health_memory
    #[arg(long, value_name = "imported:PURPOSE,…")]
    consent: Option<Stated>,
    /// A gym of the predecessor and which of ours it is: its identifier = slug or id
    #[arg(long, value_name = "OLD=GYM", value_parser = pair)]
    gym: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, gym)) if !old.trim().is_empty() && !gym.trim().is_empty() => {
            Ok((old.trim().to_owned(), gym.trim().to_owned()))
        }
        _ => Err("write it as OLD=GYM, such as 7=lyon".to_owned()),
    }
}

#[derive(serde::Serialize)]
struct Answer {
    done: bool,
    #[serde(flatten)]
    report: Report,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let statements = Statements {
        consents: arguments.consent.clone().map(|s| s.0).unwrap_or_default(),
        gyms: arguments.gym.clone(),
    };
    let bar = spinner(if arguments.yes {
        "importing"
    } else {
        "rehearsing the import"
    });
    let imported = legacy::import(&urls.admin, &statements, arguments.yes).await;
    bar.finish_and_clear();
    let answer = Answer {
        done: arguments.yes,
        report: imported?,
    };
    out.data(&answer, |a| for_people(&a.report))?;
    if !out.is_json() && !arguments.yes && !answer.report.tables.is_empty() {
        talk("nothing was changed: this is what would be; repeat with --yes to do it");
    }
    Ok(if answer.report.is_complete() {
        Done::Ok
    } else {
        Done::Findings
    })
}

fn for_people(report: &Report) -> String {
    if report.tables.is_empty() && report.reconciliation.is_empty() {
        return "the predecessor left nothing in this database".to_owned();
    }
    let lines = report.reconciliation.iter().map(|l| {
        [
            l.table.clone(),
            l.column.clone(),
            l.found.to_string(),
            l.imported.to_string(),
            l.held.to_string(),
            l.dropped.to_string(),
            l.refused.to_string(),
            l.repaired.to_string(),
            reasons(&l.reasons),
        ]
    });
    let mut text = table(
        [
            "table", "column", "found", "imported", "held", "dropped", "refused", "repaired", "why",
        ],
        lines,
    );
    text.push_str("\n\n");
    text.push_str(&super::cleanup::tables_for_people(&report.tables));
    if !report.doubts.is_empty() {
        let rows = report.doubts.iter().map(|d| {
            [
                d.table.clone(),
                d.row.clone(),
                d.column.clone().unwrap_or_default(),
                d.reason.clone(),
            ]
        });
        text.push_str("\n\n");
        text.push_str(&table(["look at", "row", "column", "why"], rows));
    }
    text
}

pub(super) fn reasons(reasons: &BTreeMap<String, i64>) -> String {
    let words: Vec<String> = reasons
        .iter()
        .map(|(reason, n)| format!("{reason} {n}"))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pair_is_read_as_it_was_written(
            old in "[^=\\s]([^=]{0,10}[^=\\s])?", gym in "\\S(.{0,10}\\S)?", space in " {0,2}",
        ) {
            let text = format!("{space}{old}{space}={space}{gym}{space}");
            prop_assert_eq!(pair(&text), Ok((old, gym)));
        }

        #[test]
        fn a_pair_with_an_empty_side_or_without_a_sign_is_refused(side in "[^=]{0,10}", space in "[ \\t]{0,3}") {
            for text in [side.clone(), format!("{side}={space}"), format!("{space}={side}")] {
                prop_assert!(pair(&text).is_err(), "{text:?}");
            }
        }
    }

    #[test]
    fn a_gym_is_stated_as_a_pair() {
        assert_eq!(pair(" 7 = lyon "), Ok(("7".to_owned(), "lyon".to_owned())));
        for wrong in ["lyon", "=lyon", "7=", ""] {
            assert!(pair(wrong).is_err(), "{wrong}");
        }
    }
}
