//! A model of a provider reads the conversations of gyms that allow it; where it does not, the rules do and say why.

use crate::stage::{EVERYTHING, Gym, Stage, said};
use chrono::TimeDelta;
use jarvis_core::{Actor, Purpose, Scope, SessionId, SessionState};
use jarvis_db::Db;
use jarvis_jobs::{Connect, Runner};
use jarvis_llm::{
    BoxFuture, Breaker, BreakerSettings, BreakerState, Chat, Guarded, LlmError, ModelRegistry, OpenAi,
    OpenAiConfig, StructuredReply, StructuredRequest,
};
use jarvis_memory::jobs::ProcessSession;
use jarvis_memory::sessions::{self, SessionDetail};
use jarvis_memory::{Embedder, Memory, Provider, Reader, degraded, process};
use jarvis_testkit::{Answer, FakeOpenAi, FakeOptions, Fault};
use serde_json::{Value, json};
use sqlx::postgres::PgListener;
use sqlx::{Postgres, Transaction};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const SAID: &str = "Je veux perdre cinq kilos avant juin";
const EMBEDDING: &str = "text-embedding-3-small";

fn client(fake: &FakeOpenAi) -> OpenAi {
    let config = OpenAiConfig {
        max_retries: 0,
        timeout: Duration::from_secs(1),
        ..OpenAiConfig::new(fake.base_url())
    };
    OpenAi::new(config, Arc::new(ModelRegistry::defaults())).unwrap()
}

/// A breaker that tries again at once.
pub fn breaker(failures: u32) -> Breaker {
    Breaker::new(BreakerSettings {
        failures,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(1),
    })
}

pub fn reader(fake: &FakeOpenAi, breaker: Breaker) -> Arc<Reader> {
    Arc::new(Reader {
        provider: "openai".to_owned(),
        model: "gpt-6-luna".to_owned(),
        window: 128_000,
        client: Box::new(Guarded::new(client(fake), breaker.clone())),
        breaker,
    })
}

pub async fn fake() -> FakeOpenAi {
    FakeOpenAi::start(FakeOptions::default()).await.unwrap()
}

pub async fn allow(stage: &Stage, gym: &Gym) {
    stage.allow_external_models(gym, true).await;
}

async fn detail(stage: &Stage, gym: &Gym, session: &SessionId) -> SessionDetail {
    let scope = Scope::gym(gym.id, Actor::Server);
    sessions::get(&stage.memory, &scope, session).await.unwrap()
}

pub fn answer(summary: &str, quote: &str) -> Value {
    json!({
        "facts": [{
            "category": "goal", "fact_key": "weight_loss", "turn": 0, "source_quote": quote,
            "value": { "kind": "weight_loss", "target": 5, "unit": "kg", "deadline": null, "progress": null },
            "hedged": false, "still_true": true, "about_health": false,
        }],
        "summary": summary, "key_topics": ["poids"], "sentiment": "neutral", "sentiment_score": 0.1,
    })
}

#[tokio::test]
async fn a_model_reads_the_conversations_of_a_gym_that_allows_it_and_of_no_other() {
    let fake = fake().await;
    let mut stage = Stage::new().await;
    stage.memory.reader = Some(reader(&fake, breaker(3)));
    let (open, shut) = (stage.gym("lyon").await, stage.gym("lille").await);
    allow(&stage, &open).await;
    for gym in [&open, &shut] {
        stage.member(gym, "BADGE_001", EVERYTHING).await;
    }
    fake.answer(
        "session_memory",
        Answer::Json(answer("Le membre veut maigrir.", SAID)),
    );
    let talk = ["JARVIS: Bonjour Sophie, on parle du perroquet ?", SAID];
    let refused = stage.talk(&shut, "BADGE_001", &talk).await;
    assert_eq!(fake.requests(), []);
    assert_eq!(
        detail(&stage, &shut, &refused).await.session.degraded_reason,
        None
    );

    let numbered = [SAID, "JARVIS: Bonjour Sophie, on parle du perroquet ?"];
    let read = stage.talk(&open, "BADGE_001", &numbered).await;
    let read = detail(&stage, &open, &read).await;
    assert_eq!(read.session.extractor.as_deref(), Some("gpt-6-luna"));
    assert_eq!(
        (read.session.degraded_reason, read.session.facts_rejected),
        (None, 0)
    );
    assert_eq!(read.summary.unwrap().summary_text, "Le membre veut maigrir.");
    let [fact] = &read.facts[..] else {
        panic!("{:?}", read.facts)
    };
    assert_eq!(
        (fact.fact_key.as_str(), fact.source_quote.as_deref()),
        ("weight_loss", Some(SAID))
    );
    assert!(fact.verified);

    let [sent] = &fake.requests()[..] else {
        panic!("one call")
    };
    assert_eq!(sent.body["store"], false);
    let words = sent.body.to_string();
    for private in [
        "perroquet",
        "Sophie",
        "BADGE_001",
        read.session.session_id.as_str(),
    ] {
        assert!(!words.contains(private), "{private}");
    }
    let paid =
        "select count(*) from jarvis.usage_ledger where session_id is not null and model = 'gpt-6-luna'
                and input_tokens > 0 and output_tokens > 0";
    assert_eq!(stage.count(paid).await, 1);
}

