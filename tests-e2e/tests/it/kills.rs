//! The server is killed again and again while kiosks talk to it. What was acknowledged is there, once.

use crate::device::{Caller, Device};
use crate::gyms::{self, EVERYTHING, GOAL, KNEE};
use crate::program::{Program, fetched, text};
use crate::server::Server;
use crate::stored::count;
use jarvis_testkit::TestDb;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{PgPool, Row as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const KILLS: usize = 20;
const KIOSKS: usize = 4;
const MEMBERS: usize = 6;
/// The jobs of a killed worker are free again after this time.
const LEASE_SECONDS: &str = "2";
/// A kiosk repeats a request for at most this long.
const PATIENCE: Duration = Duration::from_mins(1);
/// Time to process what is left after the last kill.
const DRAIN: Duration = Duration::from_mins(3);

/// At what the server is shot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    Anywhere,
    WhileRecording,
    WhileClosing,
    /// Facts are written, the summary is not, nothing is committed.
    InTheFinalTransaction,
}

const AIMS: [Aim; 4] = [
    Aim::Anywhere,
    Aim::WhileRecording,
    Aim::WhileClosing,
    Aim::InTheFinalTransaction,
];

/// What the kiosks do just now.
#[derive(Debug, Default)]
struct Traffic {
    stop: AtomicBool,
    opening: AtomicUsize,
    recording: AtomicUsize,
    closing: AtomicUsize,
    cut_off: AtomicUsize,
    repeated: AtomicUsize,
}

/// What a kiosk was promised of one session.
#[derive(Debug)]
struct Conversation {
    session: String,
    badge: String,
    /// `provider_event_id` → what was said; only what was acknowledged.
    acknowledged: BTreeMap<String, String>,
}

/// A kiosk at which one member after the other talks.
struct Visits {
    caller: Caller,
    traffic: Arc<Traffic>,
    chance: StdRng,
    held: Vec<Conversation>,
}

