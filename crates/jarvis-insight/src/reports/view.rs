//! A report as it is shown, whatever the form: every cell as text, in one language, for one audience.

use super::definitions::{definition_of_chart, definition_of_figure};
use super::numbers::{NONE, Style, change, number, shown, shown_n};
use super::wording::{Action, actions, age_of_analytics, as_of, findings, label, summary, title};
use super::{Plot, Reading, Report};
use jarvis_db::queries::report::{Chart, Figure};

/// Everything that is shown.
pub(super) struct View {
    pub title: String,
    pub as_of: String,
    /// That the analytics are old, when they are.
    pub warning: Option<String>,
    pub summary: String,
    pub findings: Vec<String>,
    pub actions: Vec<Action>,
    pub rows: Vec<Row>,
    pub charts: Vec<Drawing>,
}

pub(super) struct Row {
    pub name: &'static str,
    pub meaning: &'static str,
    pub value: String,
    pub n: String,
    pub before: String,
    pub change: String,
}

pub(super) struct Drawing {
    pub name: &'static str,
    pub meaning: &'static str,
    pub bars: Vec<Column>,
}

pub(super) struct Column {
    pub label: String,
    /// The number, as it is written.
    pub text: String,
    /// Its height; 0 where the number is hidden.
    pub value: f64,
}

impl View {
    pub fn of(report: &Report, style: Style) -> Self {
        let language = style.language;
        let figures: Vec<_> = report
            .figures
            .iter()
            .filter_map(|reading| Some((Figure::named(&reading.key)?, reading)))
            .collect();
        let charts: Vec<_> = report
            .charts
            .iter()
            .filter_map(|plot| Some((Chart::named(&plot.key)?, plot)))
            .collect();
        let warning = age_of_analytics(report, language);
        // Said once, at the top.
        let findings = findings(report, style)
            .into_iter()
            .filter(|finding| warning.as_ref() != Some(finding))
            .collect();
        Self {
            title: title(report, language),
            as_of: as_of(report, language),
            warning,
            summary: summary(report, style),
            findings,
            actions: actions(report, style),
            rows: figures
                .into_iter()
                .map(|(figure, reading)| row(figure, reading, style))
                .collect(),
            charts: charts
                .into_iter()
                .map(|(chart, plot)| drawing(chart, plot, style))
                .collect(),
        }
    }
}

fn row(figure: Figure, reading: &Reading, style: Style) -> Row {
    let definition = definition_of_figure(figure);
    let before = reading.before;
    Row {
        name: definition.name.of(style.language),
        meaning: definition.meaning.of(style.language),
        value: shown(figure, reading.value, reading.n, style),
        n: shown_n(reading.n, style),
        before: before.map_or_else(
            || NONE.to_owned(),
            |before| shown(figure, before.value, before.n, style),
        ),
        change: change(figure, reading, style),
    }
}

fn drawing(chart: Chart, plot: &Plot, style: Style) -> Drawing {
    let (name, meaning) = definition_of_chart(chart);
    let column = |bar: &super::Bar| {
        let hidden = style.hides(bar.value);
        Column {
            label: label(&bar.label, style.language),
            text: if hidden {
                super::numbers::hidden(style)
            } else {
                number(bar.value, 0, style.language)
            },
            value: if hidden { 0.0 } else { bar.value },
        }
    };
    Drawing {
        name: name.of(style.language),
        meaning: meaning.of(style.language),
        bars: plot.bars.iter().map(column).collect(),
    }
}
