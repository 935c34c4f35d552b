//! `jarvis migration` and `supabase migration` of npm on one database: one history, whoever wrote it.

use crate::program::{Ended, Folder, Program, fetched};
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const TOGETHER: Duration = Duration::from_mins(2);

fn our_migrations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../supabase/migrations")
}

/// A project of the Supabase CLI with a copy of our migrations, and both tools on one database.
struct Both {
    database: TestDb,
    ours: Program,
    project: Folder,
    node: PathBuf,
    cli: PathBuf,
}

impl Both {
    /// On an empty database; nothing where the CLI is not there.
    async fn on_an_empty_database() -> Option<Self> {
        let node = fetched("JARVIS_NODE")?;
        let cli = fetched("JARVIS_NODE_MODULES")?.join("supabase/dist/supabase.js");
        assert!(cli.is_file(), "{} is not there", cli.display());
        let database = TestDb::empty().await;
        let both = Self {
            ours: Program::on(&database),
            database,
            project: Folder::new(),
            node,
            cli,
        };
        copy_sql(&our_migrations(), &both.folder());
        copy_sql(&our_migrations().join("down"), &both.folder().join("down"));
        Some(both)
    }

    /// The migrations of the project.
    fn folder(&self) -> PathBuf {
        self.project.path().join("supabase/migrations")
    }

    fn dir(&self) -> String {
        self.folder().display().to_string()
    }

    fn files(&self) -> Vec<String> {
        sql_files(&self.folder())
    }

    /// Leaves only the migrations that `keep` picks in the project.
    fn keep(&self, keep: impl Fn(&str) -> bool) {
        for file in self.files().into_iter().filter(|file| !keep(file)) {
            std::fs::remove_file(self.folder().join(file)).unwrap();
        }
    }

    /// Lays all of our migrations into the project again.
    fn fill(&self) {
        copy_sql(&our_migrations(), &self.folder());
    }

    /// Runs the Supabase CLI; it may talk to nobody but this machine.
    async fn theirs(&self, arguments: &[&str]) -> Ended {
        self.theirs_in(self.project.path(), arguments).await
    }

    async fn theirs_in(&self, project: &Path, arguments: &[&str]) -> Ended {
        let remote = format!("--remote={}", self.database.url().expose_secret());
        let mut command = Command::new(&self.node);
        command.env_clear().arg(&self.cli).args(arguments);
        if arguments.get(1) != Some(&"new") {
            command.arg(remote);
        }
        let output = command
            .args(["--yes", "--agent", "no", "--workdir"])
            .arg(project)
            .env("HOME", self.project.path())
            .env("PATH", "/usr/bin:/bin")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("DO_NOT_TRACK", "1")
            .env("SUPABASE_TELEMETRY_DISABLED", "1")
            .env("NO_COLOR", "1")
            .current_dir(project)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(TOGETHER, output)
            .await
            .expect("the Supabase CLI ends in time")
            .expect("the Supabase CLI starts");
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    async fn theirs_ok(&self, arguments: &[&str]) -> Ended {
        let ended = self.theirs(arguments).await;
        assert_eq!(ended.code, 0, "supabase {arguments:?}: {ended:?}");
        ended
    }

    /// Their list: version known there, version on record.
    async fn their_list(&self) -> Vec<(String, String)> {
        let ended = self
            .theirs_ok(&["migration", "list", "--output-format", "json"])
            .await;
        pairs(&ended.json()["migrations"])
    }

    /// Ours, on the same folder.
    async fn our_list(&self) -> Vec<(String, String)> {
        pairs(&self.ours.json(&["migration", "list", "--dir", &self.dir()]).await)
    }

    /// What both tools say of the database, which must be the same.
    async fn list(&self) -> Vec<(String, String)> {
        let (theirs, ours) = (self.their_list().await, self.our_list().await);
        assert_eq!(theirs, ours, "the tools do not agree");
        ours
    }

    async fn all_applied(&self) {
        let versions: Vec<String> = self.files().iter().map(|file| version(file).to_owned()).collect();
        let both: Vec<(String, String)> = versions.iter().map(|v| (v.clone(), v.clone())).collect();
        assert_eq!(self.list().await, both);
    }

    async fn our_verify(&self) {
        let found = self.ours.run(&["migration", "verify"]).await;
        assert_eq!(found.code, 0, "{found:?}");
    }

    /// Neither tool finds anything to do.
    async fn nothing_to_do(&self) {
        let ours = self.ours.json(&["migration", "up"]).await;
        assert_eq!(ours, serde_json::json!([]));
        let theirs = self.theirs_ok(&["migration", "up"]).await;
        assert!(theirs.stdout.contains("up to date"), "{theirs:?}");
    }
}

fn sql_files(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() == Some(OsStr::new("sql")))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    files
}

