//! How long the opening of a session takes. Measured when asked for; nothing passes or fails by the clock.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING};
use crate::program::{Program, fetched, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::PgPool;
use std::time::{Duration, Instant};
use uuid::Uuid;

const OPENINGS: usize = 500;

/// `JARVIS_BIN=target/release/jarvis cargo xtask with-postgres -- cargo nextest run -p tests-e2e --run-ignored only
/// --no-capture measure_opening_a_session`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for a program built with optimisation"]
async fn measure_opening_a_session() {
    assert!(
        fetched("JARVIS_E5_WEIGHTS").is_some(),
        "a full context needs the embedding weights"
    );
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    let member = gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    remember(db.admin_pool(), member.parse().unwrap()).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;

    let opened = open(&kiosk).await.1;
    // As many of the 20 as fit into the context's tokens.
    assert_eq!(opened["context"]["facts"][0]["category"], "injury", "{opened}");
    assert!(
        !opened["context"]["memories"].as_array().unwrap().is_empty(),
        "{opened}"
    );
    let mut took = Vec::with_capacity(OPENINGS);
    for _ in 0..OPENINGS {
        took.push(open(&kiosk).await.0);
    }
    took.sort();
    let at = |share: usize| took[(OPENINGS * share / 100).min(OPENINGS - 1)].as_secs_f64() * 1_000.0;
    println!(
        "opening a session, {OPENINGS} one after the other, 20 facts, 50 summaries: \
         p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
        at(50),
        at(90),
        at(99),
        at(100)
    );
    server.stop(Signal::SIGTERM).await;
}

async fn open(kiosk: &Caller) -> (Duration, serde_json::Value) {
    let begun = Instant::now();
    let opened = kiosk.open("BADGE_001").await;
    let took = begun.elapsed();
    assert!(!text(&opened, "/session_id").is_empty());
    kiosk.close(&text(&opened, "/session_id")).await;
    (took, opened)
}

/// 20 facts with their evidence and 50 summaries with embeddings.
async fn remember(pool: &PgPool, member: Uuid) {
    let quotes: Vec<String> = (0..20)
        .map(|n| format!("Phrase numéro {n} du membre sur son entraînement"))
        .collect();
    sqlx::query(
        "with s as (
           insert into public.conversation_sessions (session_id, gym_id, member_id, channel, state, ended_at, processed_at)
           select 'past-' || n, gym_id, id, 'text', 'processed', now(), now()
             from public.gym_members_v2, generate_series(1, 50) n where id = $1
           returning session_id, gym_id, member_id)
         insert into public.conversation_events (session_id, gym_id, member_id, event_type, transcript)
         select session_id, gym_id, member_id, 'user_transcript', $2 from s",
    )
    .bind(member)
    .bind(quotes.join(". "))
    .execute(pool)
    .await
    .unwrap();
    sqlx::query(
        "insert into public.conversation_summaries
           (session_id, gym_id, member_id, summary_text, embedding, embedding_model, written_by, created_at)
         select s.session_id, s.gym_id, s.member_id, 'Sophie a parlé de son entraînement, fois ' || s.session_id,
                (select array_agg(sin(k * length(s.session_id) + ascii(right(s.session_id, 1)) * k) order by k)::real[]
                   from generate_series(1, 1536) k),
                'e5-use-multilingual', 'jarvis', now()
           from public.conversation_sessions s where s.member_id = $1",
    )
    .bind(member)
    .execute(pool)
    .await
    .unwrap();
    for (number, quote) in quotes.iter().enumerate() {
        let (category, value) = match number {
            0..3 => (
                "injury",
                json!({"location": format!("body_part_{number}"), "type": "pain"}),
            ),
            3..6 => ("goal", json!({"goal": "marathon"})),
            _ => ("preference", json!({"preference": "morning"})),
        };
        sqlx::query(
            "insert into public.member_facts
               (gym_id, member_id, category, fact_key, fact_value, confidence, source_session_id, source_quote)
             select gym_id, id, $2, $3, $4, 0.9, 'past-1', $5 from public.gym_members_v2 where id = $1",
        )
        .bind(member)
        .bind(category)
        .bind(format!("fact_{number}"))
        .bind(value)
        .bind(quote)
        .execute(pool)
        .await
        .unwrap();
    }
}
