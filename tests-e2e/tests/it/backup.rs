//! `jarvis backup`, `jarvis restore`, `jarvis member erase`: what an operator does when a disk is lost or a member asks.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::program::{Program, fetched, text};
use crate::server::Server;
use crate::stored::{everything, traces};
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The files of a folder, without journals.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(Result::unwrap);
    let mut names: Vec<String> = entries
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "erasures.jsonl")
        .collect();
    names.sort();
    names
}

async fn back_up(program: &Program) -> String {
    text(&program.json(&["backup"]).await, "/path")
}

/// A database's name beside that of a test, dropped at the end.
struct Beside {
    name: String,
    server: String,
}

impl Beside {
    fn new(db: &TestDb) -> Self {
        Self {
            name: format!("{}_r", db.name()),
            server: db.url().expose_secret().to_owned(),
        }
    }

    /// The URL of this database for whoever has the URL of the test's.
    fn in_url(&self, url: &str) -> String {
        let (server, rest) = url.rsplit_once('/').unwrap();
        let options = rest
            .split_once('?')
            .map(|(_, o)| format!("?{o}"))
            .unwrap_or_default();
        format!("{server}/{}{options}", self.name)
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.in_url(&self.server)).await.unwrap()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let statement = format!("drop database if exists {name} with (force)");
                let mut conn = PgConnection::connect(&server).await.unwrap();
                sqlx::query(AssertSqlSafe(statement))
                    .execute(&mut conn)
                    .await
                    .unwrap();
            });
        });
        drop(dropping.join());
    }
}

