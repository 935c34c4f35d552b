//! Badge, conversation, memory, next visit: the reason why JARVIS exists, from outside.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::program::{Program, fetched, text};
use crate::server::{Server, is_alive};
use crate::stored::{everything, traces};
use crate::up::postmaster;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What must not be found of somebody who did not agree that their health is remembered.
const KNEE_WORDS: [&str; 3] = ["genou", "knee", "squat"];

fn categories(facts: &Value) -> Vec<String> {
    facts
        .as_array()
        .expect("facts are a list")
        .iter()
        .map(|fact| text(fact, "/category"))
        .collect()
}

/// The one fact of a category.
fn fact<'a>(facts: &'a Value, category: &str) -> &'a Value {
    let found: Vec<_> = facts
        .as_array()
        .unwrap()
        .iter()
        .filter(|fact| fact["category"] == category)
        .collect();
    assert_eq!(found.len(), 1, "{category} in {facts}");
    found[0]
}

fn is_remembered_with_exact_words(facts: &Value) {
    for (category, said, word) in [("injury", KNEE, "genou droit"), ("goal", GOAL, "cinq kilos")] {
        let quote = text(fact(facts, category), "/source_quote");
        assert!(
            said.contains(&quote) && quote.contains(word),
            "{category}: {quote}"
        );
        let confidence = fact(facts, category)["confidence"].as_f64().unwrap();
        assert!(confidence > 0.5 && confidence <= 1.0, "{category}: {confidence}");
    }
}

