//! A provider of embeddings that hangs, fails, limits or answers nonsense: members notice nothing but a recall by words,
//! and afterwards everything is remembered once.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING};
use crate::program::{Program, text};
use crate::server::Server;
use crate::stored::{count, traces};
use jarvis_testkit::TestDb;
use jarvis_testkit::{FakeOpenAi, FakeOptions, Fault};
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Said in every conversation; must be found in no log and no error.
const SAID: &str = "mon objectif c'est de battre le perroquet Archibald au rameur";
/// The key; must be found in no log.
const KEY: &str = "sk-turquoise-4711";
const MODEL: &str = "text-embedding-3-small";

struct Stage {
    db: TestDb,
    fake: FakeOpenAi,
    program: Program,
    server: Server,
    kiosk: Caller,
}

impl Stage {
    async fn new() -> Self {
        let options = FakeOptions {
            api_key: Some(SecretString::from(KEY)),
            ..FakeOptions::default()
        };
        let fake = FakeOpenAi::start(options).await.unwrap();
        let db = TestDb::new().await;
        let mut program = Program::on(&db);
        std::fs::write(program.folder().join("key"), format!("{KEY}\n")).unwrap();
        program.set("JARVIS_EMBEDDINGS", "openai");
        program.set("JARVIS_OPENAI_BASE_URL", &fake.base_url());
        program.set("JARVIS_OPENAI_API_KEY_FILE", "key");
        program.set("JARVIS_OPENAI_TIMEOUT_SECONDS", "1");
        program.set("JARVIS_LOG", "trace");
        // A machine that asks a provider needs no weights.
        program.set("JARVIS_E5_WEIGHTS", "/nowhere");
        let server = Server::serve(&program).await;
        let add = ["gym", "add", "Salle", "--slug", "lyon", "--external-models"];
        let gym = program.json(&add).await;
        assert_eq!(text(&gym, "/embedding_model"), MODEL);
        gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
        let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
        Self {
            db,
            fake,
            program,
            server,
            kiosk,
        }
    }

    /// A conversation up to its end; its session. Nothing of it may wait for the provider.
    async fn talk(&self) -> String {
        let begun = Instant::now();
        let session = text(&self.kiosk.open("BADGE_001").await, "/session_id");
        self.kiosk.say(&session, &[SAID]).await;
        self.kiosk.close(&session).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        session
    }

