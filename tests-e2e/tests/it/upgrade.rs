//! The program of an earlier release is fed, then replaced by this one under load. `make drill` builds both and runs
//! this; nothing else does, for it takes minutes.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::program::{self, Program, text};
use crate::server::Server;
use crate::storm;
use crate::traffic::{self, Conversation, Crowd};
use crate::verdict::{Verdict, judge};
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A kiosk repeats a request for at most this long: so long may the replacement take.
const PATIENCE: Duration = Duration::from_mins(2);
/// Conversations between two steps of the drill.
const SOME: usize = 30;
/// At each of two gyms; together with one more, as many as may be paired at once.
const KIOSKS: usize = 2;
const MEMBERS: usize = 4;
/// The badge of the member who talks while the program is replaced.
const STAYS: &str = "BADGE_STAYS";

/// A gym that has no memory yet when the schema is migrated.
const YOUNG: &str = "salle-jeune";

/// The program of the earlier release.
fn old() -> PathBuf {
    let old = std::env::var_os("JARVIS_OLD_BIN").map(PathBuf::from);
    let old = old
        .filter(|path| path.is_file())
        .expect("JARVIS_OLD_BIN names the earlier program: run `make drill`");
    assert_ne!(
        std::fs::read(&old).unwrap(),
        std::fs::read(program::path()).unwrap(),
        "both programs are the same"
    );
    old
}

/// A member who began to talk to the old program and goes on with the new one.
struct Staying {
    kiosk: Caller,
    conversation: Conversation,
}

impl Staying {
    async fn begin(program: &Program, server: &Server, gym: &str, name: &str) -> Self {
        gyms::member(program, gym, STAYS, name, EVERYTHING).await;
        let kiosk = gyms::kiosk(program, server, gym, "borne-longue").await.caller;
        let session = text(&kiosk.open(STAYS).await, "/session_id");
        let mut staying = Self {
            kiosk,
            conversation: Conversation {
                session,
                gym: gym.to_owned(),
                badge: STAYS.to_owned(),
                acknowledged: BTreeMap::new(),
            },
        };
        staying.say(KNEE).await;
        staying
    }

    async fn say(&mut self, words: &str) {
        let Conversation {
            session,
            acknowledged,
            ..
        } = &mut self.conversation;
        let id = format!("{session}/{}", acknowledged.len());
        let event = json!([{"event_type": "user_transcript", "transcript": words, "provider_event_id": id}]);
        let path = format!("/api/v1/sessions/{session}/events");
        let (status, answer) = self.kiosk.post(&path, &event).await;
        assert!(status.is_success(), "{status} {answer}");
        acknowledged.insert(id, words.to_owned());
    }

    /// What was acknowledged.
    fn promised(&self) -> Conversation {
        let Conversation {
            session,
            gym,
            badge,
            acknowledged,
        } = &self.conversation;
        Conversation {
            session: session.clone(),
            gym: gym.clone(),
            badge: badge.clone(),
            acknowledged: acknowledged.clone(),
        }
    }

    /// Goes on, and says goodbye; the session, once it is memory.
    async fn end(&mut self) -> Value {
        self.say(GOAL).await;
        self.kiosk.close(&self.conversation.session).await;
        self.kiosk.processed(&self.conversation.session).await
    }
}

/// The next conversation knows what was told to the old program, and the question finds it.
async fn it_is_remembered(program: &Program, gym: &str, staying: &Staying) {
    let found = program
        .json(&["recall", STAYS, "perdre du poids", "--gym", gym])
        .await;
    assert!(
        found.to_string().contains(&staying.conversation.session),
        "recall finds the conversation: {found}"
    );
    let next = staying.kiosk.open(STAYS).await;
    let context = next["context"].to_string();
    for words in ["genou", "cinq kilos"] {
        assert!(context.contains(words), "{words} is not in {context}");
    }
    staying.kiosk.close(&text(&next, "/session_id")).await;
}

