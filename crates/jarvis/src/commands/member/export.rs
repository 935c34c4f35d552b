//! `jarvis member export`: everything of a member, for the member.

use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::language::Lang;
use crate::output::Output;
use crate::{private_file, wiring};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::queries::privacy as rows;
use jarvis_memory::privacy;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Which member, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Two files, readable by you alone: member.json for machines (GDPR, article 20) and member.html to read (article 15).
They hold health data in plain text: hand them over, then delete the folder. The export is entered in the audit.")]
pub struct Arguments {
    /// Id or badge
    member: String,
    /// The gym, by slug or id
    #[arg(long)]
    gym: Option<String>,
    /// The folder to make; JARVIS keeps no copy
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// The language of the page to read
    #[arg(long, default_value = "fr")]
    lang: Lang,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let desk = connection::desk(global, arguments.gym.as_deref()).await?;
    let id = connection::find_member(&desk, &arguments.member).await?;
    let now = SystemClock.now();
    let folder = &arguments.to;
    let (data, page) = (folder.join("member.json"), folder.join("member.html"));
    if data.exists() || page.exists() {
        return Err(WrongUse(format!(
            "{} holds an export already; name another folder with --to",
            folder.display()
        ))
        .into());
    }
    let memory = wiring::memory_without_model(desk.db.clone());
    let tables = privacy::export(&memory, &desk.scope, desk.gym, id)
        .await?
        .ok_or_else(|| WrongUse("the member was removed just now".to_owned()))?;
    let mut tx = desk.db.begin(&desk.scope).await?;
    let legends = rows::legends(&mut tx).await?;
    tx.commit().await?;
    let tables = tables.as_object().cloned().unwrap_or_default();
    let text = json!({"member_id": id, "gym_id": desk.gym, "exported_at": now, "tables": tables});
    private_file::place(&data, &serde_json::to_string_pretty(&text)?)?;
    private_file::place(
        &page,
        &readable(&tables, &legends, arguments.lang, &now.to_rfc3339()),
    )?;
    let counts: BTreeMap<&str, usize> = tables
        .iter()
        .map(|(name, rows)| (name.as_str(), rows.as_array().map_or(0, Vec::len)))
        .collect();
    let value = json!({"member_id": id, "data": data, "page": page, "rows": counts});
    out.data(&value, |_| {
        format!(
            "{}\n{}\n{} rows of {} tables",
            data.display(),
            page.display(),
            counts.values().sum::<usize>(),
            counts.len()
        )
    })?;
    Ok(Done::Ok)
}

/// What a table is called on the page.
const TITLES: [(&str, &str, &str); 11] = [
    ("public.gym_members_v2", "Votre fiche", "Your file"),
    ("public.member_preferences", "Vos préférences", "Your preferences"),
    (
        "public.member_fitness_profile",
        "Votre profil sportif",
        "Your fitness profile",
    ),
    (
        "public.member_facts",
        "Ce qui est retenu de vous",
        "What is remembered of you",
    ),
    (
        "jarvis.member_fact_history",
        "Comment cela a changé",
        "How that changed",
    ),
    (
        "public.conversation_summaries",
        "Résumés de vos conversations",
        "Summaries of your conversations",
    ),
    (
        "public.conversation_events",
        "Vos conversations",
        "Your conversations",
    ),
    (
        "public.conversation_sessions",
        "Quand vous avez parlé",
        "When you talked",
    ),
    ("public.member_visits", "Vos visites", "Your visits"),
    (
        "jarvis.consent_ledger",
        "Vos accords et refus",
        "What you agreed to and refused",
    ),
    (
        "jarvis.audit_log",
        "Qui a consulté vos données",
        "Who looked at your data",
    ),
];

fn readable(
    tables: &Map<String, Value>,
    legends: &BTreeMap<String, String>,
    lang: Lang,
    when: &str,
) -> String {
    let (title, intro, tag) = match lang {
        Lang::Fr => (
            "Vos données chez JARVIS",
            "Tout ce qui est conservé à votre sujet, tel que c'est conservé, au",
            "fr",
        ),
        Lang::En => (
            "Your data at JARVIS",
            "Everything that is kept about you, as it is kept, on",
            "en",
        ),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{tag}\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>\
         body{{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}\
         dl{{border-top:1px solid #bbb;padding-top:.5em;display:grid;grid-template-columns:14em 1fr;gap:.2em 1em}}\
         dt{{color:#555}}dd{{margin:0;overflow-wrap:anywhere}}</style></head><body>\n<h1>{title}</h1>\n<p>{intro} {}.</p>\n",
        escaped(when)
    );
    let place = |name: &str| {
        TITLES
            .iter()
            .position(|(table, ..)| *table == name)
            .unwrap_or(TITLES.len())
    };
    let mut names: Vec<&String> = tables.keys().collect();
    names.sort_by_key(|name| (place(name), name.as_str()));
    for name in names {
        let known = TITLES.iter().find(|(table, ..)| table == name);
        let heading = match (known, lang) {
            (Some((_, fr, _)), Lang::Fr) => (*fr).to_owned(),
            (Some((_, _, en)), Lang::En) => (*en).to_owned(),
            (None, Lang::Fr) => legends.get(name).unwrap_or(name).clone(),
            (None, Lang::En) => name.clone(),
        };
        writeln!(page, "<h2>{}</h2>", escaped(&heading)).expect("a text grows");
        for row in tables[name].as_array().into_iter().flatten() {
            page.push_str("<dl>");
            for (column, value) in row
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, v)| !v.is_null())
            {
                let said = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let legend = legends
                    .get(&format!("{name}.{column}"))
                    .filter(|_| lang == Lang::Fr);
                write!(
                    page,
                    "<dt title=\"{}\">{}</dt><dd>{}</dd>",
                    escaped(legend.map_or("", String::as_str)),
                    escaped(column),
                    escaped(&said)
                )
                .expect("a text grows");
            }
            page.push_str("</dl>\n");
        }
    }
    page.push_str("</body></html>\n");
    page
}

/// What a member said is text, whatever it looks like.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_text_and_no_page_of_its_own() {
        let tables = json!({"public.member_facts": [{"source_quote": "<script>\"a\" & b", "slot": null}], "jarvis.x": [{"n": 1}]});
        let legends = BTreeMap::from([("jarvis.x".to_owned(), "Autre chose.".to_owned())]);
        let tables = tables.as_object().unwrap();
        let page = readable(tables, &legends, Lang::Fr, "2026-01-01");
        assert!(page.contains("&lt;script&gt;&quot;a&quot; &amp; b") && !page.contains("<script>"));
        assert!(page.contains("Ce qui est retenu de vous") && page.contains("Autre chose."));
        assert!(!page.contains("slot"), "what is empty is left out");
        assert!(readable(tables, &legends, Lang::En, "x").contains("What is remembered of you"));
    }
}