impl Visits {
    async fn until_stopped(mut self) -> Vec<Conversation> {
        while !self.traffic.stop.load(Ordering::Relaxed) {
            self.conversation().await;
            let pause = self.chance.random_range(50..300);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        // The answer to the last opening may have been lost; this opening ends that session.
        self.conversation().await;
        self.held
    }

    async fn conversation(&mut self) {
        let badge = format!("BADGE_{}", self.chance.random_range(0..MEMBERS));
        let traffic = self.traffic.clone();
        let opened = self
            .insist("/api/v1/sessions", &json!({"badge_id": badge}), &traffic.opening)
            .await;
        let session = text(&opened, "/session_id");
        self.held.push(Conversation {
            session: session.clone(),
            badge,
            acknowledged: BTreeMap::new(),
        });
        let own = format!("Je suis là pour la conversation {session}");
        for batch in [vec![KNEE], vec![own.as_str(), GOAL]] {
            self.say(&session, &batch).await;
        }
        self.insist(
            &format!("/api/v1/sessions/{session}/close"),
            &json!({}),
            &traffic.closing,
        )
        .await;
        if self.chance.random_bool(0.25) {
            self.say(&session, &["Ah, et merci pour la dernière fois"]).await;
        }
    }

    async fn say(&mut self, session: &str, sentences: &[&str]) {
        let number = self.held.last().map_or(0, |c| c.acknowledged.len());
        let said: Vec<(String, String)> = sentences
            .iter()
            .enumerate()
            .map(|(i, sentence)| (format!("{session}/{}", number + i), (*sentence).to_owned()))
            .collect();
        let body: Vec<Value> = said
            .iter()
            .map(|(id, words)| json!({"event_type": "user_transcript", "transcript": words, "provider_event_id": id}))
            .collect();
        let traffic = self.traffic.clone();
        let path = format!("/api/v1/sessions/{session}/events");
        let answer = self.insist(&path, &Value::Array(body), &traffic.recording).await;
        let accepted = answer["accepted"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(accepted.len(), said.len(), "{answer}");
        let repeated = accepted.iter().filter(|a| a["duplicate"] == json!(true)).count();
        traffic.repeated.fetch_add(repeated, Ordering::Relaxed);
        self.held
            .last_mut()
            .expect("a session was opened")
            .acknowledged
            .extend(said);
    }

    /// Repeats a request until it is answered.
    async fn insist(&self, path: &str, body: &Value, doing: &AtomicUsize) -> Value {
        let begun = Instant::now();
        loop {
            doing.fetch_add(1, Ordering::Relaxed);
            let answer = self.once(path, body).await;
            doing.fetch_sub(1, Ordering::Relaxed);
            match answer {
                Ok((status, body)) if status.is_success() => return body,
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => {}
                Ok((status, body)) => panic!("{path}: {status} {body}"),
                Err(_) => _ = self.traffic.cut_off.fetch_add(1, Ordering::Relaxed),
            }
            assert!(begun.elapsed() < PATIENCE, "{path} is not answered");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn once(&self, path: &str, body: &Value) -> reqwest::Result<(StatusCode, Value)> {
        let response = self.caller.request(path, body).send().await?;
        let status = response.status();
        Ok((status, response.json().await?))
    }
}

/// Makes the final transaction of processing as slow as wanted, so that a kill can hit it.
struct Brake<'a>(&'a PgPool);

impl<'a> Brake<'a> {
    async fn fit(pool: &'a PgPool) -> Self {
        sqlx::raw_sql(
            "create schema brake;
             create table brake.seconds as select 0::float8 as pause;
             create function brake.brake() returns trigger language plpgsql security definer
               as $$ begin perform pg_sleep((select pause from brake.seconds)); return new; end $$;
             create trigger brake before insert on public.conversation_summaries
               for each row execute function brake.brake()",
        )
        .execute(pool)
        .await
        .unwrap();
        Self(pool)
    }

    async fn set(&self, seconds: f64) {
        sqlx::query("update brake.seconds set pause = $1")
            .bind(seconds)
            .execute(self.0)
            .await
            .unwrap();
    }

    async fn holds_something(&self) -> bool {
        let held = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
        count(self.0, held).await > 0
    }
}

/// Waits until the moment to kill; false when it did not come.
async fn take_aim(aim: Aim, traffic: &Traffic, brake: &Brake<'_>, chance: &mut StdRng) -> bool {
    let wait = |from, to, chance: &mut StdRng| Duration::from_millis(chance.random_range(from..to));
    // Let the kiosks come back from the last kill.
    tokio::time::sleep(wait(100, 900, chance)).await;
    let doing = match aim {
        Aim::Anywhere => return true,
        Aim::WhileRecording => Some(&traffic.recording),
        Aim::WhileClosing => Some(&traffic.closing),
        Aim::InTheFinalTransaction => None,
    };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        let now = match doing {
            Some(doing) => doing.load(Ordering::Relaxed) > 0,
            None => brake.holds_something().await,
        };
        if now {
            tokio::time::sleep(wait(0, 6, chance)).await;
            return true;
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_and_double_nothing() {
    if fetched("JARVIS_E5_WEIGHTS").is_none() {
        return;
    }
    let seed =
        std::env::var("JARVIS_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("JARVIS_TEST_SEED={seed} makes the same choices again");
    let mut chance = StdRng::seed_from_u64(seed);
    let db = TestDb::new().await;
    let pool = db.admin_pool();
    let mut program = Program::on(&db);
    program.set("JARVIS_JOB_LEASE_SECONDS", LEASE_SECONDS);
    let mut server = Server::serve(&program).await;
    let kiosks = people_and_kiosks(&program, &server).await;
    let brake = Brake::fit(pool).await;

    let traffic = Arc::new(Traffic::default());
    let visits: Vec<_> = kiosks
        .iter()
        .map(|kiosk| Visits {
            caller: kiosk.caller.clone(),
            traffic: traffic.clone(),
            chance: StdRng::seed_from_u64(chance.random()),
            held: Vec::new(),
        })
        .map(|visits| tokio::spawn(visits.until_stopped()))
        .collect();
    let begun = Instant::now();
    let mut hits = BTreeMap::new();
    for kill in 0..KILLS {
        let aim = AIMS[kill % AIMS.len()];
        brake
            .set(if aim == Aim::InTheFinalTransaction {
                0.3
            } else {
                0.0
            })
            .await;
        if take_aim(aim, &traffic, &brake, &mut chance).await {
            *hits.entry(aim).or_insert(0) += 1;
        }
        let address = server.address.clone();
        server.kill().await;
        server = Server::serve_at(&program, &address).await;
    }
    brake.set(0.0).await;
    traffic.stop.store(true, Ordering::Relaxed);
    let mut held = Vec::new();
    for visits in visits {
        held.extend(visits.await.expect("the kiosk was served"));
    }
    println!(
        "{KILLS} kills in {:.1} s: {hits:?}",
        begun.elapsed().as_secs_f64()
    );
    let cut_off = traffic.cut_off.load(Ordering::Relaxed);
    let repeated = traffic.repeated.load(Ordering::Relaxed);
    println!(
        "requests without an answer: {cut_off}; events that were on disk although their answer was lost: {repeated}"
    );
    wait_until_nothing_is_left_to_do(pool).await;

    every_acknowledged_event_is_there_once(pool, &held).await;
    every_closed_session_is_memory_once(pool, &held).await;
    every_fact_counts_each_session_once(pool, &held).await;
    let doctor = program.run(&["doctor", "--json"]).await;
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert_eq!(doctor.json()["findings"], json!([]));
    for aim in AIMS {
        assert!(
            hits.get(&aim).copied().unwrap_or_default() >= 3,
            "{aim:?} was missed too often: {hits:?}"
        );
    }
    assert!(
        cut_off > 0,
        "no request was ever cut off: nothing was put to the test"
    );
}

async fn people_and_kiosks(program: &Program, server: &Server) -> Vec<Device> {
    gyms::gym(program, "lyon").await;
    for number in 0..MEMBERS {
        gyms::member(
            program,
            "lyon",
            &format!("BADGE_{number}"),
            &format!("Sophie{number}"),
            EVERYTHING,
        )
        .await;
    }
    let mut kiosks = Vec::new();
    for number in 0..KIOSKS {
        kiosks.push(gyms::kiosk(program, server, "lyon", &format!("borne-{number}")).await);
    }
    kiosks
}

async fn wait_until_nothing_is_left_to_do(pool: &PgPool) {
    let begun = Instant::now();
    loop {
        let sessions = "select count(*) from public.conversation_sessions where state in ('open', 'closing')";
        let jobs = "select count(*) from jarvis.jobs
                     where state in ('available', 'running', 'retryable') and kind = 'memory.process_session'";
        let (sessions, jobs) = (count(pool, sessions).await, count(pool, jobs).await);
        if (sessions, jobs) == (0, 0) {
            println!(
                "nothing is left to do {:.1} s after the last kill",
                begun.elapsed().as_secs_f64()
            );
            break;
        }
        assert!(
            begun.elapsed() < DRAIN,
            "{sessions} sessions and {jobs} jobs are left"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let dead: Vec<String> = sqlx::query_scalar(
        "select format('%s %s after %s tries: %s', state, kind, attempt, errors) from jarvis.jobs
          where state = 'discarded' and kind = 'memory.process_session'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(dead, [""; 0], "jobs were given up");
}

async fn every_acknowledged_event_is_there_once(pool: &PgPool, held: &[Conversation]) {
    let rows =
        sqlx::query("select session_id, provider_event_id, transcript from public.conversation_events")
            .fetch_all(pool)
            .await
            .unwrap();
    let mut stored: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for row in &rows {
        let key = (row.get("session_id"), row.get("provider_event_id"));
        stored.entry(key).or_default().push(row.get("transcript"));
    }
    let (mut acknowledged, mut lost, mut doubled, mut altered) = (0, 0, 0, 0);
    for conversation in held {
        for (id, words) in &conversation.acknowledged {
            acknowledged += 1;
            match stored
                .remove(&(conversation.session.clone(), id.clone()))
                .as_deref()
            {
                None => lost += 1,
                Some([found]) => altered += usize::from(found != words),
                Some(_) => doubled += 1,
            }
        }
    }
    println!("events acknowledged {acknowledged}, lost {lost}, doubled {doubled}, altered {altered}");
    assert_eq!((lost, doubled, altered), (0, 0, 0));
    assert!(stored.is_empty(), "events that nobody was told of: {stored:?}");
}

async fn every_closed_session_is_memory_once(pool: &PgPool, held: &[Conversation]) {
    let rows = sqlx::query(
        "select s.session_id, s.state, s.state_reason, s.attempts,
                (select count(*) from public.conversation_summaries c where c.session_id = s.session_id) as summaries,
                (select max(c.turn_count) from public.conversation_summaries c where c.session_id = s.session_id) as turns,
                (select count(*) from public.conversation_events e where e.session_id = s.session_id) as events
           from public.conversation_sessions s",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let told: BTreeSet<&str> = held.iter().map(|c| c.session.as_str()).collect();
    let (mut remembered, mut untold, mut tries) = (0, 0, 0);
    for row in &rows {
        let (session, state): (String, String) = (row.get("session_id"), row.get("state"));
        let (summaries, events): (i64, i64) = (row.get("summaries"), row.get("events"));
        if told.contains(session.as_str()) {
            let turns: Option<i32> = row.get("turns");
            assert_eq!((state.as_str(), summaries), ("processed", 1), "{session}");
            assert_eq!(
                turns.map(i64::from),
                Some(events),
                "the summary of {session} is of all its turns"
            );
            remembered += 1;
            tries += row.get::<i32, _>("attempts");
        } else {
            // Opened, but the answer was lost: nothing was said in it.
            assert_eq!((state.as_str(), summaries, events), ("empty", 0, 0), "{session}");
            untold += 1;
        }
    }
    assert_eq!(remembered, told.len(), "sessions are missing");
    println!(
        "sessions processed {remembered} in {tries} tries; opened without the kiosk's knowledge and ended empty: {untold}"
    );
}

async fn every_fact_counts_each_session_once(pool: &PgPool, held: &[Conversation]) {
    let rows = sqlx::query(
        "select m.badge_id, f.category, f.is_active, f.times_confirmed,
                (select count(*) from jarvis.member_fact_history h
                  where h.fact_id = f.id and h.operation <> 'refuse') as changes,
                (select count(distinct h.session_id) from jarvis.member_fact_history h
                  where h.fact_id = f.id and h.operation <> 'refuse') as sessions
           from public.member_facts f join public.gym_members_v2 m on m.id = f.member_id",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut seen: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in &rows {
        let (badge, category): (String, String) = (row.get("badge_id"), row.get("category"));
        let (changes, sessions): (i64, i64) = (row.get("changes"), row.get("sessions"));
        let spoke = i64::try_from(held.iter().filter(|c| c.badge == badge).count()).unwrap();
        let fact = format!("{category} of {badge}");
        assert_eq!(changes, sessions, "{fact}: a session wrote it twice");
        assert_eq!(sessions, spoke, "{fact}: every session said it");
        assert_eq!(
            i64::from(row.get::<i32, _>("times_confirmed")),
            spoke - 1,
            "{fact}"
        );
        assert!(row.get::<bool, _>("is_active"), "{fact}");
        *seen.entry((badge, category)).or_default() += 1;
    }
    let spoke: BTreeSet<&str> = held.iter().map(|c| c.badge.as_str()).collect();
    for badge in spoke {
        for category in ["injury", "goal"] {
            let found = seen.get(&(badge.to_owned(), category.to_owned())).copied();
            assert_eq!(found, Some(1), "{category} facts of {badge}");
        }
    }
    println!(
        "facts {}, none twice, none confirmed by a repetition of ours",
        rows.len()
    );
}
