//! The machine's clock jumps by hours and days, forwards and backwards, under the program and its PostgreSQL.
//!
//! libfaketime fakes the time of day of both, and not the monotonic time, as when an operator or NTP sets the clock.

use crate::device::Device;
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::program::{Program, fetched, text};
use crate::server::Server;
use crate::stored::count;
use crate::storm;
use crate::up::PortOf;
use crate::verdict::wait_until_nothing_is_left_to_do;
use jsonwebtoken::get_current_timestamp;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const PATIENCE: Duration = Duration::from_mins(2);

/// The library, where Debian puts it.
pub fn library() -> Option<PathBuf> {
    let kinds = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let found = kinds
        .iter()
        .map(|kind| PathBuf::from(format!("/usr/lib/{kind}/faketime/libfaketimeMT.so.1")))
        .find(|path| path.exists());
    if found.is_none() {
        println!(
            "skipped: libfaketime is not installed; scripts/prerequisites.sh --test installs it for root"
        );
    }
    found
}

/// A machine whose clock the test sets.
pub struct Machine {
    offset: PathBuf,
    ahead: i64,
}

impl Machine {
    /// Makes the program and its PostgreSQL live there.
    pub fn of(program: &mut Program, library: &Path) -> Self {
        let offset = program.folder().join("clock");
        let machine = Self { offset, ahead: 0 };
        machine.write();
        let variables = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", machine.offset.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        // PostgreSQL is started without our surroundings; a script in its place brings them.
        let real = fetched("JARVIS_PG_DIR").expect("asked before").join("bin");
        let bin = program.folder().join("pg/bin");
        std::fs::create_dir_all(&bin).unwrap();
        let exports = variables
            .iter()
            .map(|(name, value)| format!("export {name}='{value}'\n"));
        let exports = exports.collect::<Vec<_>>().concat();
        for tool in ["postgres", "initdb"] {
            // Not initdb: it only makes files.
            let exports = if tool == "postgres" { exports.as_str() } else { "" };
            let script = bin.join(tool);
            let text = format!(
                "#!/bin/sh\n{exports}exec '{}' \"$@\"\n",
                real.join(tool).display()
            );
            std::fs::write(&script, text).unwrap();
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        program.set(
            "JARVIS_PG_DIR",
            &program.folder().join("pg").display().to_string(),
        );
        for (name, value) in variables {
            program.set(name, &value);
        }
        machine
    }

    /// Sets the clock so many seconds ahead of the real one.
    pub fn set(&mut self, ahead: i64) {
        self.ahead = ahead;
        self.write();
    }

    fn write(&self) {
        let whole = self.offset.with_extension("new");
        std::fs::write(&whole, format!("{:+}\n", self.ahead)).unwrap();
        std::fs::rename(whole, &self.offset).unwrap();
    }

    /// What its clock shows, in seconds since 1970.
    fn now(&self) -> u64 {
        get_current_timestamp().checked_add_signed(self.ahead).unwrap()
    }

    /// A kiosk whose token is refused since the clock jumped gets another one with its key.
    pub async fn token(&self, kiosk: &mut Device) {
        let (status, body) = kiosk.ask_for_token(self.now()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        kiosk.caller.token = text(&body, "/access_token");
    }
}

/// Waits until a session stands there.
async fn reaches(pool: &PgPool, session: &str, state: &str) {
    let begun = Instant::now();
    loop {
        let now: String =
            sqlx::query_scalar("select state from public.conversation_sessions where session_id = $1")
                .bind(session)
                .fetch_one(pool)
                .await
                .unwrap();
        if now == state {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{session} stays {now}, and is not {state}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Every summary of a session fails as long as this is there, as when something is broken for a while.
const BREAK: &str = "create schema broken;
    create function broken.broken() returns trigger language plpgsql set search_path = ''
      as $$ begin raise exception 'broken for a while'; end $$;
    create trigger broken before insert on public.conversation_summaries
      for each row execute function broken.broken()";
const MEND: &str = "drop trigger broken on public.conversation_summaries; drop schema broken cascade";

/// A house with its kiosks, on a machine whose clock is set.
struct House {
    machine: Machine,
    program: Program,
    pool: PgPool,
    kiosk: Device,
    other: Device,
}

impl House {
    async fn open(mut program: Program, library: &Path) -> (Self, Server) {
        let machine = Machine::of(&mut program, library);
        let port = PortOf::free();
        let number = port.number.to_string();
        let server =
            Server::start(program.command(&["up", "--listen", "127.0.0.1:0", "--pg-port", &number])).await;
        let pool = port.admin_pool(&program);
        gyms::gym(&program, "lyon").await;
        for badge in ["BADGE_001", "BADGE_002", "BADGE_003"] {
            gyms::member(&program, "lyon", badge, "Sophie", EVERYTHING).await;
        }
        let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await;
        let other = gyms::kiosk(&program, &server, "lyon", "etage").await;
        let house = Self {
            machine,
            program,
            pool,
            kiosk,
            other,
        };
        (house, server)
    }

    /// Sets the clock; the kiosks' tokens are refused with `code`, and their keys get them others.
    async fn jump(&mut self, ahead: i64, code: &str) {
        self.machine.set(ahead);
        let (status, refused) = self
            .kiosk
            .caller
            .post("/api/v1/kiosks/heartbeat", &json!({}))
            .await;
        assert_eq!(
            (status, text(&refused, "/code").as_str()),
            (StatusCode::UNAUTHORIZED, code)
        );
        self.machine.token(&mut self.kiosk).await;
        self.machine.token(&mut self.other).await;
    }

    /// A member opens a session and says something; nobody closes it.
    async fn begin(&self, kiosk: &Device, badge: &str, words: &str) -> String {
        let session = text(&kiosk.caller.open(badge).await, "/session_id");
        kiosk.caller.say(&session, &[words]).await;
        session
    }

    async fn go_on(&self, session: &str, id: &str, words: &str) {
        let event = json!({"event_type": "user_transcript", "transcript": words, "provider_event_id": id});
        let path = format!("/api/v1/sessions/{session}/events");
        let (status, answer) = self.kiosk.caller.post(&path, &event).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_loses_nothing_and_leaves_nothing_waiting_for_days() {
    let Some(library) = library() else { return };
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let (mut house, server) = House::open(Program::without_database(), &library).await;
    let before = house.kiosk.caller.converse("BADGE_001", &[GOAL]).await;
    assert_eq!(before["state"], "processed", "{before}");
    let spans = house.begin(&house.kiosk, "BADGE_001", KNEE).await;

    // Two days ahead, in the middle of a conversation: the sweep takes it for forgotten. What is said on is taken.
    house.jump(2 * DAY, "token_expired").await;
    let shown = "select extract(epoch from clock_timestamp())::bigint";
    let shown = count(&house.pool, shown).await;
    assert!(
        shown.unsigned_abs().abs_diff(house.machine.now()) < 60,
        "PostgreSQL lives by this clock"
    );
    reaches(&house.pool, &spans, "processed").await;
    house.go_on(&spans, "after-the-jump", GOAL).await;
    house.kiosk.caller.close(&spans).await;
    // A job fails and waits, a session is left standing, a consent is withdrawn: all two days ahead. That session is not
    // about health: what is said of it goes with the consent.
    sqlx::raw_sql(BREAK).execute(&house.pool).await.unwrap();
    let retried = house.begin(&house.kiosk, "BADGE_002", GOAL).await;
    house.kiosk.caller.close(&retried).await;
    let orphan = house.begin(&house.other, "BADGE_003", GOAL).await;
    consent(&house.program, "BADGE_003", "--refuse").await;
    wait_for_a_failure(&house.pool).await;

    // Right again: tokens from the future are refused, the job does not wait, the later answer counts.
    house.jump(0, "unauthenticated").await;
    sqlx::raw_sql(MEND).execute(&house.pool).await.unwrap();
    consent(&house.program, "BADGE_003", "--grant").await;
    let right = Instant::now();
    reaches(&house.pool, &retried, "processed").await;
    let waited = right.elapsed();

    // Five hours behind, in the middle of a conversation.
    let back = house.begin(&house.kiosk, "BADGE_002", "Bonjour").await;
    house.jump(-5 * HOUR, "unauthenticated").await;
    house.go_on(&back, "later", KNEE).await;
    house.kiosk.caller.close(&back).await;
    reaches(&house.pool, &back, "processed").await;

    // A quarter of an hour after the clock is right, who was left standing two days ahead is closed.
    house.machine.set(0);
    touched(&house.pool, &orphan).await;
    house.machine.set(16 * 60);
    reaches(&house.pool, &orphan, "processed").await;

    house.machine.set(0);
    wait_until_nothing_is_left_to_do(&house.pool).await;
    judge(&house.program, &house.pool).await;
    let jumps = json!(["+2d", "-2d", "-5h", "+5h", "+16min", "-16min"]);
    storm::report(
        "clock",
        &[
            ("jumps", jumps),
            ("retry_after_the_jump_ms", json!(waited.as_millis())),
        ],
    );
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
}

/// What is kept of a member: events, summaries, windows, facts about health, other facts.
async fn kept(pool: &PgPool, badge: &str) -> Vec<i64> {
    let of = |table: &str, and: &str| {
        format!(
            "select count(*) from {table} t join public.gym_members_v2 m on m.gym_id = t.gym_id and m.id = t.member_id
              where m.badge_id = $1 {and}"
        )
    };
    let mut counts = Vec::new();
    for (table, and) in [
        ("public.conversation_events", ""),
        ("public.conversation_summaries", ""),
        ("jarvis.memory_windows", ""),
        ("public.member_facts", "and t.category = 'injury'"),
        ("public.member_facts", "and t.category <> 'injury'"),
    ] {
        let query = sqlx::AssertSqlSafe(of(table, and));
        counts.push(
            sqlx::query_scalar(query)
                .bind(badge)
                .fetch_one(pool)
                .await
                .unwrap(),
        );
    }
    counts
}

async fn stays_at(pool: &PgPool, badge: &str, wanted: [i64; 5]) {
    let begun = Instant::now();
    loop {
        let found = kept(pool, badge).await;
        if found == wanted {
            return;
        }
        let late = begun.elapsed() > PATIENCE;
        assert!(!late, "{badge} keeps {found:?} instead of {wanted:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_later_the_running_server_has_dropped_what_is_due_and_kept_what_is_not() {
    let Some(library) = library() else { return };
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let (mut house, server) = House::open(Program::without_database(), &library).await;
    let pool = house.pool.clone();
    for badge in ["BADGE_001", "BADGE_002"] {
        let talk = house.kiosk.caller.converse(badge, &[GOAL, KNEE]).await;
        assert_eq!(talk["state"], "processed", "{talk}");
    }
    let hurts =
        "select f.id::text from public.member_facts f join public.gym_members_v2 m on m.id = f.member_id
                  where m.badge_id = 'BADGE_002' and f.category = 'injury' and f.is_active";
    let hurts: String = sqlx::query_scalar(hurts).fetch_one(&pool).await.unwrap();
    house.program.json(&["fact", "retire", &hurts]).await;
    let [_, _, _, cautions, others] = <[i64; 5]>::try_from(kept(&pool, "BADGE_001").await).unwrap();
    assert!(cautions > 0 && others > 0);
    let audited = "select count(*) from jarvis.audit_log";
    let before = count(&pool, audited).await;

    // A year and some days: events, summaries and windows are past their time, and an injury that is over. An injury that
    // nobody said is over stays, and so do other facts, which have two years.
    house.jump(370 * DAY, "token_expired").await;
    stays_at(&pool, "BADGE_001", [0, 0, 0, cautions, others]).await;
    stays_at(&pool, "BADGE_002", [0, 0, 0, cautions - 1, others]).await;
    let state = "select count(*) from public.conversation_sessions where state = 'empty' and state_reason = 'retention'";
    assert_eq!(count(&pool, state).await, 2);
    assert!(count(&pool, audited).await >= before, "the audit has three years");

    // What is said now is memory as ever. After its ninety days its words go, and nothing else of it.
    let talk = house.kiosk.caller.converse("BADGE_003", &[GOAL]).await;
    assert_eq!(talk["state"], "processed", "{talk}");
    let mut wanted = <[i64; 5]>::try_from(kept(&pool, "BADGE_003").await).unwrap();
    assert!(
        wanted[0] > 0 && wanted[1] == 1 && wanted[2] > 0 && wanted[4] > 0,
        "{wanted:?}"
    );
    wanted[0] = 0;
    house.jump((370 + 92) * DAY, "token_expired").await;
    stays_at(&pool, "BADGE_003", wanted).await;
    let dead = "select count(*) from jarvis.jobs where state = 'discarded'";
    assert_eq!(count(&pool, dead).await, 0, "jobs were given up");
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
}

async fn consent(program: &Program, badge: &str, answer: &str) {
    program
        .json(&[
            "consent",
            "record",
            badge,
            answer,
            "health_memory",
            "--gym",
            "lyon",
        ])
        .await;
}

/// Waits until a try of processing was written down as failed.
async fn wait_for_a_failure(pool: &PgPool) {
    let failed =
        "select count(*) from jarvis.jobs where state = 'retryable' and kind = 'memory.process_session'";
    let begun = Instant::now();
    while count(pool, failed).await == 0 {
        assert!(begun.elapsed() < PATIENCE, "nothing fails");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the sweep has dated the session back from the future.
async fn touched(pool: &PgPool, session: &str) {
    let begun = Instant::now();
    let ahead =
        "select updated_at > clock_timestamp() + interval '5 minutes' from public.conversation_sessions
                  where session_id = $1";
    while sqlx::query_scalar::<_, bool>(ahead)
        .bind(session)
        .fetch_one(pool)
        .await
        .unwrap()
    {
        assert!(begun.elapsed() < PATIENCE, "the sweep does not find it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Every session is memory, once; consents are as they were answered last; the doctor finds nothing.
async fn judge(program: &Program, pool: &PgPool) {
    let sessions = count(pool, "select count(*) from public.conversation_sessions").await;
    let processed = "select count(*) from public.conversation_sessions where state = 'processed'";
    let summaries = "select count(distinct session_id) from public.conversation_summaries";
    let all_summaries = "select count(*) from public.conversation_summaries";
    assert_eq!(count(pool, processed).await, sessions);
    assert_eq!(count(pool, summaries).await, sessions);
    assert_eq!(count(pool, all_summaries).await, sessions);
    let dead = "select count(*) from jarvis.jobs where state = 'discarded'";
    assert_eq!(count(pool, dead).await, 0, "jobs were given up");
    let agreed = "select count(*) from public.gym_members_v2 m
                   where jarvis.consent_given(m.gym_id, m.id, 'health_memory')";
    assert_eq!(count(pool, agreed).await, 3, "who agreed last");
    let order = "select count(*) from public.conversation_events e where e.provider_event_id = 'later'
                   and e.\"timestamp\" >= (select max(o.\"timestamp\") from public.conversation_events o
                                           where o.session_id = e.session_id)";
    assert_eq!(count(pool, order).await, 1, "what was said last stays last");
    let doctor = program.run(&["doctor", "--json"]).await;
    assert_eq!(doctor.json()["findings"], json!([]), "{doctor:?}");
}