    /// Why the session waits, once it does.
    async fn waiting(&self, session: &str) -> String {
        for _ in 0..300 {
            let (status, body) = self.kiosk.get(&format!("/api/v1/sessions/{session}")).await;
            assert_eq!(
                (status, &body["state"]),
                (StatusCode::OK, &json!("closing")),
                "{body}"
            );
            if let Some(error) = body["last_error"].as_str() {
                return error.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("session {session} waits without saying why");
    }

    /// Asks memory by a session opened for it; how it was found.
    async fn recall(&self) -> String {
        let session = text(&self.kiosk.open("BADGE_001").await, "/session_id");
        let begun = Instant::now();
        let (status, body) = self
            .kiosk
            .get(&format!(
                "/api/v1/sessions/{session}/recall?q=perroquet%20Archibald"
            ))
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        text(&body, "/method")
    }

    async fn processed(&self, session: &str) {
        let done = self.kiosk.processed(session).await;
        assert_eq!(done["state"], "processed", "{done}");
        assert_eq!(done["summary"]["embedding_model"], MODEL, "{done}");
        assert_eq!(done["attempts"], 1, "waiting is no try: {done}");
        assert!(!done["notes"].to_string().contains("embedding"), "{done}");
    }

    async fn readiness(&self) -> Value {
        Caller::new(&self.server.address, "").get("/readyz").await.1
    }

    /// One summary and one row of the ledger per conversation, beside those of useless replies that told their cost, and no
    /// trace of words or key.
    async fn conclude(self, conversations: i64, useless: i64) {
        let pool = self.db.admin_pool();
        let summaries = "select count(*) from public.conversation_summaries where embedding is not null";
        assert_eq!(count(pool, summaries).await, conversations);
        let paid = "select count(distinct session_id) from jarvis.usage_ledger where input_tokens > 0 and cost_usd is null";
        assert_eq!(count(pool, paid).await, conversations);
        let doubled = "select count(*) - count(distinct session_id) from jarvis.usage_ledger
                        where session_id is not null and input_tokens <> 3";
        assert_eq!(count(pool, doubled).await, 0);
        let paid_for_nothing =
            "select count(distinct session_id) from jarvis.usage_ledger where input_tokens = 3";
        assert_eq!(count(pool, paid_for_nothing).await, useless);
        let counted =
            "select count(*) from jarvis.jobs where kind = 'memory.process_session' and attempt > 1";
        assert_eq!(count(pool, counted).await, 0, "waiting is no try");
        let doctor = self.program.run(&["doctor"]).await;
        assert_eq!(doctor.code, 0, "{doctor:?}");
        let (status, log) = self.server.stop(Signal::SIGTERM).await;
        assert_eq!(status.code(), Some(0));
        let log = log.so_far();
        assert!(log.contains("model provider failed"), "failures are logged");
        assert_eq!(traces(log.lines(), &["archibald", "turquoise"]), [""; 0]);
    }
}

/// A reply that costs three tokens.
fn list(data: &Value) -> Fault {
    Fault::text(
        json!({"object": "list", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}).to_string(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_provider_answers_nothing_is_lost_and_no_nonsense_is_stored() {
    let stage = Stage::new().await;
    let zeros = vec![0.0; 1536];
    let faults = [
        ("did not answer in time", Fault::delay(Duration::from_secs(20))),
        ("HTTP 503", Fault::status(503)),
        (
            "limits the rate",
            Fault::status(429).with_header("retry-after", "1"),
        ),
        ("refuses the key", Fault::status(401)),
        (
            "not a list of embeddings",
            Fault::text("<html>Bad gateway</html>"),
        ),
        (
            "not a list of embeddings",
            Fault::text("{\"object\": \"list\", \"data\": [{\"ind"),
        ),
        (
            "a vector of 2 numbers",
            list(&json!([{"index": 0, "embedding": [0.6, 0.8]}])),
        ),
        ("no direction", list(&json!([{"index": 0, "embedding": zeros}]))),
        ("an input has no vector", list(&json!([]))),
        (
            "belongs to no input",
            list(&json!([{"index": 7, "embedding": zeros.iter().map(|_| 1.0).collect::<Vec<_>>()}])),
        ),
    ];
    let conversations = i64::try_from(faults.len()).unwrap();
    for (cause, fault) in faults {
        stage.fake.always(Some(fault));
        let session = stage.talk().await;
        let waits_for = stage.waiting(&session).await;
        assert!(waits_for.contains(cause), "{cause}: {waits_for}");
        assert_eq!(stage.recall().await, "full_text", "{cause}");
        stage.fake.always(None);
        stage.processed(&session).await;
        assert_eq!(stage.recall().await, "embedding", "{cause}");
    }
    // The four lists that are none say what they cost.
    stage.conclude(conversations, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_is_left_alone_and_everything_follows_when_it_is_back() {
    let stage = Stage::new().await;
    assert_eq!(stage.readiness().await["embedding"]["status"], "ready");
    stage.fake.always(Some(Fault::status(503)));
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(stage.talk().await);
    }
    for session in &sessions {
        stage.waiting(session).await;
    }
    let degraded = stage.readiness().await;
    assert_eq!(degraded["embedding"]["status"], "degraded", "{degraded}");
    assert_eq!(degraded["embedding"]["cause"], "provider_failing", "{degraded}");
    assert_eq!(degraded["provider"]["cause"], "provider_failing", "{degraded}");
    assert!(
        text(&degraded, "/embedding/hint").contains("provider"),
        "{degraded}"
    );
    // While it is left alone a question goes by words at once, and nothing is sent.
    let sent = stage.fake.requests().len();
    let begun = Instant::now();
    assert_eq!(stage.recall().await, "full_text");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(stage.fake.requests().len() <= sent + 2, "one try at most was due");
    stage.fake.always(None);
    for session in &sessions {
        stage.processed(session).await;
    }
    let ready = stage.readiness().await;
    assert_eq!(ready["embedding"]["status"], "ready", "{ready}");
    stage.conclude(4, 0).await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_anything_starts() {
    let db = TestDb::new().await;
    for (name, value, word) in [
        ("JARVIS_EMBEDDINGS", "yes", "local"),
        ("JARVIS_EMBEDDINGS", "openai", "JARVIS_OPENAI_API_KEY_FILE"),
        ("JARVIS_OPENAI_API_KEY_FILE", "/nowhere/key", "/nowhere/key"),
        ("JARVIS_OPENAI_API_KEY", "sk-turquoise\nx", "key"),
        (
            "JARVIS_OPENAI_BASE_URL",
            "ftp://127.0.0.1",
            "JARVIS_OPENAI_BASE_URL",
        ),
        ("JARVIS_OPENAI_TIMEOUT_SECONDS", "0", "1 to 40"),
        ("JARVIS_EMBEDDING_MODEL", "gpt-6-luna", "another API"),
    ] {
        let mut program = Program::on(&db);
        if name != "JARVIS_EMBEDDINGS" {
            program.set("JARVIS_EMBEDDINGS", "openai");
            program.set("JARVIS_OPENAI_API_KEY", KEY);
        }
        program.set(name, value);
        let ended = program.run(&["serve", "--listen", "127.0.0.1:0"]).await;
        assert_eq!(ended.code, 2, "{name}={value}: {ended:?}");
        assert!(ended.stderr.contains(word), "{name}={value}: {ended:?}");
        assert!(!ended.stderr.contains("turquoise"), "{ended:?}");
    }
}
