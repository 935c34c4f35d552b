//! The table as a page of the documentation.

use super::{ALERTS, Spec, TABLE, Text};
use std::fmt::Write as _;

const INTRO: Text = Text {
    en: include_str!("intro.md"),
    fr: include_str!("intro.fr.md"),
};

const HEADINGS: Text = Text {
    en: "| metric | type | labels | what it counts | when to worry |",
    fr: "| métrique | type | étiquettes | ce qu'elle compte | quand s'inquiéter |",
};

const RULES: Text = Text {
    en: include_str!("rules.md"),
    fr: include_str!("rules.fr.md"),
};

/// The page in English, or in French.
pub fn page(french: bool) -> String {
    let of = |text: Text| if french { text.fr } else { text.en };
    let cell = |text: &str| text.replace('|', "\\|");
    let mut page = format!("{}\n{}\n|---|---|---|---|---|\n", of(INTRO), of(HEADINGS));
    for Spec {
        name,
        kind,
        labels,
        meaning,
        worry,
        ..
    } in TABLE
    {
        let labels = labels
            .iter()
            .map(|l| format!("`{l}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let (kind, meaning, worry) = (kind.as_str(), cell(of(*meaning)), cell(of(*worry)));
        writeln!(page, "| `{name}` | {kind} | {labels} | {meaning} | {worry} |").expect("a string takes it");
    }
    page.push_str(of(RULES));
    for alert in ALERTS {
        writeln!(
            page,
            "| {} | `{}` | {} | {} | {} |",
            alert.name,
            cell(alert.expr),
            alert.lasting,
            alert.severity,
            cell(of(alert.meaning))
        )
        .expect("a string takes it");
    }
    page
}
