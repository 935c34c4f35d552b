//! A report as one page that prints on A4: the report on the first, the statements behind its numbers on the second.

use super::numbers::Style;
use super::view::{Drawing, View};
use super::words::words;
use super::{Priority, Report, sql, svg};
use jarvis_core::Language;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("report.css");

/// The report as a page that stands alone: no script, nothing loaded from elsewhere.
pub fn html(report: &Report, style: Style) -> String {
    let view = View::of(report, style);
    let language = style.language.message_language();
    let code = if language == Language::Fr { "fr" } else { "en" };
    let page = html! {
        (DOCTYPE)
        html lang=(code) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (view.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (report_page(&view, language))
                (statements_page(report, language))
            }
        }
    };
    page.into_string()
}

fn report_page(view: &View, language: Language) -> Markup {
    let say = |fr, en| words(fr, en).of(language);
    html! {
        main {
            h1 { (view.title) }
            p.as-of { (view.as_of) }
            @if let Some(warning) = &view.warning { p.warning { (warning) } }
            p.summary { (view.summary) }
            div.columns {
                section {
                    h2 { (say("Ce qui ressort", "What stands out")) }
                    @if view.findings.is_empty() { p { (say("Rien ne sort de l'ordinaire.", "Nothing out of the ordinary.")) } }
                    ul { @for finding in &view.findings { li { (finding) } } }
                }
                section {
                    h2 { (say("À faire", "To do")) }
                    @if view.actions.is_empty() { p { (say("Rien de pressant.", "Nothing pressing.")) } }
                    ul {
                        @for action in &view.actions {
                            li class=[(action.priority == Priority::Urgent).then_some("urgent")] {
                                strong { (action.title) } " — " (action.description)
                            }
                        }
                    }
                }
            }
            table {
                thead {
                    tr {
                        th scope="col" { (say("Chiffres", "Numbers")) }
                        th scope="col" { (say("valeur", "value")) }
                        th scope="col" { "n" }
                        th scope="col" { (say("avant", "before")) }
                        th scope="col" { (say("écart", "change")) }
                    }
                }
                tbody {
                    @for row in &view.rows {
                        tr {
                            th scope="row" { (row.name) small { (row.meaning) } }
                            td { (row.value) }
                            td { (row.n) }
                            td { (row.before) }
                            td { (row.change) }
                        }
                    }
                }
            }
            div.columns { @for chart in &view.charts { (drawn(chart, language)) } }
        }
    }
}

fn drawn(chart: &Drawing, language: Language) -> Markup {
    let empty = chart.bars.iter().all(|bar| bar.value == 0.0);
    html! {
        figure {
            figcaption { strong { (chart.name) } small { (chart.meaning) } }
            @if empty { p { (words("Rien à montrer.", "Nothing to show.").of(language)) } } @else { (svg::bars(chart)) }
        }
    }
}

fn statements_page(report: &Report, language: Language) -> Markup {
    let say = |fr, en| words(fr, en).of(language);
    html! {
        section.statements {
            h2 { (say("D'où vient chaque chiffre", "Where each number comes from")) }
            p { (say(
                "Chaque instruction, jouée dans psql après ces réglages, redonne le chiffre de ce nom : sa valeur et n.",
                "Each statement, run in psql after these settings, gives the number of that name again: its value and n.",
            )) }
            pre { (sql::settings(report)) }
            div.queries {
                @for statement in sql::statements(report) {
                    div { h3 { (statement.key) } pre data-key=(statement.key) { (statement.sql) } }
                }
            }
        }
    }
}
