//! The command line: data on standard output, talk on standard error, exit codes that mean something.

use crate::device::{Caller, Device};
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::program::{Ended, Folder, Program, fetched, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

/// One gym, one member, one conversation that became memory.
struct Seeded {
    db: TestDb,
    program: Program,
    kiosk: Device,
    session: String,
}

impl Seeded {
    async fn with_server() -> (Self, Server) {
        let db = TestDb::new().await;
        let program = Program::on(&db);
        let server = Server::serve(&program).await;
        gyms::gym(&program, "lyon").await;
        gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
        let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await;
        let spoken = kiosk.caller.converse("BADGE_001", &[KNEE, GOAL]).await;
        assert_eq!(spoken["state"], "processed", "{spoken}");
        let session = text(&spoken, "/session_id");
        (
            Self {
                db,
                program,
                kiosk,
                session,
            },
            server,
        )
    }

    /// Without a server, so that nothing changes by itself.
    async fn new() -> Self {
        let (seeded, server) = Self::with_server().await;
        server.stop(Signal::SIGTERM).await;
        seeded
    }

    /// Changes the database behind the program's back.
    async fn plant(&self, statement: &str) -> u64 {
        let statement = AssertSqlSafe(statement.replace("$session", &self.session));
        sqlx::query(statement)
            .execute(self.db.admin_pool())
            .await
            .unwrap()
            .rows_affected()
    }
}

async fn shows_contexts(program: &Program) {
    let context = program
        .json(&["member", "context", "BADGE_001", "mon genou me fait encore mal"])
        .await;
    assert_eq!(context["facts"][0]["category"], "injury", "{context}");
    assert!(!context["memories"].as_array().unwrap().is_empty(), "{context}");
    let opening = program.json(&["member", "context", "BADGE_001"]).await;
    assert_eq!(opening["nothing_noted"], false, "{opening}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_answers_with_one_json_value_and_nothing_else() {
    if fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    let (seeded, server) = Seeded::with_server().await;
    let (program, session) = (&seeded.program, seeded.session.as_str());
    let list = async |arguments: &[&str]| {
        let found = program.json(arguments).await;
        found
            .as_array()
            .unwrap_or_else(|| panic!("{arguments:?}: {found}"))
            .clone()
    };

    assert_eq!(list(&["gym", "list"]).await.len(), 1);
    assert_eq!(list(&["member", "list"]).await[0]["badge_id"], "BADGE_001");
    let shown = program.json(&["member", "show", "badge_001"]).await;
    assert_eq!(shown["next_context"]["facts"][0]["category"], "injury", "{shown}");

    let withdrawn = program
        .json(&["consent", "record", "BADGE_001", "--refuse", "profiling"])
        .await;
    assert!(
        !withdrawn["in_force"]
            .as_array()
            .unwrap()
            .contains(&json!("profiling")),
        "{withdrawn}"
    );
    let ledger = program.json(&["consent", "show", "BADGE_001"]).await;
    assert_eq!(ledger["ledger"].as_array().map(Vec::len), Some(6), "{ledger}");

    assert_eq!(
        list(&["session", "list", "--state", "processed"]).await[0]["session_id"],
        session
    );
    assert_eq!(list(&["session", "list", "--state", "failed"]).await.len(), 0);
    assert_eq!(
        program.json(&["session", "show", session]).await["facts"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(
        program.json(&["session", "reprocess", session]).await["state"],
        "closing"
    );
    assert_eq!(seeded.kiosk.caller.processed(session).await["state"], "processed");

    let recalled = program
        .json(&["recall", "BADGE_001", "douleur au genou", "--threshold", "0"])
        .await;
    assert_eq!(recalled["method"], "embedding", "{recalled}");
    assert_eq!(recalled["memories"][0]["session_id"], session, "{recalled}");
    shows_contexts(program).await;
    let facts = list(&["fact", "list", "BADGE_001"]).await;
    assert_eq!(facts[0]["category"], "injury", "injuries first");
    let goal = facts
        .iter()
        .find(|fact| fact["category"] == "goal")
        .expect("the goal is remembered");
    program.json(&["fact", "retire", &text(goal, "/id")]).await;
    assert_eq!(list(&["fact", "list", "BADGE_001"]).await.len(), facts.len() - 1);
    assert_eq!(
        list(&["fact", "list", "BADGE_001", "--all"]).await.len(),
        facts.len()
    );
    let history = list(&["fact", "history", "BADGE_001"]).await;
    assert_eq!(history.last().unwrap()["operation"], "retire", "{history:?}");

    assert_eq!(program.json(&["doctor"]).await["findings"], json!([]));
    let status = program.json(&["db", "status"]).await;
    assert_eq!(
        (&status["database"], &status["pending_migrations"]),
        (&json!(seeded.db.name()), &json!(0))
    );
    let migrations = list(&["migration", "list"]).await;
    assert!(
        migrations.len() >= 5 && migrations.iter().all(|m| m["state"] == "applied"),
        "{migrations:?}"
    );
    assert_eq!(list(&["migration", "up"]).await.len(), 0, "nothing is pending");
    server.stop(Signal::SIGTERM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kiosks_and_people_are_let_in_by_commands_and_kiosks_are_shut_out_at_once() {
    let (seeded, server) = Seeded::with_server().await;
    let (program, kiosk) = (&seeded.program, &seeded.kiosk);
    let listed = program.json(&["kiosk", "list"]).await;
    assert_eq!(
        (&listed[0]["status"], &listed[0]["id"]),
        (&json!("active"), &json!(kiosk.kiosk_id))
    );
    let minted = text(
        &program.json(&["token", "mint", "--kiosk", &kiosk.kiosk_id]).await,
        "/access_token",
    );
    let (status, me) = Caller::new(&server.address, &minted).get("/api/v1/me").await;
    assert!(
        status == StatusCode::OK && me.to_string().contains(&kiosk.kiosk_id),
        "{status} {me}"
    );

    let password = gyms::person(program, "claire@lyon.example", "gym_manager", &["lyon"]).await;
    assert_eq!(
        program.json(&["user", "list"]).await[0]["email"],
        "claire@lyon.example"
    );
    let signed_in = Caller::sign_in(&server.address, "claire@lyon.example", &password).await;
    let minted = text(
        &program
            .json(&["token", "mint", "--user", "claire@lyon.example"])
            .await,
        "/access_token",
    );
    for claire in [signed_in, Caller::new(&server.address, &minted)] {
        let (status, shown) = claire.get(&format!("/api/v1/sessions/{}", seeded.session)).await;
        assert_eq!(status, StatusCode::OK, "{shown}");
    }

    let left_open = text(&kiosk.caller.open("BADGE_001").await, "/session_id");
    program.json(&["kiosk", "revoke", &kiosk.kiosk_id]).await;
    let (status, refused) = kiosk
        .caller
        .post("/api/v1/sessions", &json!({"badge_id": "BADGE_001"}))
        .await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::FORBIDDEN, &json!("kiosk_revoked"))
    );
    let shown = program.json(&["session", "show", &left_open]).await;
    assert_ne!(
        shown["state"], "open",
        "the sessions of a revoked kiosk end: {shown}"
    );
    server.stop(Signal::SIGTERM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_makes_the_memory_that_a_server_without_one_leaves() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::start(program.command(&["serve", "--no-worker", "--listen", "127.0.0.1:0"])).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let session = text(&kiosk.open("BADGE_001").await, "/session_id");
    kiosk.say(&session, &[GOAL]).await;
    kiosk.close(&session).await;
    let waiting = program.json(&["session", "show", &session]).await;
    assert_eq!(waiting["state"], "closing", "{waiting}");

    let mut worker = program.command(&["worker"]).spawn().unwrap();
    assert_eq!(kiosk.processed(&session).await["state"], "processed");
    let pid = nix::unistd::Pid::from_raw(worker.id().expect("the worker runs").try_into().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(worker.wait().await.unwrap().code(), Some(0));
    server.stop(Signal::SIGTERM).await;
}

#[tokio::test]
async fn migrations_and_reset_say_what_would_be_lost_first() {
    let seeded = Seeded::new().await;
    let program = &seeded.program;
    let name = seeded.db.name();
    refused_as_wrong_use(&program.run(&["db", "reset", "--confirm", "another"]).await, name);
    let down = ["migration", "down", "--steps", "99"];
    refused_as_wrong_use(&program.run(&down).await, "conversation_events");
    assert_eq!(
        program.json(&["gym", "list"]).await.as_array().map(Vec::len),
        Some(1),
        "nothing was lost"
    );

    let reset = program.json(&["db", "reset", "--confirm", name]).await;
    assert_eq!(reset["undone"], reset["applied"], "{reset}");
    assert_eq!(program.json(&["gym", "list"]).await, json!([]));

    let files = program
        .json(&["migration", "new", "add_lockers", "--dir", "migrations"])
        .await;
    for file in files.as_array().unwrap() {
        let path = program.folder().join(file.as_str().unwrap());
        assert!(
            path.is_file() && path.display().to_string().contains("add_lockers"),
            "{}",
            path.display()
        );
    }
}

fn refused_as_wrong_use(ended: &Ended, word: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.contains(word), "{word} in {}", ended.stderr);
}

#[tokio::test]
async fn wrong_use_ends_with_2_and_says_what_is_right() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    gyms::gym(&program, "lyon").await;
    for (arguments, word) in [
        (["frobnicate"].as_slice(), "frobnicate"),
        (&[], "Usage"),
        (&["member", "show", "NOBODY"], "member list"),
        (&["member", "list", "--gym", "nowhere"], "gym list"),
        (&["consent", "record", "BADGE_001"], "--grant"),
        (
            &["consent", "record", "BADGE_001", "--grant", "everything"],
            "health_memory",
        ),
        (&["session", "list", "--state", "asleep"], "processed"),
        (&["token", "mint"], "--user"),
        (
            &["user", "add", "claire", "--role", "gym_manager", "--gym", "lyon"],
            "e-mail",
        ),
        (
            &["user", "add", "claire@lyon.example", "--role", "gym_manager"],
            "--gym",
        ),
        (&["recall", "BADGE_001"], "<QUERY>"),
        (&["serve", "--listen", "everywhere"], "--listen"),
    ] {
        refused_as_wrong_use(&program.run(arguments).await, word);
    }
    gyms::gym(&program, "nantes").await;
    refused_as_wrong_use(&program.run(&["member", "list"]).await, "--gym nantes");

    let without = Program::without_database();
    refused_as_wrong_use(&without.run(&["serve"]).await, "jarvis up");
    let ended = without.run(&["gym", "list", "--json"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
    let error: Value = serde_json::from_str(ended.stderr.trim()).unwrap();
    assert!(text(&error, "/hint").contains("jarvis up"), "{error}");
}

#[tokio::test]
async fn extraction_is_measured_without_a_database_and_ends_with_3_below_a_bar() {
    let program = Program::without_database();
    let folder = Folder::new();
    let file = |name: &str, set: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, set).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let set = file(
        "set.json",
        r#"[{"id": "a", "transcript": "Adhérent: J'ai mal au genou droit\nJARVIS: Tu as mal au dos ?\nAdhérent: Non",
            "facts": [{"category": "injury", "matches": "genou"}, {"category": "goal", "matches": "poids"}]}]"#,
    );
    let measure = ["eval", "extract", "--set", &set, "--json"];
    let ended = program.run(&measure).await;
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        (
            &report["precision"],
            &report["recall"],
            &report["facts_from_assistant"]
        ),
        (&json!(1.0), &json!(0.5), &json!(0))
    );
    assert_eq!(report["misses"][0]["category"], "goal");
    let below = program
        .run(&[&measure[..], &["--min-recall", "0.6"]].concat())
        .await;
    assert_eq!(below.code, 3, "{below:?}");
    assert!(
        below.stderr.contains("recall 0.500 is below 0.600"),
        "{}",
        below.stderr
    );
    let broken = file("broken.json", r#"{"id": "a"}"#);
    for (kind, says) in [
        ("extract", "transcript"),
        ("summary", "transcript"),
        ("sentiment", "pos|neu|neg"),
        ("category", "injury|"),
        ("recall", "queries"),
    ] {
        let refused = program.run(&["eval", kind, "--set", &broken]).await;
        refused_as_wrong_use(&refused, says);
    }
    let unlabelled = program
        .run(&[&measure[..], &["--min-accuracy", "0.5"]].concat())
        .await;
    refused_as_wrong_use(&unlabelled, "sentiment");
}

#[tokio::test]
async fn a_database_that_is_away_is_a_failure_with_a_way_out_and_no_password() {
    let mut program = Program::without_database();
    program.set(
        "DATABASE_URL",
        "postgres://jarvis_login:hush-hush@127.0.0.1:9/jarvis",
    );
    for arguments in [
        ["gym", "list"],
        ["doctor", "--json"],
        ["db", "status"],
        ["serve", "--no-worker"],
    ] {
        let ended = program.run(&arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (1, ""),
            "{arguments:?} {ended:?}"
        );
        assert!(ended.stderr.contains("hint"), "{arguments:?}: {}", ended.stderr);
        assert!(
            !ended.stderr.contains("hush-hush"),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

/// What is broken on purpose, what doctor calls it, and how it is mended again.
pub const BROKEN: [(&str, &str, &str); 5] = [
    (
        "update public.conversation_sessions set state = 'failed' where session_id = '$session'",
        "processing_failed",
        "update public.conversation_sessions set state = 'processed' where session_id = '$session'",
    ),
    (
        // Nobody touched it since; the trigger that dates every change would say otherwise.
        "update public.conversation_sessions set state = 'closing', ended_at = now() - interval '20 minutes',
           started_at = now() - interval '1 hour', updated_at = now() - interval '20 minutes'
          from (select set_config('session_replication_role', 'replica', true)) as without_triggers
          where session_id = '$session'",
        "processing_late",
        "update public.conversation_sessions set state = 'processed' where session_id = '$session'",
    ),
    (
        "update public.conversation_sessions set state = 'open', ended_at = null, end_reason = null,
           last_event_at = now() - interval '40 minutes' where session_id = '$session'",
        "session_orphaned",
        "update public.conversation_sessions set state = 'processed', ended_at = now(), end_reason = 'client'
          where session_id = '$session'",
    ),
    (
        "update public.conversation_sessions set state = 'empty', state_reason = 'no_user_turn'
          where session_id = '$session'",
        "empty_with_words",
        "update public.conversation_sessions set state = 'processed', state_reason = null where session_id = '$session'",
    ),
    (
        "delete from public.conversation_summaries where session_id = '$session'",
        "memory_missing",
        "select 1",
    ),
];

#[tokio::test]
async fn doctor_names_what_is_broken_and_ends_with_3() {
    if fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    let seeded = Seeded::new().await;
    let program = &seeded.program;
    let healthy = program.run(&["doctor"]).await;
    assert_eq!(healthy.code, 0, "{healthy:?}");
    for (break_it, code, mend_it) in BROKEN {
        assert_eq!(seeded.plant(break_it).await, 1, "{break_it}");
        let ended = program.run(&["doctor", "--json"]).await;
        assert_eq!(ended.code, 3, "{code}: {ended:?}");
        let report = ended.json();
        let found: Vec<_> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| text(f, "/code"))
            .collect();
        assert_eq!(found, [code], "{report}");
        assert_eq!(
            report["findings"][0]["sessions"][0]["session_id"],
            json!(seeded.session)
        );
        assert!(!text(&report, "/findings/0/mend").is_empty(), "{report}");
        let said = program.run(&["doctor"]).await;
        assert_eq!(said.code, 3);
        assert!(
            said.stdout.contains(code) && said.stdout.contains(&seeded.session),
            "{said:?}"
        );
        seeded.plant(mend_it).await;
    }
}

/// Every command and what is below it, as `jarvis help` is asked for it.
async fn commands_below(program: &Program, above: &[String]) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut open = vec![above.to_vec()];
    while let Some(path) = open.pop() {
        let mut arguments = vec!["help"];
        arguments.extend(path.iter().map(String::as_str));
        let ended = program.run(&arguments).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        let (_, list) = ended.stdout.split_once("Commands:\n").unwrap_or_default();
        for line in list.lines().take_while(|line| !line.trim().is_empty()) {
            let name = line
                .strip_prefix("  ")
                .filter(|l| !l.starts_with(' '))
                .and_then(|l| l.split(' ').next());
            if let Some(name) = name.filter(|name| *name != "help") {
                open.push([path.clone(), vec![name.to_owned()]].concat());
            }
        }
        found.push((path, ended.stdout));
    }
    found
}

#[tokio::test]
async fn help_teaches_every_command() {
    let mut program = Program::without_database();
    program.unset("JARVIS_DATA_DIR");
    let mut all = commands_below(&program, &[]).await;
    all.sort();
    assert!(all.len() > 35, "{} commands", all.len());
    for (path, help) in &all {
        let first = help.lines().next().unwrap_or_default();
        assert!(
            first.len() > 5,
            "`jarvis {}` says what it is for: {help}",
            path.join(" ")
        );
        let global = ["--json", "Usage: jarvis"];
        assert!(
            global.iter().all(|word| help.contains(word)),
            "jarvis {}: {help}",
            path.join(" ")
        );
    }
    let short = program.run(&["--help"]).await;
    insta::assert_snapshot!("help", short.stdout);
    let names: Vec<String> = all.iter().map(|(path, _)| path.join(" ")).collect();
    insta::assert_snapshot!("commands", names.join("\n"));
}

#[tokio::test]
async fn who_reads_only_the_beginning_of_the_output_is_shown_no_defect() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let mut command = program.command(&["gym", "list", "--json"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert!(ended.status.success());
}
