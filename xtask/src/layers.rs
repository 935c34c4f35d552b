//! The floors: every dependency between our crates goes down, never up or sideways.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Where a crate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// 0 is the binary at the top, 4 the words at the bottom.
    Floor(u8),
    /// Watches the floors 0 to 3, which may use it, and knows none of them.
    Observer,
    /// Used by tests alone; may itself use the means (3) and the words (4).
    Testkit,
    /// Drives the built program or the source tree; may use the testkit and nothing of the house.
    Outside,
}

const PLACES: &[(&str, Place)] = &[
    ("jarvis", Place::Floor(0)),
    ("jarvis-api", Place::Floor(1)),
    ("jarvis-rest", Place::Floor(1)),
    ("jarvis-memory", Place::Floor(2)),
    ("jarvis-insight", Place::Floor(2)),
    ("jarvis-llm", Place::Floor(3)),
    ("jarvis-embed", Place::Floor(3)),
    ("jarvis-jobs", Place::Floor(3)),
    ("jarvis-db", Place::Floor(3)),
    ("jarvis-core", Place::Floor(4)),
    ("jarvis-observe", Place::Observer),
    ("jarvis-testkit", Place::Testkit),
    ("tests-e2e", Place::Outside),
    ("xtask", Place::Outside),
];

/// Libraries that a floor must not use, because each stands for a world that is another floor's.
const FOREIGN: &[(u8, &[&str])] = &[
    (1, &["sqlx"]),
    (2, &["axum", "sqlx", "reqwest"]),
    (3, &["axum"]),
    (4, &["axum", "reqwest", "sqlx", "tokio"]),
];

/// Libraries that one crate may use although its floor must not: the data API makes its statements of requests, over schemas
/// that no checked query of `jarvis-db` could know.
const SPARED: &[(&str, &str)] = &[("jarvis-rest", "sqlx")];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal one, else `dev` or `build`.
    kind: Option<String>,
    /// Set for crates of the workspace.
    path: Option<String>,
    #[serde(default)]
    optional: bool,
}

/// Every edge that is not allowed, as a sentence.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cargo metadata could not be started")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata = serde_json::from_slice(&output.stdout).context("cargo metadata printed something else")?;
    Ok(findings(&metadata))
}