fn knows_the_knee(context: &Value) {
    let facts = context["facts"].as_array().expect("facts are a list");
    assert!(
        facts
            .iter()
            .any(|f| f["category"] == "injury" && text(f, "/source_quote").contains("genou droit")),
        "{context}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_go_on_after_a_restore_and_jobs_that_waited_run_once() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    assert_eq!(kiosk.converse("BADGE_001", &[KNEE]).await["state"], "processed");
    server.stop(Signal::SIGTERM).await;

    // Nobody works, so the second conversation waits in the queue.
    let server = Server::start(program.command(&["serve", "--no-worker", "--listen", "127.0.0.1:0"])).await;
    let kiosk = kiosk.at(&server.address);
    let waiting = text(&kiosk.open("BADGE_001").await, "/session_id");
    kiosk.say(&waiting, &[GOAL]).await;
    kiosk.close(&waiting).await;
    program.json(&["backup", "key"]).await;
    let made = program.json(&["backup"]).await;
    assert_eq!(made["holds_signing_key"], true, "{made}");
    server.stop(Signal::SIGTERM).await;

    let beside = Beside::new(&db);
    let into = beside.in_url(db.url().expose_secret());
    let restored = program
        .run(&["restore", &text(&made, "/path"), "--into", &into, "--json"])
        .await;
    assert_eq!(restored.code, 3, "nobody knows of erasures since: {restored:?}");
    assert!(restored.stderr.contains("may be back"), "{}", restored.stderr);
    assert_eq!(restored.json()["rows"], made["label"]["rows"]);

    program.set("DATABASE_URL", &beside.in_url(db.login_url().expose_secret()));
    program.set("JARVIS_ADMIN_DATABASE_URL", &into);
    let server = Server::serve(&program).await;
    let kiosk = kiosk.at(&server.address);
    let processed = kiosk.processed(&waiting).await;
    assert_eq!(processed["state"], "processed", "{processed}");
    let context = &kiosk.open("BADGE_001").await["context"];
    knows_the_knee(context);
    assert!(text(context, "/prompt").contains("cinq kilos"), "{context}");
    let mut conn = beside.connect().await;
    let (summaries, jobs): (i64, i64) = sqlx::query_as(
        "select (select count(*) from public.conversation_summaries where session_id = $1),
                (select count(*) from jarvis.jobs where kind = 'memory.process_session' and unique_key = $1)",
    )
    .bind(&waiting)
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!((summaries, jobs), (1, 1));
    conn.close().await.unwrap();
    server.stop(Signal::SIGTERM).await;
    let doctor = program.run(&["doctor"]).await;
    assert_eq!(doctor.code, 0, "{doctor:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_machine_comes_back_from_the_backup_and_its_key_alone() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let lost = Program::without_database();
    let server = Server::start(lost.command(&["up", "--listen", "127.0.0.1:0"])).await;
    gyms::gym(&lost, "lyon").await;
    gyms::member(&lost, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&lost, &server, "lyon", "entree").await.caller;
    assert_eq!(kiosk.converse("BADGE_001", &[KNEE]).await["state"], "processed");
    lost.json(&["backup", "key"]).await;
    let file = back_up(&lost).await;
    let key = lost.data().join("backup-key.txt").display().to_string();
    let running = lost.run(&["restore", &file]).await;
    assert_eq!(running.code, 1, "{running:?}");
    assert!(running.stderr.contains("runs already"), "{}", running.stderr);
    server.stop(Signal::SIGTERM).await;

    // A machine where nothing is yet: no role, no database, no signing key.
    let fresh = Program::without_database();
    let verified = fresh.run(&["restore", "--verify", &file, "--key", &key]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(verified.stdout.starts_with("sound"), "{}", verified.stdout);
    assert!(!fresh.data().exists(), "verifying leaves nothing");
    let restored = fresh.run(&["restore", &file, "--key", &key, "--json"]).await;
    assert_eq!(restored.code, 3, "{restored:?}");
    assert_eq!(restored.json()["structure_compared"], true);
    let server = Server::start(fresh.command(&["up", "--listen", "127.0.0.1:0"])).await;
    // The token of before is accepted: the key that signed it came along.
    let opened = kiosk.at(&server.address).open("BADGE_001").await;
    knows_the_knee(&opened["context"]);
    server.stop(Signal::SIGTERM).await;

    // What is there now is not overwritten unasked.
    let again = fresh.run(&["restore", &file, "--key", &key]).await;
    assert_eq!(again.code, 2, "{again:?}");
    assert!(
        again.stderr.contains("--replace --confirm jarvis"),
        "{}",
        again.stderr
    );
    let replaced = fresh
        .run(&[
            "restore",
            &file,
            "--key",
            &key,
            "--replace",
            "--confirm",
            "jarvis",
        ])
        .await;
    assert_eq!(
        replaced.code, 0,
        "the replaced database knows of every erasure: {replaced:?}"
    );
}

/// Words and marks of one member that no other has.
const CANARY: &str = "Mon perroquet turquoise s'appelle Archibald";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_member_is_nowhere_and_does_not_come_back_with_an_old_backup() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    let member = gyms::member(&program, "lyon", "BADGE_ZQ7", "Zéphyrine", EVERYTHING).await;
    gyms::member(&program, "lyon", "BADGE_002", "Julie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    assert_eq!(
        kiosk.converse("BADGE_ZQ7", &[CANARY, KNEE]).await["state"],
        "processed"
    );
    assert_eq!(kiosk.converse("BADGE_002", &[GOAL]).await["state"], "processed");
    program.json(&["backup", "key"]).await;
    let file = back_up(&program).await;
    let running = text(&kiosk.open("BADGE_ZQ7").await, "/session_id");
    kiosk.say(&running, &[CANARY]).await;

    let words = ["archibald", "turquoise", "zéphyrine", "badge_zq7", &member];
    let before = everything(db.admin_pool()).await;
    let planned = program.run(&["member", "erase", "BADGE_ZQ7"]).await;
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(
        planned.stderr.contains("--yes") && planned.stdout.contains("conversation_events"),
        "{planned:?}"
    );
    let same = everything(db.admin_pool()).await;
    assert_eq!(
        traces(same.iter().map(String::as_str), &words).len(),
        traces(before.iter().map(String::as_str), &words).len()
    );
    nobody_is_erased_without_a_certificate(&program).await;
    let done = program.json(&["member", "erase", "BADGE_ZQ7", "--yes"]).await;
    assert_eq!(done["certificate"]["left"], 0, "{done}");
    let certificate = std::fs::read_to_string(text(&done, "/path")).unwrap();
    assert!(
        certificate.contains(&member) && !certificate.to_lowercase().contains("zéphyrine"),
        "{certificate}"
    );
    is_nowhere(&everything(db.admin_pool()).await, &words);

    // The conversation that ran is over, and what comes late revives nobody.
    let late = json!([{"event_type": "user_transcript", "transcript": CANARY}]);
    for (path, body) in [("events", &late), ("close", &json!({}))] {
        let (status, body) = kiosk
            .post(&format!("/api/v1/sessions/{running}/{path}"), body)
            .await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::NOT_FOUND, &json!("session_not_found")),
            "{path}: {body}"
        );
    }
    let (status, body) = kiosk
        .post("/api/v1/sessions", &json!({"badge_id": "BADGE_ZQ7"}))
        .await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::NOT_FOUND, &json!("badge_unknown")),
        "{body}"
    );
    is_nowhere(&everything(db.admin_pool()).await, &words);
    is_known(&kiosk, "BADGE_002", "cinq kilos").await;
    server.stop(Signal::SIGTERM).await;

    let name = db.name().to_owned();
    let restored = program
        .run(&["restore", &file, "--replace", "--confirm", &name, "--json"])
        .await;
    assert_eq!(restored.code, 0, "{restored:?}");
    assert_eq!(restored.json()["reapplied"][0]["member_id"], json!(member));
    is_nowhere(&everything(db.admin_pool()).await, &words);
    let ledger = program.json(&["member", "erasures"]).await;
    assert_eq!(ledger[0]["member_id"], json!(member), "{ledger}");
    let server = Server::serve(&program).await;
    is_known(&kiosk.at(&server.address), "BADGE_002", "cinq kilos").await;
    server.stop(Signal::SIGTERM).await;
}

