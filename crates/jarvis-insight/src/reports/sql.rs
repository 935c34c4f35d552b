//! The statements that a report's numbers come from, for psql.

use super::Report;
use chrono::{DateTime, SecondsFormat, Utc};
use jarvis_db::queries::report::{Chart, Figure};
use std::fmt::Write as _;

/// The statement behind one number or chart.
pub(super) struct Statement {
    pub key: &'static str,
    pub sql: String,
}

/// The statements of a report's numbers and charts, in their order.
pub(super) fn statements(report: &Report) -> Vec<Statement> {
    let figures = report
        .figures
        .iter()
        .filter_map(|reading| Figure::named(&reading.key));
    let charts = report.charts.iter().filter_map(|plot| Chart::named(&plot.key));
    figures
        .map(|figure| statement(figure.key(), figure.sql(), figure.is_of_now()))
        .chain(charts.map(|chart| statement(chart.key(), chart.sql(), chart.is_of_now())))
        .collect()
}

/// A script for psql that gives every number of the report again: settings, then each statement after its name.
pub fn sql(report: &Report) -> String {
    let mut script = settings(report);
    for statement in statements(report) {
        // Writing to a string does not fail.
        let _ = write!(script, "\n\n-- {}\n{}", statement.key, statement.sql);
    }
    script.push('\n');
    script
}

/// The variables of the statements, for psql.
pub(super) fn settings(report: &Report) -> String {
    let at = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    format!(
        "\\set gym '{}'\n\\set from '{}'\n\\set until '{}'\n\\set as_of '{}'",
        report.gym.id,
        at(report.from),
        at(report.until),
        at(report.as_of)
    )
}

/// A statement with psql's variables in the place of its parameters.
fn statement(key: &'static str, sql: &str, is_of_now: bool) -> Statement {
    let names: &[(&str, &str)] = if is_of_now {
        &[("$1", ":'gym'"), ("$2", ":'as_of'")]
    } else {
        &[
            ("$1", ":'gym'"),
            ("$2", ":'from'"),
            ("$3", ":'until'"),
            ("$4", ":'as_of'"),
        ]
    };
    let lines: Vec<_> = sql.trim().lines().map(str::trim).collect();
    let mut sql = lines.join("\n");
    for (parameter, variable) in names {
        sql = sql.replace(parameter, variable);
    }
    Statement {
        key,
        sql: format!("{sql};"),
    }
}
