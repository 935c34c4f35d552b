//! The provider of models is away for a day: what members said meanwhile waits, or is read by the rules, and says why; when
//! the provider is back everything becomes memory, once.

use crate::clock::{HOUR, Machine, library};
use crate::device::{Caller, Device};
use crate::gyms::{self, EVERYTHING};
use crate::program::{Program, fetched, text};
use crate::server::Server;
use crate::stored::count;
use crate::up::PortOf;
use jarvis_testkit::{FakeOpenAi, FakeOptions, Fault};
use nix::sys::signal::Signal;
use sqlx::PgPool;
use std::time::{Duration, Instant};

const HOURS: i64 = 24;
const PATIENCE: Duration = Duration::from_secs(100);

/// Its memory is embedded and read by the provider.
const EMBEDDED_THERE: &str = "lyon";
/// Its memory is embedded on this machine and read by the provider.
const READ_THERE: &str = "lille";

/// Waits until a count is what it should be; `meanwhile` is done before each look.
async fn until(pool: &PgPool, query: &'static str, wanted: i64, mut meanwhile: impl FnMut()) {
    let begun = Instant::now();
    loop {
        meanwhile();
        let found = count(pool, query).await;
        if found == wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{found} instead of {wanted}: {query}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One gym with its kiosk, and a member who agreed to everything.
async fn gym(program: &Program, server: &Server, slug: &str) -> Device {
    gyms::member(program, slug, "BADGE_001", "Sophie", EVERYTHING).await;
    gyms::kiosk(program, server, slug, "entree").await
}

/// Somebody talks and leaves; the session.
async fn talk(kiosk: &Caller, hour: i64) -> String {
    let session = text(&kiosk.open("BADGE_001").await, "/session_id");
    kiosk
        .say(
            &session,
            &[&format!("Je veux perdre {} kilos avant juin", hour + 2)],
        )
        .await;
    kiosk.close(&session).await;
    session
}

/// Somebody talks in both gyms every hour; the sessions of the second.
async fn talk_for_a_day(machine: &mut Machine, kiosks: &mut [Device; 2]) -> Vec<String> {
    let mut of_the_second = Vec::new();
    for hour in 0..HOURS {
        machine.set(hour * HOUR);
        for kiosk in &mut *kiosks {
            machine.token(kiosk).await;
        }
        talk(&kiosks[0].caller, hour).await;
        of_the_second.push(talk(&kiosks[1].caller, hour).await);
    }
    machine.set(HOURS * HOUR);
    of_the_second
}

fn program(fake: &FakeOpenAi) -> Program {
    let mut program = Program::without_database();
    for (name, value) in [
        ("JARVIS_EMBEDDINGS", "openai"),
        ("JARVIS_CHAT", "openai"),
        ("JARVIS_OPENAI_BASE_URL", &fake.base_url()),
        ("JARVIS_OPENAI_TIMEOUT_SECONDS", "1"),
        ("JARVIS_E5_WEIGHTS", "/nowhere"),
    ] {
        program.set(name, value);
    }
    program
}

const WAIT_AND_SAY_WHY: &str =
    "select count(*) from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
    where g.slug = 'lyon' and s.state = 'closing' and s.last_error like '%provider%'";
const READ_BY_RULES: &str =
    "select count(*) from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
    where g.slug = 'lille' and s.state = 'processed' and s.extractor like 'rules-%'
      and s.degraded_reason in ('unavailable', 'circuit_open')";
const CLOSING: &str = "select count(*) from public.conversation_sessions where state = 'closing'";
// Whatever was not processed at its first try without an error left over.
const ODD: &str =
    "select concat_ws(' ', s.session_id, s.state, s.attempts, s.extractor, s.degraded_reason, s.last_error)
     from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
    where g.slug = 'lyon' and not (s.state = 'processed' and s.last_error is null and s.attempts = 1)";
const READ_BY_THE_MODEL: &str = "select count(*) from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
    where g.slug = 'lyon' and s.state = 'processed' and s.extractor not like 'rules-%' and s.degraded_reason is null";
// While one call tries whether the model is back, no other goes out: what is due then is read by the rules, and says so.
const READ_WHILE_IT_WAS_TRIED: &str = "select session_id from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
    where g.slug = 'lyon' and s.state = 'processed' and s.extractor like 'rules-%' and s.degraded_reason = 'circuit_open'";
const EMBEDDED: &str =
    "select count(*) from public.conversation_summaries s join public.gyms g on g.id = s.gym_id
    where g.slug = 'lyon' and s.embedding is not null and s.embedding_model = g.embedding_model";
const SUMMARIES: &str = "select count(*) from public.conversation_summaries";
const WITH_A_SUMMARY: &str = "select count(distinct session_id) from public.conversation_summaries";
const DOUBLED_TURNS: &str =
    "select count(*) - count(distinct (session_id, event_id)) from jarvis.memory_windows";
const READINGS_PAID_TWICE: &str = "select count(*) from (select session_id from jarvis.usage_ledger
    where output_tokens > 0 group by session_id having count(*) > 1) twice";
const GIVEN_UP: &str = "select count(*) from jarvis.jobs where state = 'discarded'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_without_the_provider_loses_nothing_and_everything_follows_when_it_is_back() {
    let Some(library) = library() else { return };
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let fake = FakeOpenAi::start(FakeOptions::default()).await.unwrap();
    let mut program = program(&fake);
    let mut machine = Machine::of(&mut program, &library);
    let port = PortOf::free();
    let number = port.number.to_string();
    let server =
        Server::start(program.command(&["up", "--listen", "127.0.0.1:0", "--pg-port", &number])).await;
    let pool = port.admin_pool(&program);
    let there = [
        "gym",
        "add",
        "Salle",
        "--slug",
        EMBEDDED_THERE,
        "--external-models",
    ];
    program.json(&there).await;
    gyms::gym(&program, READ_THERE).await;
    program
        .json(&["gym", "external-models", "allow", "--gym", READ_THERE])
        .await;
    let mut kiosks = [
        gym(&program, &server, EMBEDDED_THERE).await,
        gym(&program, &server, READ_THERE).await,
    ];

    fake.always(Some(Fault::status(503)));
    let read_by_rules = talk_for_a_day(&mut machine, &mut kiosks).await;
    until(&pool, READ_BY_RULES, HOURS, || ()).await;
    until(&pool, WAIT_AND_SAY_WHY, HOURS, || ()).await;
    let told = Caller::new(&server.address, "").get("/readyz").await.1;
    for part in ["embedding", "provider", "reader"] {
        assert_eq!(told[part]["status"], "degraded", "{told}");
    }

    fake.always(None);
    let mut clock = HOURS * HOUR;
    until(&pool, CLOSING, 0, || {
        clock += 60;
        machine.set(clock);
    })
    .await;
    let odd: Vec<String> = sqlx::query_scalar(ODD).fetch_all(&pool).await.unwrap();
    assert_eq!(odd, [""; 0], "waiting is no try");
    let tried_meanwhile: Vec<String> = sqlx::query_scalar(READ_WHILE_IT_WAS_TRIED)
        .fetch_all(&pool)
        .await
        .unwrap();
    let said_why = i64::try_from(tried_meanwhile.len()).unwrap();
    assert_eq!(count(&pool, READ_BY_THE_MODEL).await + said_why, HOURS);
    assert_eq!(count(&pool, EMBEDDED).await, HOURS);

    // What the rules read is memory too; who wants the model's reading asks for it.
    for session in &read_by_rules[..2] {
        let again = ["session", "reprocess", session, "--gym", READ_THERE];
        program.json(&again).await;
    }
    for session in &tried_meanwhile {
        let again = ["session", "reprocess", session, "--gym", EMBEDDED_THERE];
        program.json(&again).await;
    }
    until(&pool, CLOSING, 0, || ()).await;
    assert_eq!(count(&pool, READ_BY_THE_MODEL).await, HOURS);
    assert_eq!(count(&pool, READ_BY_RULES).await, HOURS - 2);

    assert_eq!(count(&pool, SUMMARIES).await, 2 * HOURS);
    assert_eq!(count(&pool, WITH_A_SUMMARY).await, 2 * HOURS);
    assert_eq!(count(&pool, DOUBLED_TURNS).await, 0);
    assert_eq!(count(&pool, READINGS_PAID_TWICE).await, 0);
    assert_eq!(count(&pool, GIVEN_UP).await, 0);
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
    // Its clock jumps past every lease again and again; its runner lives, and keeps what it runs.
    assert!(!log.so_far().contains("took back jobs"), "{}", log.so_far());
}