#[tokio::test]
async fn whatever_the_model_does_the_conversation_is_read_and_says_why_the_rules_read_it() {
    let fake = fake().await;
    let mut stage = Stage::new().await;
    stage.memory.reader = Some(reader(&fake, breaker(1_000)));
    let gym = stage.gym("lyon").await;
    allow(&stage, &gym).await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let good = || answer("Le membre veut maigrir.", SAID);
    let invented =
        json!({ "facts": [], "summary": "  ", "key_topics": [], "sentiment": "mixed", "sentiment_score": 0 });
    for (answer, fault, reason, billed) in [
        (Some(Answer::Refusal("No.".to_owned())), None, "refused", true),
        (Some(Answer::CutShort), None, "cut_short", true),
        (Some(Answer::Filtered), None, "filtered", true),
        (Some(Answer::Raw("Voilà !".to_owned())), None, "not_json", true),
        (
            Some(Answer::Raw("{\"a\": 1}".to_owned())),
            None,
            "breaks_schema",
            true,
        ),
        (Some(Answer::Json(invented)), None, degraded::NONSENSE, true),
        (Some(Answer::WithoutUsage(good())), None, "usage_missing", false),
        (None, Some(Fault::status(429)), "rate_limited", false),
        (None, Some(Fault::status(500)), "unavailable", false),
        (None, Some(Fault::status(401)), "unauthorized", false),
        (None, Some(Fault::text("<html>")), "bad_reply", false),
        (None, Some(Fault::delay(Duration::from_secs(5))), "timeout", false),
    ] {
        let before = stage.count("select count(*) from jarvis.usage_ledger").await;
        if let Some(answer) = answer {
            fake.answer("session_memory", answer);
        }
        if let Some(fault) = fault {
            fake.fault(fault);
        }
        let session = stage.talk(&gym, "BADGE_001", &[SAID]).await;
        let read = detail(&stage, &gym, &session).await;
        assert_eq!(read.session.state, SessionState::Processed, "{reason}");
        assert_eq!(read.session.degraded_reason.as_deref(), Some(reason));
        assert_eq!(read.session.attempts, 1, "{reason}");
        assert!(read.session.extractor.unwrap().starts_with("rules-"), "{reason}");
        assert!(
            read.summary.unwrap().summary_text.contains("cinq kilos"),
            "{reason}"
        );
        let after = stage.count("select count(*) from jarvis.usage_ledger").await;
        assert_eq!(after - before, i64::from(billed), "{reason}");
    }
    // Read again once the model is well, and the reason is gone.
    let session = stage.talk(&gym, "BADGE_001", &[SAID]).await;
    let read = detail(&stage, &gym, &session).await.session;
    assert_eq!(read.extractor.as_deref(), Some("gpt-6-luna"));
    assert_eq!(read.degraded_reason, None);

    stage.memory.reader = None;
    let session = stage.talk(&gym, "BADGE_001", &[SAID]).await;
    let read = detail(&stage, &gym, &session).await;
    assert_eq!(read.session.degraded_reason.as_deref(), Some(degraded::NO_MODEL));
}

