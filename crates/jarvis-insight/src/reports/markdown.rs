//! A report as Markdown.

use super::Report;
use super::numbers::Style;
use super::view::View;
use super::words::words;
use std::fmt::Write as _;

/// The report as Markdown, with its definitions; ends with a line break.
pub fn markdown(report: &Report, style: Style) -> String {
    let view = View::of(report, style);
    let language = style.language;
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_to(&mut text, &view, language);
    text
}

fn write_to(text: &mut String, view: &View, language: jarvis_core::Language) -> std::fmt::Result {
    let say = |fr, en| words(fr, en).of(language);
    writeln!(text, "# {}\n\n{}", escaped(&view.title), escaped(&view.as_of))?;
    if let Some(warning) = &view.warning {
        writeln!(text, "\n> {}", escaped(warning))?;
    }
    writeln!(text, "\n{}", escaped(&view.summary))?;
    writeln!(text, "\n## {}\n", say("Ce qui ressort", "What stands out"))?;
    for finding in &view.findings {
        writeln!(text, "- {}", escaped(finding))?;
    }
    if view.findings.is_empty() {
        writeln!(
            text,
            "{}",
            say("Rien ne sort de l'ordinaire.", "Nothing out of the ordinary.")
        )?;
    }
    writeln!(text, "\n## {}\n", say("À faire", "To do"))?;
    for action in &view.actions {
        writeln!(
            text,
            "- **{}** — {}",
            escaped(&action.title),
            escaped(&action.description)
        )?;
    }
    if view.actions.is_empty() {
        writeln!(text, "{}", say("Rien de pressant.", "Nothing pressing."))?;
    }
    writeln!(
        text,
        "\n## {}\n\n| | {} | n | {} | {} |\n|---|--:|--:|--:|--:|",
        say("Chiffres", "Numbers"),
        say("valeur", "value"),
        say("avant", "before"),
        say("écart", "change")
    )?;
    for row in &view.rows {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            row.name, row.value, row.n, row.before, row.change
        )?;
    }
    for chart in &view.charts {
        writeln!(text, "\n### {}\n\n{}\n", chart.name, chart.meaning)?;
        if chart.bars.is_empty() {
            writeln!(text, "{}", say("Rien à montrer.", "Nothing to show."))?;
        }
        for bar in &chart.bars {
            writeln!(text, "- {} — {}", escaped(&bar.label), bar.text)?;
        }
    }
    writeln!(text, "\n## {}\n", say("Définitions", "Definitions"))?;
    for row in &view.rows {
        writeln!(text, "- **{}** — {}", row.name, row.meaning)?;
    }
    Ok(())
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#') {
            escaped.push('\\');
        }
        escaped.push(if c.is_control() { ' ' } else { c });
    }
    escaped
}
