//! `jarvis gen types` beside the pinned `supabase gen types`, both formatted by the pinned prettier.

use crate::program::{Ended, Folder, Program, fetched};
use jarvis_testkit::{Cluster, TestDb};
use reqwest::Url;
use secrecy::ExposeSecret as _;
use sqlx::{AssertSqlSafe, Executor as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const TOGETHER: Duration = Duration::from_mins(2);

/// Both generators and the formatter.
struct Generators {
    folder: Folder,
    node: PathBuf,
    packages: PathBuf,
}

impl Generators {
    /// Nothing where the packages are not there.
    fn fetched() -> Option<Self> {
        Some(Self {
            node: fetched("JARVIS_NODE")?,
            packages: fetched("JARVIS_NODE_MODULES")?,
            folder: Folder::new(),
        })
    }

    async fn node(&self, script: &str, arguments: &[&str]) -> String {
        let output = Command::new(&self.node)
            .env_clear()
            .arg(self.packages.join(script))
            .args(arguments)
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("DO_NOT_TRACK", "1")
            .env("SUPABASE_TELEMETRY_DISABLED", "1")
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(TOGETHER, output).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} {arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn formatted(&self, name: &str, text: &str) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        self.node("prettier/bin/prettier.cjs", &[&file.display().to_string()])
            .await
    }

    /// Asserts that both say the same of these schemas.
    async fn agree(&self, url: &str, schemas: &str) {
        let remote = format!("--remote={url}");
        let arguments = [
            "gen",
            "types",
            "--lang",
            "typescript",
            "--schema",
            schemas,
            &remote,
        ];
        let theirs = self.node("supabase/dist/supabase.js", &arguments).await;
        let ours = ours(url, &["--schema", schemas]).await;
        assert_eq!(ours.code, 0, "{ours:?}");
        let theirs = self.formatted("theirs.ts", &theirs).await;
        let ours = self.formatted("ours.ts", &ours.stdout).await;
        assert!(theirs.contains("Functions"), "they say nothing: {theirs}");
        same(&theirs, &ours);
    }
}

/// The first lines that differ are worth more than both files.
fn same(theirs: &str, ours: &str) {
    let (a, b): (Vec<_>, Vec<_>) = (theirs.lines().collect(), ours.lines().collect());
    let first = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at));
    if let Some(at) = first {
        let around = |lines: &[&str]| {
            let from = at.saturating_sub(8).min(lines.len());
            lines[from..(at + 8).min(lines.len())].join("\n")
        };
        panic!(
            "they differ at line {at}\ntheirs:\n{}\nours:\n{}",
            around(&a),
            around(&b)
        );
    }
}

async fn ours(url: &str, arguments: &[&str]) -> Ended {
    let mut program = Program::without_database();
    program.set("DATABASE_URL", url);
    program.run(&[&["gen", "types"], arguments].concat()).await
}

/// The databases of the conformance cases.
pub struct Conformance {
    /// Where each is, and its schemas.
    pub urls: Vec<(String, &'static str)>,
    /// It ends with the test.
    _cluster: Cluster,
}

/// Builds them; nothing where the cases are not there.
pub async fn conformance() -> Option<Conformance> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    if !cases.is_dir() {
        println!("skipped: the conformance schemas are not beside the checkout");
        return None;
    }
    let cluster = Cluster::start_empty().await.unwrap();
    let mut urls = Vec::new();
    let mut url = Url::parse(cluster.url().expose_secret()).unwrap();
    let psql = std::env::var("JARVIS_PG_DIR").map_or("psql".to_owned(), |dir| format!("{dir}/bin/psql"));
    for (script, database, schemas) in [
        ("reset_db.sh", "postgrestjs", "public,personal"),
        ("reset_spec_db.sh", "pgrst_spec", "test"),
    ] {
        let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
        let built = Command::new("bash")
            .arg(cases.join(script))
            .arg(database)
            .env(
                "PSQL",
                format!("{psql} -h {host} -p {port} -U {}", url.username()),
            )
            .env("PGPASSWORD", url.password().unwrap_or_default())
            .output()
            .await
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        url.set_path(database);
        urls.push((url.to_string(), schemas));
    }
    Some(Conformance {
        urls,
        _cluster: cluster,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_of_our_schema_are_those_of_the_supabase_cli() {
    let Some(generators) = Generators::fetched() else {
        return;
    };
    let database = TestDb::new().await;
    generators.agree(database.url().expose_secret(), "public").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_of_odd_schemas_are_those_of_the_supabase_cli() {
    let Some(generators) = Generators::fetched() else {
        return;
    };
    let database = TestDb::empty().await;
    database
        .admin_pool()
        .execute(AssertSqlSafe(include_str!("gen_types.sql")))
        .await
        .unwrap();
    for schemas in ["odd", "other", "odd,other", "public"] {
        generators.agree(database.url().expose_secret(), schemas).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_of_the_conformance_schemas_are_those_of_the_supabase_cli() {
    let Some(generators) = Generators::fetched() else {
        return;
    };
    let Some(databases) = conformance().await else {
        return;
    };
    for (url, schemas) in &databases.urls {
        generators.agree(url, schemas).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_not_there_is_refused_with_those_that_are() {
    let database = TestDb::empty().await;
    let url = database.url().expose_secret();
    let ended = ours(url, &["--schema", "nowhere"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(
        ended.stderr.contains("`nowhere`") && ended.stderr.contains("public"),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_are_written_to_a_file_that_can_be_written() {
    let database = TestDb::empty().await;
    let (url, folder) = (database.url().expose_secret(), Folder::new());
    let file = folder.path().join("database.types.ts");
    let ended = ours(url, &["--output", &file.display().to_string()]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{ended:?}");
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("export type Database")
    );
    let ended = ours(url, &["--output", "no/such/folder.ts"]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("hint:"), "{ended:?}");
}
