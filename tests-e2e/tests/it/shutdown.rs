//! The program is told to stop under load, again and again, as systemd does at every upgrade.

use crate::brake::Brake;
use crate::gyms::{self, EVERYTHING, GOAL};
use crate::program::{Program, text};
use crate::server::Server;
use crate::storm;
use crate::traffic::{self, Crowd};
use crate::verdict::{judge, wait_until_nothing_is_left_to_do};
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use rand::RngExt as _;
use serde_json::json;
use sqlx::PgPool;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A kiosk repeats a request for at most this long.
const PATIENCE: Duration = Duration::from_mins(1);
/// Requests and jobs of this load are short, so the end comes long before the grace period of jobs is over.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_answers_whole_or_not_at_all_and_loses_nothing() {
    let (seed, mut chance) = storm::chance();
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let mut server = Server::serve(&program).await;
    let gyms = traffic::gyms(&program, &server, 2, 2, 2).await;
    let crowd = Crowd::start(&gyms, &[&server.address], PATIENCE, &mut chance);
    let stops = storm::of(2, 20);
    let mut slowest = Duration::ZERO;
    for _ in 0..stops {
        let pause = chance.random_range(300..1_500);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let address = server.address.clone();
        let asked = Instant::now();
        let (status, log) = server.stop(Signal::SIGTERM).await;
        slowest = slowest.max(asked.elapsed());
        assert_eq!(status.code(), Some(0), "{}", log.so_far());
        server = Server::serve_at(&program, &address).await;
    }
    let traffic = crowd.traffic.clone();
    let held = crowd.stop().await;
    let verdict = judge(&program, db.admin_pool(), &held).await;
    let half = traffic.half_answered.load(Ordering::Relaxed);
    verdict.report(
        "stops",
        &[
            ("seed", json!(seed)),
            ("stops", json!(stops)),
            ("requests_refused", json!(traffic.cut_off.load(Ordering::Relaxed))),
            ("half_answers", json!(half)),
            ("slowest_stop_ms", json!(slowest.as_millis())),
        ],
    );
    assert_eq!(half, 0, "answers that broke off");
    assert!(slowest < SOON, "a stop took {slowest:?}");
    // Jobs were finished or handed back: nobody had to wait for a lease to run out.
    let lost: i64 =
        sqlx::query_scalar("select count(*) from jarvis.jobs where errors::text like '%lease_expired%'")
            .fetch_one(db.admin_pool())
            .await
            .unwrap();
    assert_eq!(lost, 0);
    server.stop(Signal::SIGTERM).await;
}

/// Waits until the one job of processing is held by another worker than `before`; by whom.
async fn held_by_another(pool: &PgPool, before: &str) -> String {
    let begun = Instant::now();
    loop {
        let by: Option<String> = sqlx::query_scalar(
            "select leased_by from jarvis.jobs where kind = 'memory.process_session' and state = 'running'",
        )
        .fetch_optional(pool)
        .await
        .unwrap();
        // `name:claim`: a worker has one name.
        let name = by
            .as_deref()
            .and_then(|by| by.split(':').next())
            .unwrap_or_default();
        if !name.is_empty() && name != before {
            return name.to_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "nobody takes the job");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_does_not_end_in_time_is_handed_over_at_once_and_done_once() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_JOB_GRACE_SECONDS", "1");
    let server = Server::start(program.command(&["serve", "--listen", "127.0.0.1:0", "--no-worker"])).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let brake = Brake::fit(db.admin_pool()).await;
    brake.set(6.0).await;
    let worker = Server::work(&program).await;
    let session = text(&kiosk.open("BADGE_001").await, "/session_id");
    kiosk.say(&session, &[GOAL]).await;
    kiosk.close(&session).await;
    let first = held_by_another(db.admin_pool(), "").await;
    while !brake.holds_something().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = Server::work(&program).await;

    let told = Instant::now();
    worker.send(Signal::SIGTERM);
    let next = held_by_another(db.admin_pool(), &first).await;
    let handed_over = told.elapsed();
    let (status, log) = worker.end(Signal::SIGTERM).await;
    let ended = told.elapsed();
    assert_eq!(status.code(), Some(0), "{}", log.so_far());
    assert!(log.so_far().contains("handed_back"), "{}", log.so_far());
    assert_ne!(next, first);
    // A second of grace, and the other worker hears of it at once, not when a lease of a minute has run out.
    assert!(handed_over < Duration::from_secs(5), "{handed_over:?}");
    assert!(ended < Duration::from_secs(14), "{ended:?}");
    brake.set(0.0).await;
    wait_until_nothing_is_left_to_do(db.admin_pool()).await;
    let done = kiosk.processed(&session).await;
    assert_eq!(done["state"], "processed", "{done}");
    second.stop(Signal::SIGTERM).await;
    server.stop(Signal::SIGTERM).await;
    println!("handed over after {handed_over:?}, ended after {ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_a_stop_that_takes_too_long() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let brake = Brake::fit(db.admin_pool()).await;
    brake.set(10.0).await;
    let session = text(&kiosk.open("BADGE_001").await, "/session_id");
    kiosk.say(&session, &[GOAL]).await;
    kiosk.close(&session).await;
    while !brake.holds_something().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.send(Signal::SIGTERM);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let hurried = Instant::now();
    let (status, _) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(130));
    assert!(
        hurried.elapsed() < Duration::from_secs(3),
        "{:?}",
        hurried.elapsed()
    );
}
