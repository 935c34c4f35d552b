//! A noisy gym beside a quiet one: the quiet one's sessions do not wait for the noisy one's, and its requests are
//! answered.

use crate::gyms::{self, EVERYTHING, GOAL};
use crate::program::{Program, text};
use crate::server::Server;
use crate::storm;
use crate::verdict::wait_until_nothing_is_left_to_do;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use reqwest::{StatusCode, header};
use serde_json::json;
use std::time::{Duration, Instant};

/// The worker of these tests runs so many jobs at once.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_gyms_sessions_are_processed_in_turn_beside_a_noisy_gyms() {
    let (noisy_sessions, quiet_sessions) = (storm::of(40, 200), 5);
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_GYM_REQUESTS_PER_MINUTE", "100000");
    let server = Server::start(program.command(&["serve", "--listen", "127.0.0.1:0", "--no-worker"])).await;
    let mut gyms = Vec::new();
    // All of the noisy gym's sessions end before the first of the quiet gym's.
    for (slug, sessions) in [("bruyante", noisy_sessions), ("calme", quiet_sessions)] {
        let gym = gyms::gym(&program, slug).await;
        gyms::member(&program, slug, "BADGE_001", "Sophie", EVERYTHING).await;
        let kiosk = gyms::kiosk(&program, &server, slug, "entree").await.caller;
        for _ in 0..sessions {
            let session = text(&kiosk.open("BADGE_001").await, "/session_id");
            kiosk.say(&session, &[GOAL]).await;
            kiosk.close(&session).await;
        }
        gyms.push(gym);
    }
    let worker = Server::work(&program).await;
    wait_until_nothing_is_left_to_do(db.admin_pool()).await;
    // In the order in which they were begun; `true` where it is the quiet gym's. First in, first out would begin with
    // every one of the noisy gym's.
    let began: Vec<(bool, i64)> = sqlx::query_as(
        "select gym_id = $1::uuid, row_number() over (order by id) from jarvis.jobs
          where kind = 'memory.process_session' order by attempted_at, id",
    )
    .bind(uuid::Uuid::parse_str(&gyms[1]).unwrap())
    .fetch_all(db.admin_pool())
    .await
    .unwrap();
    let in_the_queue: Vec<i64> = began
        .iter()
        .filter(|(quiet, _)| *quiet)
        .map(|(_, place)| *place)
        .collect();
    assert!(
        in_the_queue
            .iter()
            .all(|place| usize::try_from(*place).unwrap() > noisy_sessions),
        "the quiet gym came last: {in_the_queue:?}"
    );
    let places: Vec<usize> = (1..=began.len()).filter(|place| began[place - 1].0).collect();
    println!(
        "{noisy_sessions} sessions of another gym before them; the quiet gym's began as number {places:?}"
    );
    assert_eq!(places.len(), quiet_sessions);
    for (before, place) in places.iter().enumerate() {
        // Turn about: its k-th begins with the noisy gym's k-th, give or take what runs already.
        let latest = 2 * (before + 1) + AT_ONCE;
        assert!(
            *place <= latest,
            "number {} began as {place}, after {latest}",
            before + 1
        );
    }
    storm::report(
        "fairness",
        &[
            ("noisy_sessions", json!(noisy_sessions)),
            ("places_of_the_quiet_gym", json!(places)),
        ],
    );
    for process in [worker, server] {
        process.stop(Signal::SIGTERM).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gym_that_floods_is_told_to_wait_and_another_is_answered() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_GYM_REQUESTS_PER_MINUTE", "60");
    let server = Server::serve(&program).await;
    let mut kiosks = Vec::new();
    for slug in ["bruyante", "calme"] {
        gyms::gym(&program, slug).await;
        gyms::member(&program, slug, "BADGE_001", "Sophie", EVERYTHING).await;
        kiosks.push(gyms::kiosk(&program, &server, slug, "entree").await.caller);
    }
    let (noisy, quiet) = (kiosks[0].clone(), kiosks[1].clone());
    let flood: Vec<_> = (0..20)
        .map(|_| {
            let noisy = noisy.clone();
            tokio::spawn(async move {
                let (mut answered, mut told_to_wait) = (0, 0);
                for _ in 0..20 {
                    let request = noisy.request("/api/v1/sessions", &json!({"badge_id": "BADGE_001"}));
                    let answer = request.send().await.unwrap();
                    match answer.status() {
                        StatusCode::CREATED => answered += 1,
                        StatusCode::TOO_MANY_REQUESTS => {
                            let seconds = answer.headers()[header::RETRY_AFTER]
                                .to_str()
                                .unwrap()
                                .parse::<u64>();
                            assert!((1..=61).contains(&seconds.unwrap()));
                            let problem: serde_json::Value = answer.json().await.unwrap();
                            assert_eq!(text(&problem, "/code"), "rate_limited");
                            told_to_wait += 1;
                        }
                        // Twenty badges at one kiosk in one instant end each other's sessions.
                        other => assert!(other == StatusCode::SERVICE_UNAVAILABLE, "{other}"),
                    }
                }
                (answered, told_to_wait)
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    while !flood.iter().all(tokio::task::JoinHandle::is_finished) || slowest.is_zero() {
        let asked = Instant::now();
        // Refused once, this would panic.
        quiet.open("BADGE_001").await;
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (mut answered, mut told_to_wait) = (0, 0);
    for part in flood {
        let (some, others) = part.await.unwrap();
        answered += some;
        told_to_wait += others;
    }
    println!(
        "flood: {answered} answered, {told_to_wait} told to wait; the quiet gym's slowest answer {slowest:?}"
    );
    assert!(answered > 0 && told_to_wait > 200, "{answered} {told_to_wait}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    storm::report(
        "flood",
        &[
            ("answered", json!(answered)),
            ("told_to_wait", json!(told_to_wait)),
            ("slowest_of_the_quiet_gym_ms", json!(slowest.as_millis())),
        ],
    );
    server.stop(Signal::SIGTERM).await;
}