async fn nobody_is_erased_without_a_certificate(program: &Program) {
    let taken = program.folder().join("taken.json");
    std::fs::write(&taken, "mine").unwrap();
    for (path, code) in [
        (taken.display().to_string(), 2),
        (format!("{}/in", taken.display()), 1),
    ] {
        let refused = program
            .run(&["member", "erase", "BADGE_ZQ7", "--yes", "--certificate", &path])
            .await;
        assert_eq!(refused.code, code, "{refused:?}");
    }
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
    assert_eq!(program.json(&["member", "erasures"]).await, json!([]));
}

fn is_nowhere(rows: &[String], words: &[&str]) {
    let left: Vec<&str> = traces(rows.iter().map(String::as_str), words)
        .into_iter()
        .filter(|row| !row.starts_with("jarvis.erasures: "))
        .collect();
    assert_eq!(left, [""; 0]);
}

async fn is_known(kiosk: &Caller, badge: &str, words: &str) {
    let opened = kiosk.open(badge).await;
    assert!(text(&opened, "/context/prompt").contains(words), "{opened}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_or_finds_no_room_leaves_nothing_that_looks_like_one() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.json(&["backup", "key"]).await;
    let folder: PathBuf = program.folder().join("backups");
    program.set("JARVIS_BACKUP_DIR", &folder.display().to_string());

    // A pg_dump that gets stuck after its first bytes.
    let slow = program.folder().join("slow");
    let real = fetched("JARVIS_PG_DIR")
        .unwrap()
        .join("bin/pg_dump")
        .display()
        .to_string();
    std::fs::create_dir_all(slow.join("bin")).unwrap();
    let script =
        format!("#!/bin/sh\n[ \"$1\" = --version ] && exec {real} --version\nprintf PGDMP\nexec sleep 15\n");
    std::fs::write(slow.join("bin/pg_dump"), script).unwrap();
    std::fs::set_permissions(slow.join("bin/pg_dump"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut stuck = program.command(&["backup"]);
    stuck.env("JARVIS_PG_DIR", &slow);
    let mut killed = stuck.spawn().unwrap();
    let begun = Instant::now();
    while files(&folder).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "the backup does not begin"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    killed.start_kill().unwrap();
    killed.wait().await.unwrap();
    let left = files(&folder);
    assert!(left.len() == 1 && left[0].starts_with(".jarvis-"), "{left:?}");
    assert_eq!(program.json(&["backup", "list"]).await, json!([]));

    // A file may not grow beyond 16 kB, as on a disk that is full.
    let jarvis = crate::program::path().display().to_string();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -f 32; trap '' XFSZ; exec \"$0\" backup", &jarvis]);
    shell.envs(
        program
            .command(&[])
            .as_std()
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let ended = shell.output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("hint:"), "{said}");
    assert_eq!(
        files(&folder),
        [""; 0],
        "also what was killed before is cleared away"
    );

    let file = back_up(&program).await;
    let listed = program.json(&["backup", "list"]).await;
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["path"]),
        (1, &json!(file))
    );
    let label = std::fs::read_to_string(format!("{file}.json")).unwrap();
    assert!(label.contains("sha256") && !label.contains("member"), "{label}");
}
