//! Two servers and two workers on one database, any of which may die: the work is shared and done once.

use crate::gyms::{self, EVERYTHING, GOAL};
use crate::program::{Program, text};
use crate::server::Server;
use crate::stored::count;
use crate::storm;
use crate::traffic::{self, Crowd};
use crate::verdict::judge;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use rand::RngExt as _;
use reqwest::StatusCode;
use serde_json::json;
use sqlx::Row as _;
use std::time::Duration;

/// A kiosk repeats a request for at most this long.
const PATIENCE: Duration = Duration::from_mins(1);

async fn serve_alone(program: &Program, listen: &str) -> Server {
    Server::start(program.command(&["serve", "--listen", listen, "--no-worker"])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_and_two_workers_share_the_work_and_any_of_them_may_die() {
    let (seed, mut chance) = storm::chance();
    let db = TestDb::new().await;
    let pool = db.admin_pool();
    let mut program = Program::on(&db);
    program.set("JARVIS_JOB_LEASE_SECONDS", "2");
    let mut servers = vec![
        serve_alone(&program, "127.0.0.1:0").await,
        serve_alone(&program, "127.0.0.1:0").await,
    ];
    let mut workers = vec![Server::work(&program).await, Server::work(&program).await];
    let gyms = traffic::gyms(&program, &servers[0], 2, 2, 2).await;
    let addresses: Vec<&String> = servers.iter().map(|server| &server.address).collect();
    let crowd = Crowd::start(&gyms, &addresses, PATIENCE, &mut chance);
    let kills = storm::of(2, 24);
    for number in 0..kills {
        let pause = chance.random_range(300..1_200);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let which = chance.random_range(0..2);
        if number % 2 == 0 {
            let server = servers.remove(which);
            let address = server.address.clone();
            server.kill().await;
            servers.insert(which, serve_alone(&program, &address).await);
        } else {
            workers.remove(which).kill().await;
            workers.insert(which, Server::work(&program).await);
        }
    }
    crowd.go_on_for(4, PATIENCE).await;
    let held = crowd.stop().await;
    let verdict = judge(&program, pool, &held).await;
    let both: i64 = count(
        pool,
        "select count(*) from (select date_trunc('minute', created_at) from jarvis.jobs
                                where kind = 'memory.orphan_sessions' group by 1 having count(*) > 1) twice",
    )
    .await;
    assert_eq!(both, 0, "ticks of a schedule that two workers took");
    verdict.report("many", &[("seed", json!(seed)), ("kills", json!(kills))]);
    for process in servers.into_iter().chain(workers) {
        let (status, log) = process.stop(Signal::SIGTERM).await;
        assert_eq!(status.code(), Some(0), "{}", log.so_far());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_opened_at_one_server_goes_on_at_the_other_and_a_kiosk_has_one_at_a_time() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let one = Server::serve(&program).await;
    let other = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    for badge in ["BADGE_001", "BADGE_002"] {
        gyms::member(&program, "lyon", badge, "Sophie", EVERYTHING).await;
    }
    let device = gyms::kiosk(&program, &one, "lyon", "entree").await;
    let (here, there) = (device.caller.at(&one.address), device.caller.at(&other.address));

    let session = text(&here.open("BADGE_001").await, "/session_id");
    there.say(&session, &[GOAL]).await;
    here.close(&session).await;
    let (status, again) = there
        .post(&format!("/api/v1/sessions/{session}/close"), &json!({}))
        .await;
    assert_eq!(
        (status, &again["already_closed"]),
        (StatusCode::OK, &json!(true)),
        "{again}"
    );
    let done = there.processed(&session).await;
    assert_eq!(
        (&done["state"], &done["facts"][0]["category"]),
        (&json!("processed"), &json!("goal")),
        "{done}"
    );

    // Two badges at one kiosk, in the same instant, at two servers: one session is open, every other one ended.
    for _ in 0..storm::of(6, 100) {
        let (first, second) = tokio::join!(here.open("BADGE_001"), there.open("BADGE_002"));
        assert_ne!(text(&first, "/session_id"), text(&second, "/session_id"));
        let open = sqlx::query("select session_id from public.conversation_sessions where state = 'open'")
            .fetch_all(db.admin_pool())
            .await
            .unwrap();
        let [open] = open.as_slice() else {
            panic!("{} sessions are open at one kiosk", open.len())
        };
        let open: String = open.get("session_id");
        assert!([text(&first, "/session_id"), text(&second, "/session_id")].contains(&open));
    }
    // A kiosk that is revoked through one server is refused by the other in the next request.
    program
        .json(&["kiosk", "revoke", &device.kiosk_id, "--gym", "lyon"])
        .await;
    for at in [&here, &there] {
        let (status, refused) = at
            .post("/api/v1/sessions", &json!({"badge_id": "BADGE_001"}))
            .await;
        assert_eq!(
            (status, text(&refused, "/code").as_str()),
            (StatusCode::FORBIDDEN, "kiosk_revoked")
        );
    }
    for server in [one, other] {
        server.stop(Signal::SIGTERM).await;
    }
}