fn is_known_injury_first(context: &Value) {
    let known = categories(&context["facts"]);
    assert_eq!(known.first().map(String::as_str), Some("injury"), "{context}");
    assert!(known.contains(&"goal".to_owned()), "{context}");
    is_remembered_with_exact_words(&context["facts"]);
    let prompt = text(context, "/prompt");
    assert!(
        prompt.contains("genou droit") && prompt.contains("cinq kilos"),
        "{prompt}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_member_said_is_known_at_the_next_visit_in_their_own_words() {
    if fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;

    let first = kiosk.open("BADGE_001").await;
    assert_eq!(
        first["context"]["facts"],
        json!([]),
        "nothing is known yet: {first}"
    );
    let session = text(&first, "/session_id");
    kiosk.say(&session, &[KNEE, GOAL]).await;
    kiosk.close(&session).await;
    let processed = kiosk.processed(&session).await;
    assert_eq!(processed["state"], "processed", "{processed}");
    is_remembered_with_exact_words(&processed["facts"]);
    assert_eq!(processed["summary"]["embedding_dimensions"], 1536, "{processed}");

    let summaries: Vec<(String, i32)> =
        sqlx::query_as("select session_id, public_dims from (select session_id, array_length(string_to_array(embedding::text, ','), 1) as public_dims from public.conversation_summaries) s")
            .fetch_all(db.admin_pool())
            .await
            .unwrap();
    assert_eq!(summaries, [(session, 1536)]);
    is_known_injury_first(&kiosk.open("badge_001").await["context"]);
    server.stop(Signal::SIGTERM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_consent_to_health_memory_no_trace_of_the_knee_is_left() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_LOG", "debug");
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_002", "Julie", "voice,memory,profiling").await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let rows = everything(db.admin_pool()).await;
    assert_eq!(
        traces(rows.iter().map(String::as_str), &KNEE_WORDS),
        [""; 0],
        "before anything was said"
    );

    let session = text(&kiosk.open("BADGE_002").await, "/session_id");
    let events = json!([
        {"event_type": "ai_transcript", "transcript": "Bonjour Julie, comment va ton genou ?"},
        {"event_type": "user_transcript", "transcript": KNEE},
        {"event_type": "tool_call", "tool_name": "plan", "tool_args": {"without": "squats", "why": "knee pain"}},
        {"event_type": "tool_result", "tool_name": "plan", "tool_result": {"note": "genou douloureux"}},
        {"event_type": "user_transcript", "transcript": "My knee hurts when I squat"},
        {"event_type": "user_transcript", "transcript": GOAL},
    ]);
    let (status, answer) = kiosk
        .post(&format!("/api/v1/sessions/{session}/events"), &events)
        .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer["withheld_health_spans"].as_i64().unwrap() >= 4, "{answer}");
    kiosk.close(&session).await;
    let late = kiosk.say(&session, &["Le genou me lance encore"]).await;
    assert!(late["withheld_health_spans"].as_i64().unwrap() >= 1, "{late}");

    let processed = kiosk.processed(&session).await;
    assert_eq!(processed["state"], "processed", "{processed}");
    let notes = processed["notes"].as_array().expect("a session has notes");
    assert!(
        notes.contains(&json!("health_withheld")),
        "the session says so: {processed}"
    );
    assert_eq!(
        categories(&processed["facts"]),
        ["goal"],
        "the rest is remembered: {processed}"
    );
    let next = kiosk.open("BADGE_002").await;
    let shown = program
        .run(&["session", "show", &session, "--gym", "lyon", "--json"])
        .await;
    let (_, log) = server.stop(Signal::SIGTERM).await;

    let rows = everything(db.admin_pool()).await;
    assert!(
        rows.iter().any(|row| row.contains("cinq kilos")),
        "the other words are there"
    );
    assert_eq!(traces(rows.iter().map(String::as_str), &KNEE_WORDS), [""; 0]);
    for (place, text) in [
        ("the session", processed.to_string()),
        ("the next context", next.to_string()),
        ("the operator's view", shown.stdout),
        ("the log", log.so_far()),
    ] {
        assert_eq!(traces(text.lines(), &KNEE_WORDS), [""; 0], "{place}");
    }
}

/// Somebody of a gym, and what they are called in a failure.
struct Asker {
    name: String,
    gym: usize,
    is_kiosk: bool,
    caller: Caller,
}

/// A gym with one conversation.
struct Told {
    gym: String,
    member: String,
    session: String,
    summary: String,
    facts: Vec<String>,
}

impl Told {
    fn ids(&self) -> Vec<&str> {
        let own = [&self.gym, &self.member, &self.session, &self.summary].map(String::as_str);
        own.into_iter()
            .chain(self.facts.iter().map(String::as_str))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gyms_with_the_same_badge_and_the_same_words_never_mix_whoever_asks() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    let (mut told, mut askers) = (Vec::new(), Vec::new());
    for (number, slug) in ["lyon", "nantes"].into_iter().enumerate() {
        let gym = gyms::gym(&program, slug).await;
        let member = gyms::member(&program, slug, "BADGE_001", "Sophie", EVERYTHING).await;
        let kiosk = gyms::kiosk(&program, &server, slug, "entree").await;
        let spoken = kiosk.caller.converse("BADGE_001", &[KNEE, GOAL]).await;
        is_remembered_with_exact_words(&spoken["facts"]);
        told.push(Told {
            gym,
            member,
            session: text(&spoken, "/session_id"),
            summary: text(&spoken, "/summary/id"),
            facts: spoken["facts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|fact| text(fact, "/id"))
                .collect(),
        });
        let mut add = |name: String, is_kiosk, caller| {
            askers.push(Asker {
                name,
                gym: number,
                is_kiosk,
                caller,
            });
        };
        add(format!("the kiosk of {slug}"), true, kiosk.caller);
        for role in ["gym_manager", "gym_staff"] {
            let email = format!("{role}@{slug}.example");
            let password = gyms::person(&program, &email, role, &[slug]).await;
            add(
                format!("{role} of {slug}"),
                false,
                Caller::sign_in(&server.address, &email, &password).await,
            );
        }
    }
    for asker in &askers {
        own_gym_and_nothing_else(asker, &told).await;
    }
    for (number, slug) in ["lyon", "nantes"].into_iter().enumerate() {
        let member = program
            .json(&["member", "show", "BADGE_001", "--gym", slug])
            .await;
        assert_eq!(text(&member, "/member/id"), told[number].member);
        is_known_injury_first(&member["next_context"]);
        let facts = program.json(&["fact", "list", "BADGE_001", "--gym", slug]).await;
        holds_nothing_of(&told[1 - number], &[member, facts], slug);
    }
    server.stop(Signal::SIGTERM).await;
}

async fn own_gym_and_nothing_else(asker: &Asker, told: &[Told]) {
    let (own, other) = (&told[asker.gym], &told[1 - asker.gym]);
    let mut heard = Vec::new();
    let show = |session: &str| format!("/api/v1/sessions/{session}");
    let (status, body) = asker.caller.get(&show(&own.session)).await;
    // Staff may be shown less of their own gym; whatever they get is of their own gym.
    assert!(
        status == StatusCode::OK || asker.name.starts_with("gym_staff"),
        "{}: {status} {body}",
        asker.name
    );
    heard.push(body);
    let question = "q=mal%20au%20genou&threshold=0";
    let mut foreign = vec![
        show(&other.session),
        format!("{}/recall?{question}", show(&other.session)),
    ];
    if asker.is_kiosk {
        let opened = asker.caller.open("BADGE_001").await;
        assert_eq!(text(&opened, "/member/id"), own.member, "{}", asker.name);
        is_known_injury_first(&opened["context"]);
        let session = text(&opened, "/session_id");
        heard.push(
            asker
                .caller
                .get(&format!("{}/recall?{question}", show(&session)))
                .await
                .1,
        );
        heard.push(opened);
        for (path, body) in [
            ("events", json!({"event_type": "user_speech_start"})),
            ("close", json!({})),
        ] {
            let (status, body) = asker
                .caller
                .post(&format!("{}/{path}", show(&other.session)), &body)
                .await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{} {path}: {body}", asker.name);
        }
    } else {
        for path in ["context".to_owned(), format!("recall?{question}")] {
            let (status, body) = asker
                .caller
                .get(&format!("/api/v1/members/{}/{path}", own.member))
                .await;
            let may_be_less = asker.name.starts_with("gym_staff");
            assert!(
                status == StatusCode::OK || may_be_less,
                "{} {path}: {status} {body}",
                asker.name
            );
            heard.push(body);
            foreign.push(format!("/api/v1/members/{}/{path}", other.member));
        }
    }
    for path in foreign {
        let (status, body) = asker.caller.get(&path).await;
        let may_not = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&status);
        assert!(may_not, "{} asks {path}: {status} {body}", asker.name);
        assert_ne!(body["code"], Value::Null, "{path}: a problem has a code");
        heard.push(body);
    }
    holds_nothing_of(other, &heard, &asker.name);
}

fn holds_nothing_of(other: &Told, heard: &[Value], whom: &str) {
    for body in heard {
        let body = body.to_string();
        for id in other.ids() {
            assert!(
                !body.contains(id),
                "{whom} was told {id} of the other gym: {body}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_remembers_and_a_second_run_keeps_it() {
    if fetched("JARVIS_PG_DIR").is_none() || fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    let program = Program::without_database();
    let begun = Instant::now();
    let first = program.run(&["demo", "--once", "--json"]).await;
    println!("first run: {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(first.code, 0, "{first:?}");
    let report = first.json();
    assert_eq!(report["state"], "processed");
    is_remembered_with_exact_words(&report["facts"]);
    assert_eq!(report["summaries"].as_array().map(Vec::len), Some(1), "{report}");
    assert_eq!(report["summaries"][0]["embedding_dimensions"], 1536);
    is_known_injury_first(&report["next_context"]);
    let withheld = report["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["first_name"] == "Julie");
    let withheld = withheld.expect("a member without health_memory speaks in the demo");
    assert_eq!(traces([withheld.to_string().as_str()], &KNEE_WORDS), [""; 0]);
    assert_eq!(withheld["notes"], json!(["health_withheld"]));
    assert_eq!(categories(&withheld["facts"]), ["goal"]);
    assert_eq!(traces(first.stderr.lines(), &KNEE_WORDS), [""; 0]);
    assert_eq!(
        postmaster(&program.data()),
        None,
        "PostgreSQL was stopped in order"
    );

    let begun = Instant::now();
    let second = program.run(&["demo", "--once", "--json"]).await;
    let took = begun.elapsed();
    println!("second run: {:.1} s", took.as_secs_f64());
    assert_eq!(second.code, 0, "{second:?}");
    let again = second.json();
    assert_eq!(
        again["session_ids"], report["session_ids"],
        "nothing is played twice"
    );
    assert_eq!(again["facts"], report["facts"]);
    assert_eq!(again["summaries"], report["summaries"]);
    assert!(took < Duration::from_secs(30), "a second run starts in seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_demo_with_everything_it_started() {
    if fetched("JARVIS_PG_DIR").is_none() || fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    let program = Program::without_database();
    let server = Server::start(program.command(&["demo", "--listen", "127.0.0.1:0"])).await;
    let postgres = postmaster(&program.data()).expect("PostgreSQL runs");
    assert!(is_alive(postgres));
    tokio::time::sleep(Duration::from_millis(300)).await;
    for promised in ["manager.lyon@demo.invalid", "BADGE_001", "curl", "/api/docs"] {
        assert!(
            server.log.so_far().contains(promised),
            "the demo says {promised}:\n{}",
            server.log.so_far()
        );
    }
    let (status, log) = server.stop(Signal::SIGINT).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
    assert!(!is_alive(postgres), "PostgreSQL is left running");
    assert_eq!(postmaster(&program.data()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_while_the_demo_is_starting_leaves_no_postgresql_and_no_damage() {
    if fetched("JARVIS_PG_DIR").is_none() || fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    // Into initdb, and into the start of the server, the migrations, the loading and the playing.
    for (making, pause) in [
        (true, 0),
        (true, 300),
        (false, 0),
        (false, 150),
        (false, 500),
        (false, 1200),
    ] {
        let program = Program::without_database();
        let mut child = program.command(&["demo", "--once"]).spawn().unwrap();
        let unfinished = program.data().join("demo/postgres/unfinished");
        let begun = Instant::now();
        while !(making && unfinished.exists() || postmaster(&program.data()).is_some()) {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "PostgreSQL does not start"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let pid = nix::unistd::Pid::from_raw(child.id().expect("the demo runs").try_into().unwrap());
        nix::sys::signal::kill(pid, Signal::SIGINT).unwrap();
        let ended = tokio::time::timeout(Duration::from_mins(1), child.wait()).await;
        ended.expect("Ctrl-C ends the demo").unwrap();
        let begun = Instant::now();
        while postmaster(&program.data()).is_some_and(is_alive) {
            let patience = Duration::from_secs(10);
            assert!(
                begun.elapsed() < patience,
                "PostgreSQL is left running (initdb: {making}, {pause} ms)"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let again = program.run(&["demo", "--once", "--json"]).await;
        assert_eq!(
            again.code, 0,
            "after an interruption (initdb: {making}, {pause} ms): {again:?}"
        );
        is_remembered_with_exact_words(&again.json()["facts"]);
    }
}
