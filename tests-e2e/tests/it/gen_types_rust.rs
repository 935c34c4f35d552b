//! `jarvis gen types --lang rust`: what it writes is compiled, and reads and writes what the data API really sends and takes.

use crate::device::client;
use crate::gen_types::conformance;
use crate::gyms;
use crate::program::{Folder, Program, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use reqwest::{StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

const TOGETHER: Duration = Duration::from_mins(4);

const MANIFEST: &str = r#"[package]
name = "NAME"
edition = "2024"
[dependencies]
serde = { version = "1", features = ["derive"] }
serde_json = "1"
[profile.dev]
debug = false
[workspace]
"#;

/// A package with the types of one database, compiled without a network from the versions of this project.
struct Package {
    folder: Folder,
    name: &'static str,
    target: PathBuf,
}

impl Package {
    async fn build(name: &'static str, url: &str, schemas: &str, main: &str) -> Self {
        let package = Self {
            folder: Folder::new(),
            name,
            target: Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated-types"),
        };
        let source = package.folder.path().join("src");
        std::fs::create_dir(&source).unwrap();
        let types = source.join("types.rs").display().to_string();
        let mut program = Program::without_database();
        program.set("DATABASE_URL", url);
        let arguments = [
            "gen", "types", "--lang", "rust", "--schema", schemas, "--output", &types,
        ];
        let ended = program.run(&arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        std::fs::write(
            source.join("main.rs"),
            format!("#![deny(warnings)]\nmod types;\n{main}"),
        )
        .unwrap();
        let manifest = package.folder.path().join("Cargo.toml");
        std::fs::write(&manifest, MANIFEST.replace("NAME", name)).unwrap();
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        std::fs::copy(lock, package.folder.path().join("Cargo.lock")).unwrap();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet", "--target-dir"])
            .arg(&package.target)
            .current_dir(package.folder.path())
            .kill_on_drop(true)
            .output();
        let built = tokio::time::timeout(TOGETHER, built).await.unwrap().unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        package
    }

    /// What its program makes of this JSON.
    async fn run(&self, given: &Value) -> Value {
        let mut child = Command::new(self.target.join("debug").join(self.name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(given.to_string().as_bytes()).await.unwrap();
        drop(input);
        let ended = child.wait_with_output().await.unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        serde_json::from_slice(&ended.stdout).unwrap()
    }
}

const ODD_MAIN: &str = r##"
use types::odd;
fn main() {
    let rows: Vec<odd::tables::places::Row> = serde_json::from_reader(std::io::stdin()).unwrap();
    let first = rows[0].clone();
    assert_eq!(first.moods[0], Some(odd::enums::Mood::Glad));
    let insert = odd::tables::places::Insert {
        number: None,
        select: "rust".to_owned(),
        a_b: Some(7),
        a_b_2: None,
        quo_te: Some("q".to_owned()),
        new: None,
        é: Some("e".to_owned()),
        _9: Some(9),
        a_2: Some(2),
        a: Some(1),
        moods: vec![Some(odd::enums::Mood::LÉté), Some(odd::enums::Mood::BackSlash), None],
        size: first.size,
        point: first.point.clone(),
        points: first.points.clone(),
        short: first.short.clone(),
        sure: first.sure,
        doc: serde_json::json!({"a": [1, null]}),
        docs: first.docs.clone(),
        span: first.span.clone(),
        address: first.address.clone(),
        at: Some(first.at.clone()),
        exact: first.exact.clone(),
    };
    let update = odd::tables::places::Update { a: Some(None), a_2: Some(Some(5)), ..Default::default() };
    let argument = odd::functions::many::Args { a: 1 };
    let table: odd::functions::tabled::Returns =
        serde_json::from_str(r#"[{"id": 1, "mood": null, "a b": null}]"#).unwrap();
    println!(
        "{}",
        serde_json::json!({"rows": rows, "insert": insert, "update": update, "argument": argument, "table": table})
    );
}
"##;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_and_types_compile_and_pass_through_the_data_api() {
    let database = TestDb::empty().await;
    let odd = "insert into odd.places (\"select\", \"a b\", \"A\", a, moods, size, point, points, short, sure, doc, docs, span, \
               address, exact) values ('x', 1, 2, 3, array['glad', null, 'so \"so\"']::odd.mood[], 'M', \
               row(1.5, 2, 'back\\slash', array['S']::other.size[]), array[row(null, null, 'l''été', null)::odd.point], 'short', \
               4, '{\"a\": 1}', array['{\"b\": 1}', '2']::json[], '[1,5)', '10.0.0.1', 12.50)";
    for sql in [include_str!("gen_types.sql"), odd] {
        database.admin_pool().execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let url = database.url().expose_secret();
    let package = Package::build("odd-types", url, "odd,other", ODD_MAIN).await;

    let role = Url::parse(url).unwrap().username().to_owned();
    let mut program = Program::without_database();
    program.set("DATABASE_URL", url);
    let arguments = [
        "serve-rest",
        "--listen",
        "127.0.0.1:0",
        "--schema",
        "odd",
        "--anon-role",
        &role,
    ];
    let mut serving = program
        .command(&arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(serving.stdout.take().unwrap()).lines();
    let places = format!("{}/places", told.next_line().await.unwrap().unwrap());
    let sent: Value = client().get(&places).send().await.unwrap().json().await.unwrap();
    let made = package.run(&sent).await;
    assert_eq!(made["rows"], sent, "a row was read and written again");
    assert_eq!(made["update"], json!({"a": null, "A": 5}));
    assert_eq!(made["argument"], json!({"a": 1}));
    assert_eq!(made["table"], json!([{"id": 1, "mood": null, "a b": null}]));

    let post = client().post(&places).header("prefer", "return=representation");
    let answer = post.json(&made["insert"]).send().await.unwrap();
    let status = answer.status();
    let inserted: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{inserted}");
    for (name, value) in made["insert"].as_object().unwrap() {
        assert_eq!(&inserted[0][name], value, "{name}");
    }
    let patch = client().patch(format!("{places}?a=eq.1"));
    let answer = patch.json(&made["update"]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let sent: Value = client().get(&places).send().await.unwrap().json().await.unwrap();
    let changed = sent
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["select"] == "rust")
        .unwrap();
    assert_eq!(
        (&changed["a"], &changed["A"], &changed["a b"]),
        (&json!(null), &json!(5), &inserted[0]["a b"])
    );
    assert_eq!(package.run(&sent).await["rows"], sent);
}

const OUR_MAIN: &str = "
use types::public::tables::gym_members_v2::Row;
fn main() {
    let rows: Vec<Row> = serde_json::from_reader(std::io::stdin()).unwrap();
    println!(\"{}\", serde_json::json!(rows));
}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_of_our_schema_compile_and_read_what_the_server_sends() {
    let db = TestDb::new().await;
    let package = Package::build("our-types", db.url().expose_secret(), "public", OUR_MAIN).await;
    let program = Program::on(&db);
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", gyms::EVERYTHING).await;
    let server = Server::serve(&program).await;
    let key = text(&program.json(&["keys"]).await, "/service_role_key");
    let members = format!("http://{}/rest/v1/gym_members_v2", server.address);
    let answer = client()
        .get(members)
        .header("apikey", &key)
        .bearer_auth(&key)
        .send();
    let sent: Value = answer.await.unwrap().json().await.unwrap();
    assert_eq!(sent[0]["first_name"], "Sophie", "{sent}");
    assert_eq!(package.run(&sent).await, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_of_the_conformance_schemas_compile() {
    let Some(databases) = conformance().await else {
        return;
    };
    for (name, (url, schemas)) in ["posts-types", "spec-types"].into_iter().zip(&databases.urls) {
        Package::build(name, url, schemas, "fn main() {}\n").await;
    }
}
