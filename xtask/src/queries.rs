//! `.sqlx`: what PostgreSQL says of every checked query, so that the workspace builds without a database.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::postgres::Server;

/// The one crate whose queries are checked at compile time.
const CRATE: &str = "jarvis-db";

/// Describe all queries against a migrated database; write `.sqlx`, or with `check` compare with it and return
/// what differs.
pub fn prepare(root: &Path, check: bool) -> Result<Vec<String>> {
    let server = Server::start()?;
    server.create_migrated(root, "jarvis_queries")?;
    let scratch = std::env::temp_dir().join(format!("jarvis-sqlx-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let described = describe(root, &server.url("jarvis_queries"), &scratch).and_then(|()| read(&scratch));
    fs::remove_dir_all(&scratch).ok();
    drop(server);
    let fresh = described?;
    let committed = read(&root.join(".sqlx"))?;
    if check {
        return Ok(differences(&committed, &fresh));
    }
    write(&root.join(".sqlx"), &committed, &fresh)?;
    println!(".sqlx describes {} queries", fresh.len());
    Ok(Vec::new())
}

/// Compile the crate against the database; its query macros then write their descriptions to `target`.
fn describe(root: &Path, url: &str, target: &Path) -> Result<()> {
    // A flag that no earlier run had makes cargo compile this crate, and only this one, once more.
    #[expect(
        clippy::disallowed_methods,
        reason = "any number that differs between two runs will do"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "rustc",
            "--quiet",
            "-p",
            CRATE,
            "--lib",
            "--profile",
            "check",
            "--",
            "--cfg",
        ])
        .arg(format!("described_at=\"{now}\""))
        .current_dir(root)
        .env("DATABASE_URL", url)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", target)
        .status()
        .context("cargo could not be started")?;
    ensure!(
        status.success(),
        "{CRATE} does not compile against the migrated database"
    );
    Ok(())
}

/// The descriptions in a folder by file name; none when there is no folder.
fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_json = entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_json && name.starts_with("query-") {
            found.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(found)
}

fn write(folder: &Path, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Result<()> {
    fs::create_dir_all(folder)?;
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, text) in new.iter().filter(|(name, text)| old.get(*name) != Some(*text)) {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// One sentence for each description that is missing, left over or outdated.
fn differences(committed: &BTreeMap<String, String>, fresh: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in fresh {
        let verdict = match committed.get(name) {
            None => "is missing",
            Some(old) if !same(old, text) => "does not say what PostgreSQL says now",
            Some(_) => continue,
        };
        found.push(format!(
            ".sqlx/{name} {verdict}; run `make sqlx` and commit the result ({})",
            query(text)
        ));
    }
    for (name, text) in committed.iter().filter(|(name, _)| !fresh.contains_key(*name)) {
        found.push(format!(
            ".sqlx/{name} is of a query that is no more; run `make sqlx` ({})",
            query(text)
        ));
    }
    found
}

/// Compared as values, since the order of keys means nothing.
fn same(one: &str, other: &str) -> bool {
    let parse = |text| serde_json::from_str::<serde_json::Value>(text);
    matches!((parse(one), parse(other)), (Ok(one), Ok(other)) if one == other)
}

/// The first words of the query a description is of.
fn query(description: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(description).unwrap_or_default();
    let words: Vec<&str> = value["query"]
        .as_str()
        .unwrap_or("unreadable")
        .split_whitespace()
        .take(8)
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn the_same_descriptions_differ_in_nothing() {
        let one = folder(&[("query-1.json", r#"{"query": "select 1", "hash": "1"}"#)]);
        let other = folder(&[("query-1.json", r#"{"hash":"1","query":"select 1"}"#)]);
        assert_eq!(differences(&one, &other), Vec::<String>::new());
    }

    #[test]
    fn a_missing_an_outdated_and_a_left_over_description_are_named() {
        let committed = folder(&[
            ("query-2.json", r#"{"query":"select 2","a":1}"#),
            ("query-3.json", "{}"),
        ]);
        let fresh = folder(&[
            ("query-1.json", r#"{"query":"select 1"}"#),
            ("query-2.json", r#"{"query":"select 2","a":2}"#),
        ]);
        let found = differences(&committed, &fresh);
        assert_eq!(found.len(), 3);
        assert!(found[0].starts_with(".sqlx/query-1.json is missing") && found[0].ends_with("(select 1)"));
        assert!(found[1].starts_with(".sqlx/query-2.json does not say"));
        assert!(found[2].starts_with(".sqlx/query-3.json is of a query that is no more"));
    }
}