fn findings(metadata: &Metadata) -> Vec<String> {
    let places: BTreeMap<&str, Place> = PLACES.iter().copied().collect();
    let mut found = Vec::new();
    for package in &metadata.packages {
        let Some(&from) = places.get(package.name.as_str()) else {
            found.push(format!(
                "{} has no floor; give it one in xtask/src/layers.rs",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            // A crate names itself to turn on a feature of its own for its tests.
            let itself = dependency.name == package.name;
            let verdict = if itself {
                None
            } else if dependency.path.is_some() {
                inner_edge(from, places.get(dependency.name.as_str()).copied(), dependency)
            } else if SPARED.contains(&(package.name.as_str(), dependency.name.as_str())) {
                None
            } else {
                foreign_library(from, dependency)
            };
            if let Some(why) = verdict {
                found.push(format!("{} -> {}: {why}", package.name, dependency.name));
            }
        }
    }
    found
}

/// Why an edge between two of our crates is forbidden, or `None` when it is allowed.
fn inner_edge(from: Place, to: Option<Place>, edge: &Dependency) -> Option<String> {
    let for_tests = edge.kind.as_deref() == Some("dev");
    match (from, to?) {
        (Place::Floor(above), Place::Floor(below)) if above < below => None,
        (Place::Floor(a), Place::Floor(b)) if a == b => Some(format!("sideways, both stand on floor {a}")),
        (Place::Floor(a), Place::Floor(b)) => Some(format!("up, from floor {a} to floor {b}")),
        (Place::Floor(4), Place::Observer) => Some("the words are pure, nothing watches them".to_owned()),
        (Place::Observer, _) => Some("what watches the house knows none of it".to_owned()),
        (Place::Floor(_), Place::Testkit) if for_tests || edge.optional => None,
        (Place::Floor(_), Place::Testkit) => Some("the testkit is for [dev-dependencies]".to_owned()),
        (Place::Floor(_), Place::Observer)
        | (Place::Testkit, Place::Floor(3 | 4))
        | (Place::Testkit | Place::Outside, Place::Testkit) => None,
        (Place::Testkit, Place::Floor(floor)) => {
            Some(format!("the testkit uses floors 3 and 4, not {floor}"))
        }
        (Place::Testkit, Place::Observer) => Some("the testkit uses floors 3 and 4 alone".to_owned()),
        (Place::Outside, _) => Some("it drives the house from outside, through the testkit".to_owned()),
        (_, Place::Outside) => Some("nothing depends on what drives the house from outside".to_owned()),
    }
}

/// Why a library from outside is forbidden on this floor, or `None` when it is allowed.
fn foreign_library(from: Place, dependency: &Dependency) -> Option<String> {
    let Place::Floor(floor) = from else { return None };
    // An optional one serves a feature that only tests turn on, such as a fake of the outside world.
    if dependency.kind.as_deref() == Some("dev") || dependency.optional {
        return None;
    }
    let banned = FOREIGN
        .iter()
        .any(|(on, names)| *on == floor && names.contains(&dependency.name.as_str()));
    banned.then(|| format!("floor {floor} does not use this library"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(edges: &[(&str, &str, Option<&str>, bool)]) -> Metadata {
        let packages = edges
            .iter()
            .map(|(from, to, kind, ours)| Package {
                name: (*from).to_owned(),
                dependencies: vec![Dependency {
                    name: (*to).to_owned(),
                    kind: kind.map(str::to_owned),
                    path: ours.then(String::new),
                    optional: false,
                }],
            })
            .collect();
        Metadata { packages }
    }

    fn one(from: &str, to: &str, kind: Option<&str>) -> Vec<String> {
        findings(&workspace(&[(from, to, kind, true)]))
    }

    #[test]
    fn an_edge_down_is_allowed() {
        assert_eq!(one("jarvis", "jarvis-core", None), Vec::<String>::new());
        assert_eq!(one("jarvis-api", "jarvis-memory", None), Vec::<String>::new());
        assert_eq!(one("jarvis-memory", "jarvis-db", None), Vec::<String>::new());
    }

    #[test]
    fn an_edge_up_is_named() {
        let found = one("jarvis-core", "jarvis-db", None);
        assert_eq!(found, ["jarvis-core -> jarvis-db: up, from floor 4 to floor 3"]);
    }

    #[test]
    fn an_edge_sideways_is_named_even_for_tests() {
        let found = one("jarvis-jobs", "jarvis-db", Some("dev"));
        assert_eq!(
            found,
            ["jarvis-jobs -> jarvis-db: sideways, both stand on floor 3"]
        );
    }

    #[test]
    fn the_testkit_is_for_tests_alone() {
        assert_eq!(
            one("jarvis-db", "jarvis-testkit", Some("dev")),
            Vec::<String>::new()
        );
        assert_eq!(one("jarvis-db", "jarvis-testkit", None).len(), 1);
        assert_eq!(one("jarvis-testkit", "jarvis-memory", None).len(), 1);
    }

    #[test]
    fn what_drives_the_house_uses_none_of_it() {
        assert_eq!(
            one("tests-e2e", "jarvis-testkit", Some("dev")),
            Vec::<String>::new()
        );
        assert_eq!(one("tests-e2e", "jarvis-db", Some("dev")).len(), 1);
        assert_eq!(one("jarvis", "xtask", None).len(), 1);
    }

    #[test]
    fn what_watches_the_house_is_used_by_all_but_the_words_and_uses_nothing() {
        assert_eq!(one("jarvis-jobs", "jarvis-observe", None), Vec::<String>::new());
        assert_eq!(one("jarvis", "jarvis-observe", None), Vec::<String>::new());
        assert_eq!(one("jarvis-core", "jarvis-observe", None).len(), 1);
        assert_eq!(one("jarvis-observe", "jarvis-core", None).len(), 1);
    }

    #[test]
    fn a_crate_without_a_floor_is_named() {
        assert_eq!(one("jarvis-cellar", "jarvis-core", None).len(), 1);
    }

    #[test]
    fn the_words_and_the_use_cases_stay_free_of_other_worlds() {
        let found = findings(&workspace(&[
            ("jarvis-core", "tokio", None, false),
            ("jarvis-memory", "sqlx", None, false),
            ("jarvis-memory", "serde", None, false),
            ("jarvis-api", "sqlx", Some("dev"), false),
        ]));
        assert_eq!(
            found,
            [
                "jarvis-core -> tokio: floor 4 does not use this library",
                "jarvis-memory -> sqlx: floor 2 does not use this library",
            ]
        );
    }

    #[test]
    fn this_workspace_keeps_its_floors() {
        let root = crate::workspace_root().unwrap();
        assert_eq!(check(&root).unwrap(), Vec::<String>::new());
    }
}
