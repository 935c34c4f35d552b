//! `jarvis member export`: everything of a member, for the member.

use super::kept_exports as kept;
use crate::commands::backup::KeyFile;
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::language::Lang;
use crate::output::{Output, talk};
use crate::{private_file, wiring};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup;
use jarvis_db::queries::privacy as rows;
use jarvis_memory::privacy;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The names of the two files; `.age` follows where they are encrypted.
const FILES: [&str; 2] = ["member.json", "member.html"];

/// Which member, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Two files: member.json for machines (GDPR, article 20) and member.html to read (article 15), encrypted with the key of the
backups (`jarvis backup key`). `jarvis member open-export FOLDER --to USB` makes them readable, and so do age and rage.
What JARVIS keeps of them in its data folder goes after 30 days, and when the member is erased.
With --plain they are readable at once: hand them over, then delete the folder. The export is entered in the audit.")]
pub struct Arguments {
    /// Id or badge
    member: String,
    /// The gym, by slug or id
    #[arg(long)]
    gym: Option<String>,
    /// The folder to make [default: one of its own in the folder exports of the data folder]
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    #[command(flatten)]
    key: KeyFile,
    /// Readable files, without encryption
    #[arg(long, requires = "to")]
    plain: bool,
    /// The language of the page to read
    #[arg(long, default_value = "fr")]
    lang: Lang,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let keys = if arguments.plain {
        None
    } else {
        Some(arguments.key.read(global)?)
    };
    let desk = connection::desk(global, arguments.gym.as_deref()).await?;
    let id = connection::find_member(&desk, &arguments.member).await?;
    let now = SystemClock.now();
    let home = connection::home(global)?;
    kept::drop_old(&home, now)?;
    let folder = arguments.to.unwrap_or_else(|| kept::folder(&home, id, now));
    let [data, page] = FILES.map(|name| match &keys {
        Some(_) => folder.join(format!("{name}.age")),
        None => folder.join(name),
    });
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
    let readable = readable(&tables, &legends, arguments.lang, &now.to_rfc3339());
    for (path, text) in [(&data, serde_json::to_string_pretty(&text)?), (&page, readable)] {
        let content = match &keys {
            Some(keys) => backup::seal(keys, path, text.as_bytes())?,
            None => text.into_bytes(),
        };
        private_file::place(path, content)?;
    }
    let counts: BTreeMap<&str, usize> = tables
        .iter()
        .map(|(name, rows)| (name.as_str(), rows.as_array().map_or(0, Vec::len)))
        .collect();
    let value =
        json!({"member_id": id, "data": data, "page": page, "encrypted": keys.is_some(), "rows": counts});
    out.data(&value, |_| {
        format!(
            "{}\n{}\n{} rows of {} tables",
            data.display(),
            page.display(),
            counts.values().sum::<usize>(),
            counts.len()
        )
    })?;
    if keys.is_none() {
        talk("They are not encrypted: hand them over, then delete the folder.");
    }
    Ok(Done::Ok)
}

/// Which export to open, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needs the secret key of the backups, and writes two readable files: hand them over, then delete the folder.")]
pub struct OpenArguments {
    /// The folder that `jarvis member export` made
    folder: PathBuf,
    /// The folder to make
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    #[command(flatten)]
    key: KeyFile,
}

/// Makes the files of an export readable.
pub fn open(global: &Global, out: Output, arguments: &OpenArguments) -> anyhow::Result<Done> {
    let keys = arguments.key.read(global)?;
    let targets = FILES.map(|name| arguments.to.join(name));
    if let Some(there) = targets.iter().find(|path| path.exists()) {
        return Err(WrongUse(format!(
            "{} is there already; nothing is replaced",
            there.display()
        ))
        .into());
    }
    // Both are opened before one is written: a wrong key or a damaged file leaves nothing behind.
    let sealed = FILES.map(|name| arguments.folder.join(format!("{name}.age")));
    if let Some(missing) = sealed.iter().find(|path| !path.is_file()) {
        return Err(WrongUse(format!(
            "{} is not there; name the folder that `jarvis member export` made",
            missing.display()
        ))
        .into());
    }
    let texts = [
        backup::unseal(&sealed[0], &keys)?,
        backup::unseal(&sealed[1], &keys)?,
    ];
    for (path, text) in targets.iter().zip(texts) {
        private_file::place(path, text)?;
    }
    let [data, page] = &targets;
    out.data(&json!({"data": data, "page": page}), |_| {
        format!("{}\n{}", data.display(), page.display())
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