/// The database is what its history says, and nothing is pending.
async fn schema_is_current(program: &Program) {
    let verified = program.run(&["migration", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    let list = program.json(&["migration", "list"]).await;
    let pending = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["state"] != "applied");
    assert_eq!(pending.count(), 0, "{list}");
}

/// The versions on record.
async fn versions(program: &Program) -> Vec<String> {
    let list = program.json(&["migration", "list"]).await;
    let lines = list.as_array().unwrap().iter();
    lines
        .filter(|line| line["state"] == "applied")
        .map(|line| text(line, "/version"))
        .collect()
}

fn told(name: &str, verdict: &Verdict, crowd: &traffic::Traffic, more: &[(&str, Value)]) {
    let cut_off = crowd.cut_off.load(Ordering::Relaxed);
    let counts = [
        ("requests_repeated", json!(cut_off)),
        ("refused_503", json!(crowd.refused.load(Ordering::Relaxed))),
        (
            "conversations",
            json!(crowd.conversations.load(Ordering::Relaxed)),
        ),
    ];
    verdict.report(name, &[&counts, more].concat());
}

#[ignore = "make drill builds the earlier program and runs this"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_replaces_the_earlier_up_under_load() {
    let (seed, mut chance) = storm::chance();
    let mut program = Program::without_database();
    program.set("JARVIS_JOB_LEASE_SECONDS", "2");
    program.use_binary(old());
    let server = Server::start(program.command(&["up", "--listen", "127.0.0.1:0"])).await;
    let address = server.address.clone();
    let gyms = traffic::gyms(&program, &server, 2, KIOSKS, MEMBERS).await;
    let gym = gyms[0].slug.clone();
    let mut staying = Staying::begin(&program, &server, &gym, gyms[0].own).await;
    let crowd = Crowd::start(&gyms, &[&address], PATIENCE, &mut chance);
    crowd.go_on_for(SOME, PATIENCE).await;
    let before = versions(&program).await;

    let begun = Instant::now();
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
    let stopped = begun.elapsed();
    program.use_binary(program::path());
    let server = Server::start(program.command(&["up", "--listen", &address])).await;
    let back = begun.elapsed();
    crowd.go_on_for(SOME, PATIENCE).await;
    staying.end().await;

    let traffic = crowd.traffic.clone();
    let mut held = crowd.stop().await;
    held.push(staying.promised());
    let running = jarvis_testkit::embedded::running(&program.data()).unwrap();
    let admin = running.expect("PostgreSQL runs").admin_url;
    let pool = PgPool::connect(admin.expose_secret()).await.unwrap();
    let verdict = judge(&program, &pool, &held).await;
    it_is_remembered(&program, &gym, &staying).await;
    schema_is_current(&program).await;
    let mut applied = versions(&program).await;
    applied.retain(|version| !before.contains(version));
    told(
        "upgrade of jarvis up",
        &verdict,
        &traffic,
        &[
            ("seed", json!(seed)),
            ("migrations_applied", json!(applied.len())),
            ("stopped_after_ms", json!(stopped.as_millis())),
            ("served_again_after_ms", json!(back.as_millis())),
        ],
    );
    pool.close().await;
    back_to_the_earlier_program(program, server, &address, &applied, &gym, &staying).await;
}

/// The way back: the new program undoes its migrations, then the old one serves again and remembers.
async fn back_to_the_earlier_program(
    mut program: Program,
    server: Server,
    address: &str,
    applied: &[String],
    gym: &str,
    staying: &Staying,
) {
    if !applied.is_empty() {
        // Not the newest, but those that this upgrade applied: some have lower versions than others had before.
        let mut down = vec!["migration", "down"];
        down.extend(applied.iter().map(String::as_str));
        let undone = program.run(&down).await;
        assert_eq!(undone.code, 0, "{undone:?}");
    }
    server.stop(Signal::SIGTERM).await;
    program.use_binary(old());
    let server = Server::start(program.command(&["up", "--listen", address])).await;
    it_is_remembered(&program, gym, staying).await;
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
}

#[ignore = "make drill builds the earlier program and runs this"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_earlier_servers_go_on_while_this_one_migrates_and_are_replaced_one_by_one() {
    let (seed, mut chance) = storm::chance();
    let db = TestDb::empty().await;
    let pool = db.admin_pool();
    let mut program = Program::on(&db);
    program.set("JARVIS_JOB_LEASE_SECONDS", "2");
    program.use_binary(old());
    program.json(&["migration", "up"]).await;
    let mut servers = vec![Server::serve(&program).await, Server::serve(&program).await];
    let addresses: Vec<String> = servers.iter().map(|server| server.address.clone()).collect();
    let gyms = traffic::gyms(&program, &servers[0], 2, KIOSKS, MEMBERS).await;
    let gym = gyms[0].slug.clone();
    let mut staying = Staying::begin(&program, &servers[0], &gym, gyms[0].own).await;
    // Here nobody talked before; what a release gives to new gyms may be given to this one.
    gyms::gym(&program, YOUNG).await;
    let both: Vec<&String> = addresses.iter().collect();
    let crowd = Crowd::start(&gyms, &both, PATIENCE, &mut chance);
    crowd.go_on_for(SOME, PATIENCE).await;

    program.use_binary(program::path());
    let begun = Instant::now();
    let applied = program.json(&["migration", "up"]).await;
    let migrated = begun.elapsed();
    // The old programs, and their commands, on the new schema, as long as it takes.
    program.use_binary(old());
    let mut young = Staying::begin(&program, &servers[1], YOUNG, "Jeanne").await;
    let first = young.end().await;
    assert_eq!(first["state"], "processed", "{first}");
    program.use_binary(program::path());
    crowd.go_on_for(SOME, PATIENCE).await;
    for address in &addresses {
        let (status, log) = servers.remove(0).stop(Signal::SIGTERM).await;
        assert_eq!(status.code(), Some(0), "{}", log.so_far());
        servers.push(Server::serve_at(&program, address).await);
        crowd.go_on_for(SOME, PATIENCE).await;
    }
    staying.end().await;

    let traffic = crowd.traffic.clone();
    let mut held = crowd.stop().await;
    held.extend([staying.promised(), young.promised()]);
    let verdict = judge(&program, pool, &held).await;
    it_is_remembered(&program, &gym, &staying).await;
    it_is_remembered(&program, YOUNG, &young).await;
    schema_is_current(&program).await;
    told(
        "rolling upgrade of jarvis serve",
        &verdict,
        &traffic,
        &[
            ("seed", json!(seed)),
            (
                "migrations_applied",
                json!(applied.as_array().map_or(0, Vec::len)),
            ),
            ("migrated_in_ms", json!(migrated.as_millis())),
        ],
    );
    for server in servers {
        server.stop(Signal::SIGTERM).await;
    }
}