fn copy_sql(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in sql_files(from) {
        std::fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

fn version(file: &str) -> &str {
    file.split_once('_').unwrap().0
}

/// Local and remote of either tool's list; empty for none.
fn pairs(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let list = list
        .as_array()
        .unwrap_or_else(|| panic!("no list of migrations: {list}"));
    list.iter()
        .map(|line| (text(&line["local"]), text(&line["remote"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ours_applied_is_applied_for_the_other_tool_and_the_other_way_round() {
    let Some(both) = Both::on_an_empty_database().await else {
        return;
    };
    assert!(both.list().await.iter().all(|(_, remote)| remote.is_empty()));
    let applied = both.ours.json(&["migration", "up"]).await;
    assert_eq!(applied.as_array().unwrap().len(), both.files().len());
    both.all_applied().await;
    both.nothing_to_do().await;

    let Some(both) = Both::on_an_empty_database().await else {
        return;
    };
    both.theirs_ok(&["migration", "up"]).await;
    both.all_applied().await;
    both.nothing_to_do().await;
    both.our_verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tool_goes_on_where_the_other_stopped() {
    let half = |file: &str| version(file) <= "20251023000003";
    for ours_first in [true, false] {
        let Some(both) = Both::on_an_empty_database().await else {
            return;
        };
        both.keep(half);
        if ours_first {
            both.ours.json(&["migration", "up", "--dir", &both.dir()]).await;
        } else {
            both.theirs_ok(&["migration", "up"]).await;
        }
        both.all_applied().await;
        both.fill();
        assert!(both.list().await.iter().any(|(_, remote)| remote.is_empty()));
        if ours_first {
            both.theirs_ok(&["migration", "up"]).await;
        } else {
            both.ours.json(&["migration", "up"]).await;
        }
        both.all_applied().await;
        both.nothing_to_do().await;
        both.our_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_begun_with_one_tool_is_applied_by_the_other_and_undone_by_ours() {
    let Some(both) = Both::on_an_empty_database().await else {
        return;
    };
    both.ours.json(&["migration", "up"]).await;
    both.theirs_ok(&["migration", "new", "add_lockers"]).await;
    let dir = both.dir();
    let ours = both
        .ours
        .json(&["migration", "new", "add_showers", "--dir", &dir])
        .await;
    let files = both.files();
    let lockers = files.iter().find(|f| f.ends_with("_add_lockers.sql")).unwrap();
    let showers = files.iter().find(|f| f.ends_with("_add_showers.sql")).unwrap();
    assert_ne!(
        version(lockers),
        version(showers),
        "each has a version of its own"
    );
    assert_eq!(ours[0], both.folder().join(showers).display().to_string());
    std::fs::write(
        both.folder().join(lockers),
        "create table public.lockers (id int);\n",
    )
    .unwrap();
    std::fs::write(
        both.folder().join(showers),
        "create table public.showers (id int);\n",
    )
    .unwrap();
    std::fs::write(
        both.folder().join("down").join(showers),
        "drop table public.showers;\n",
    )
    .unwrap();

    let list = both.list().await;
    let pending = list.iter().filter(|(_, remote)| remote.is_empty()).count();
    assert_eq!(pending, 2, "{list:?}");
    // Ours applies both, and the program without the folder says how to go on.
    both.ours.json(&["migration", "up", "--dir", &dir]).await;
    both.all_applied().await;
    let refused = both.ours.run(&["migration", "up"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    for words in [
        "--dir",
        "jarvis migration repair",
        "supabase migration repair",
        version(lockers),
        "--remote=",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    // Ours undoes one of the two, which the other tool applies again.
    both.ours.json(&["migration", "down", "--dir", &dir]).await;
    assert_eq!(
        both.list().await.last(),
        Some(&(version(showers).to_owned(), String::new()))
    );
    both.theirs_ok(&["migration", "up"]).await;
    both.all_applied().await;
    let verified = both.ours.json(&["migration", "verify", "--dir", &dir]).await;
    assert_eq!(verified["findings"], serde_json::json!([]), "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_by_one_tool_is_understood_by_the_other() {
    let Some(both) = Both::on_an_empty_database().await else {
        return;
    };
    both.ours.json(&["migration", "up"]).await;
    let newest = version(both.files().last().unwrap()).to_owned();
    let reverted = (newest.clone(), String::new());

    both.theirs_ok(&["migration", "repair", &newest, "--status", "reverted"])
        .await;
    assert_eq!(both.list().await.last(), Some(&reverted));
    let repaired = both
        .ours
        .json(&["migration", "repair", &newest, "--status", "applied"])
        .await;
    assert_eq!(repaired[0]["changed"], true, "{repaired}");
    both.all_applied().await;

    let ended = both
        .ours
        .run(&["migration", "repair", &newest, "--status", "reverted"])
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("Only the history was written"), "{ended:?}");
    assert_eq!(both.list().await.last(), Some(&reverted));
    both.theirs_ok(&["migration", "repair", &newest, "--status", "applied"])
        .await;
    both.all_applied().await;
    // They record statement by statement, ours the file: it is the same text.
    both.our_verify().await;
    both.nothing_to_do().await;

    let nonsense = both
        .ours
        .run(&["migration", "repair", "20990101000000", "--status", "applied"])
        .await;
    assert_eq!(nonsense.code, 2, "{nonsense:?}");
    assert!(nonsense.stderr.contains(&newest), "{nonsense:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_tool_fetches_working_files_out_of_our_history() {
    let Some(both) = Both::on_an_empty_database().await else {
        return;
    };
    both.ours.json(&["migration", "up"]).await;
    let copy = Folder::new();
    std::fs::create_dir(copy.path().join("supabase")).unwrap();
    let fetch = both.theirs_in(copy.path(), &["migration", "fetch"]).await;
    assert_eq!(fetch.code, 0, "{fetch:?}");
    let folder = copy.path().join("supabase/migrations");
    assert_eq!(sql_files(&folder), both.files());

    let other = TestDb::empty().await;
    let program = Program::on(&other);
    let applied = program
        .json(&["migration", "up", "--dir", &folder.display().to_string()])
        .await;
    assert_eq!(applied.as_array().unwrap().len(), both.files().len());
    let verified = program.json(&["migration", "verify"]).await;
    assert_eq!(verified["findings"], serde_json::json!([]), "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ours_undid_is_pending_for_the_other_tool() {
    let Some(both) = Both::on_an_empty_database().await else {
        return;
    };
    both.theirs_ok(&["migration", "up"]).await;
    let plan = both
        .ours
        .json(&["migration", "down", "--steps", "2", "--dry-run"])
        .await;
    assert_eq!(plan["migrations"].as_array().unwrap().len(), 2);
    both.all_applied().await;
    both.ours.json(&["migration", "down", "--steps", "2"]).await;
    let list = both.list().await;
    let pending: Vec<&str> = list
        .iter()
        .filter(|(_, remote)| remote.is_empty())
        .map(|(local, _)| local.as_str())
        .collect();
    let newest: Vec<String> = both.files().iter().map(|file| version(file).to_owned()).collect();
    assert_eq!(pending, newest[newest.len() - 2..]);
    both.theirs_ok(&["migration", "up"]).await;
    both.all_applied().await;
    both.our_verify().await;
}

/// The versions of the guide for what came before it are newer in this program than what follows them.
fn comes_late(file: &str) -> bool {
    file.starts_with("20251023000004_") || file.starts_with("20251023000006_")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_older_than_the_last_applied_one_is_applied_by_ours_and_by_the_other_when_told() {
    for by_ours in [true, false] {
        let Some(both) = Both::on_an_empty_database().await else {
            return;
        };
        let early = ["20300101000001_first", "20300101000003_third"];
        let late = "20300101000002_second";
        let write = |name: &str| {
            let (version, table) = name.split_once('_').unwrap();
            std::fs::write(
                both.folder().join(format!("{version}_{table}.sql")),
                format!("create table public.{table} (id int);\n"),
            )
            .unwrap();
        };
        for name in early {
            write(name);
        }
        both.keep(|file| !comes_late(file));
        both.theirs_ok(&["migration", "up"]).await;
        both.all_applied().await;
        write(late);
        both.fill();
        if by_ours {
            both.ours.json(&["migration", "up", "--dir", &both.dir()]).await;
        } else {
            let refused = both.theirs(&["migration", "up"]).await;
            assert_ne!(refused.code, 0, "{refused:?}");
            assert!(format!("{refused:?}").contains("--include-all"), "{refused:?}");
            both.theirs_ok(&["migration", "up", "--include-all"]).await;
        }
        both.all_applied().await;
        let verified = both
            .ours
            .json(&["migration", "verify", "--dir", &both.dir()])
            .await;
        assert_eq!(verified["findings"], serde_json::json!([]), "{verified}");
    }
}