#[tokio::test]
async fn while_the_provider_is_left_alone_nothing_is_sent_and_the_rules_read() {
    let fake = fake().await;
    let mut stage = Stage::new().await;
    stage.memory.reader = Some(reader(&fake, Breaker::new(BreakerSettings::default())));
    let gym = stage.gym("lyon").await;
    allow(&stage, &gym).await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    fake.always(Some(Fault::status(503)));
    let mut reasons = Vec::new();
    for _ in 0..5 {
        let session = stage.talk(&gym, "BADGE_001", &[SAID]).await;
        reasons.push(
            detail(&stage, &gym, &session)
                .await
                .session
                .degraded_reason
                .unwrap(),
        );
    }
    assert_eq!(
        reasons,
        [
            "unavailable",
            "unavailable",
            "unavailable",
            "circuit_open",
            "circuit_open"
        ]
    );
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn health_is_shown_to_no_provider_without_its_own_consent() {
    let fake = fake().await;
    let mut stage = Stage::new().await;
    stage.memory.reader = Some(reader(&fake, breaker(3)));
    let gym = stage.gym("lyon").await;
    allow(&stage, &gym).await;
    stage
        .member(&gym, "BADGE_001", &[Purpose::Voice, Purpose::Memory])
        .await;
    fake.answer(
        "session_memory",
        Answer::Json(answer("Le membre a mal au genou.", SAID)),
    );
    let session = stage
        .talk(&gym, "BADGE_001", &[SAID, "J'ai mal au genou droit"])
        .await;
    let read = detail(&stage, &gym, &session).await;
    assert_eq!(read.session.degraded_reason, None);
    assert!(!read.summary.unwrap().summary_text.contains("genou"));
    assert!(
        !fake.requests()[0].body["messages"][1]
            .to_string()
            .contains("genou")
    );
}

fn narrow(fake: &FakeOpenAi, window: usize) -> Arc<Reader> {
    let mut reader = Arc::into_inner(reader(fake, breaker(1_000))).unwrap();
    reader.window = window;
    Arc::new(reader)
}

/// A goal, much talk about nothing, and the sentence that the model's answer quotes.
fn long_talk() -> Vec<String> {
    let mut talk = vec!["J'ai mal au genou droit depuis janvier".to_owned()];
    talk.extend(
        (0..200).map(|n| format!("Alors la machine numéro {n} est libre, on verra bien la prochaine fois")),
    );
    talk.push(SAID.to_owned());
    talk
}

/// The numbers of the turns that a request shows, and whether it shows these words.
fn shown(body: &Value, words: &str) -> (Vec<u64>, bool) {
    let text = body["messages"][1]["content"].as_str().unwrap();
    let user: Value = serde_json::from_str(text).unwrap();
    let turns = user["turns"].as_array().unwrap();
    let numbers = turns.iter().map(|turn| turn["turn"].as_u64().unwrap());
    (numbers.collect(), text.contains(words))
}

fn last_turn_answer() -> Answer {
    let mut said = answer("Le membre veut maigrir.", SAID);
    said["facts"][0]["turn"] = json!(201);
    Answer::Json(said)
}

#[tokio::test]
async fn of_a_talk_longer_than_the_window_the_model_reads_the_end_and_the_rules_the_rest() {
    let fake = fake().await;
    let mut stage = Stage::new().await;
    stage.memory.reader = Some(narrow(&fake, 8_192));
    let gym = stage.gym("lyon").await;
    allow(&stage, &gym).await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    fake.answer("session_memory", last_turn_answer());
    let talk = long_talk();
    let talk: Vec<&str> = talk.iter().map(String::as_str).collect();
    let session = stage.talk(&gym, "BADGE_001", &talk).await;
    let read = detail(&stage, &gym, &session).await;
    assert_eq!(read.session.degraded_reason, None);
    assert_eq!(read.session.extractor.as_deref(), Some("gpt-6-luna"));
    assert!(
        read.session.notes.contains(&"reading_cut".to_owned()),
        "{:?}",
        read.session.notes
    );
    let [sent] = &fake.requests()[..] else {
        panic!("one call")
    };
    let (numbers, beginning) = shown(&sent.body, "genou droit");
    assert!(!beginning && numbers.len() < 200, "{numbers:?}");
    assert_eq!(numbers.last(), Some(&201));
    let keys: Vec<&str> = read.facts.iter().map(|fact| fact.fact_key.as_str()).collect();
    assert!(keys.contains(&"weight_loss"), "the model's: {keys:?}");
    assert!(
        keys.iter().any(|key| key.contains("knee")),
        "what rules read before: {keys:?}"
    );
}

#[tokio::test]
async fn a_model_that_takes_less_than_it_was_set_to_is_asked_once_more_with_half() {
    let fake = fake().await;
    let mut stage = Stage::new().await;
    stage.memory.reader = Some(narrow(&fake, 16_000));
    let gym = stage.gym("lyon").await;
    allow(&stage, &gym).await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let talk = long_talk();
    let talk: Vec<&str> = talk.iter().map(String::as_str).collect();
    let too_long = || Fault::status(400).with_code("context_length_exceeded");
    fake.fault(too_long());
    fake.answer("session_memory", last_turn_answer());
    let session = stage.talk(&gym, "BADGE_001", &talk).await;
    let read = detail(&stage, &gym, &session).await.session;
    assert_eq!((read.degraded_reason, read.attempts), (None, 1));
    let lengths: Vec<usize> = fake
        .requests()
        .iter()
        .map(|sent| shown(&sent.body, "").0.len())
        .collect();
    assert!(lengths.len() == 2 && lengths[1] < lengths[0], "{lengths:?}");

    fake.fault(too_long());
    fake.fault(too_long());
    let session = stage.talk(&gym, "BADGE_001", &talk).await;
    let read = detail(&stage, &gym, &session).await.session;
    assert_eq!(read.degraded_reason.as_deref(), Some(degraded::TOO_LONG));
    assert_eq!(read.state, SessionState::Processed);
    assert_eq!(fake.requests().len(), 4, "and no third time");
}

/// A model that never answers; the time until it is left passes at once.
struct Endless;

/// Lets time pass by itself again.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}

impl Chat for Endless {
    fn structured<'a>(
        &'a self,
        _: &'a StructuredRequest,
    ) -> BoxFuture<'a, Result<StructuredReply, LlmError>> {
        Box::pin(async {
            tokio::time::pause();
            let _running = Running;
            tokio::time::advance(Duration::from_secs(80)).await;
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn a_model_that_never_answers_is_left_at_its_deadline_and_counts_as_failing() {
    let mut stage = Stage::new().await;
    let open = Breaker::new(BreakerSettings {
        failures: 1,
        ..BreakerSettings::default()
    });
    stage.memory.reader = Some(Arc::new(Reader {
        provider: "test".to_owned(),
        model: "gpt-6-luna".to_owned(),
        window: 128_000,
        client: Box::new(Guarded::new(Endless, open.clone())),
        breaker: open.clone(),
    }));
    let gym = stage.gym("lyon").await;
    allow(&stage, &gym).await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let session = stage.talk(&gym, "BADGE_001", &[SAID]).await;
    let read = detail(&stage, &gym, &session).await;
    assert_eq!(read.session.state, SessionState::Processed);
    assert_eq!(read.session.degraded_reason.as_deref(), Some("timeout"));
    assert!(read.summary.unwrap().summary_text.contains("cinq kilos"));
    assert!(
        matches!(open.state(), BreakerState::Open { cause: "timeout", .. }),
        "{open:?}"
    );
}

/// How the queue of this test reaches the database.
struct Queue(Db);

impl Connect for Queue {
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.0.begin_system().await
    }

    async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        self.0.listener().await
    }
}

fn worker(memory: &Memory) -> Runner<Queue> {
    let (clock, memory) = (memory.clock.clone(), memory.clone());
    Runner::builder(Queue(memory.db.clone()), Arc::new(move || clock.now()))
        .register(move |_, job: ProcessSession| {
            let memory = memory.clone();
            async move { process::run(&memory, job).await }
        })
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_without_the_provider_nothing_is_lost_and_all_of_it_becomes_memory() {
    let fake = fake().await;
    let embedding = breaker(3);
    let mut stage = Stage::with(Embedder::Provider(Arc::new(Provider {
        name: "openai".to_owned(),
        model: EMBEDDING.to_owned(),
        client: Box::new(Guarded::new(client(&fake), embedding.clone())),
        breaker: embedding,
        local: None,
    })))
    .await;
    stage.memory.reader = Some(reader(&fake, breaker(3)));
    sqlx::query("alter table public.gyms alter column embedding_model set default 'text-embedding-3-small'")
        .execute(stage.test.admin_pool())
        .await
        .unwrap();
    let gym = stage.gym("lyon").await;
    allow(&stage, &gym).await;
    stage.member(&gym, "BADGE_001", EVERYTHING).await;
    let runner = worker(&stage.memory);
    let stop = CancellationToken::new();
    let working = tokio::spawn(runner.run(stop.clone()));

    fake.always(Some(Fault::status(503)));
    let begun = stage.memory.clock.now();
    let mut sessions = Vec::new();
    for hour in 0..24_u32 {
        let session = stage.open(&gym, "BADGE_001").await.session_id;
        let words = format!("Je veux perdre {} kilos avant juin", hour + 2);
        sessions::record(&stage.memory, &gym.kiosk, &session, vec![Ok(said(&words, 0))])
            .await
            .unwrap();
        sessions::close(&stage.memory, &gym.kiosk, &session, None)
            .await
            .unwrap();
        sessions.push(session);
        stage.clock.advance(TimeDelta::hours(1));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stage.memory.clock.now() - begun, TimeDelta::days(1));
    let closing = "select count(*) from public.conversation_sessions where state = 'closing'";
    assert_eq!(stage.count(closing).await, 24, "they wait for their embedding");

    fake.always(None);
    let asked = Instant::now();
    while stage.count(closing).await > 0 {
        assert!(
            asked.elapsed() < Duration::from_mins(1),
            "they wait although the provider is back"
        );
        stage.clock.advance(TimeDelta::minutes(5));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.cancel();
    working.await.unwrap();
    for session in &sessions {
        let read = detail(&stage, &gym, session).await;
        assert_eq!(read.session.state, SessionState::Processed);
        assert_eq!(read.session.attempts, 1, "waiting is no try");
    }
    let embedded = "select count(*) from public.conversation_summaries where embedding is not null";
    assert_eq!(stage.count(embedded).await, 24);
    let dead = "select count(*) from jarvis.jobs where state = 'discarded'";
    assert_eq!(stage.count(dead).await, 0);
}
