//! The database goes away under load: connections are cut, or it is down for a while. Nothing is lost, and nobody has to
//! restart anything.

use crate::device::Caller;
use crate::program::{Program, fetched, text};
use crate::server::Server;
use crate::stored::count;
use crate::storm;
use crate::traffic::{self, Crowd};
use crate::verdict::judge;
use jarvis_testkit::{StoppableServer, TestDb};
use nix::sys::signal::Signal;
use rand::RngExt as _;
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A kiosk repeats a request for at most this long.
const PATIENCE: Duration = Duration::from_mins(3);

/// Ends every connection of the program to this database; how many there were.
const CUT: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where datname = current_database() and application_name like 'jarvis%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_under_load_lose_nothing_and_show_no_gym_to_another() {
    let (seed, mut chance) = storm::chance();
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    let gyms = traffic::gyms(&program, &server, 4, 1, 2).await;
    let crowd = Crowd::start(&gyms, &[&server.address], PATIENCE, &mut chance);
    let (mut cuts, mut connections) = (0, 0);
    while cuts < storm::of(8, 120) {
        let pause = chance.random_range(50..400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        connections += count(db.admin_pool(), CUT).await;
        cuts += 1;
    }
    // All by itself, and at once.
    let begun = Instant::now();
    crowd.go_on_for(4, PATIENCE).await;
    let recovered = begun.elapsed();
    let traffic = crowd.traffic.clone();
    let held = crowd.stop().await;
    judge(&program, db.admin_pool(), &held).await.report(
        "cuts",
        &[
            ("seed", json!(seed)),
            ("cuts", json!(cuts)),
            ("connections_cut", json!(connections)),
            ("requests_refused", json!(traffic.refused.load(Ordering::Relaxed))),
            ("recovered_ms", json!(recovered.as_millis())),
        ],
    );
    assert!(connections >= cuts / 2, "hardly a connection was there to be cut");
    assert!(
        traffic.refused.load(Ordering::Relaxed) > 0,
        "no request noticed: nothing was put to the test"
    );
    let (status, _) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0));
}

/// A database of this test's own, and the program on it.
async fn on_a_stoppable_server() -> (Program, StoppableServer) {
    let mut program = Program::without_database();
    let database = StoppableServer::start(&program.folder().join("database"))
        .await
        .unwrap();
    program.set("DATABASE_URL", database.login_url().expose_secret());
    program.set("JARVIS_ADMIN_DATABASE_URL", database.admin_url().expose_secret());
    (program, database)
}

/// How the probe answers.
async fn readyz(address: &str) -> (StatusCode, String) {
    let (status, body) = Caller::new(address, "").get("/readyz").await;
    (status, body.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_down_for_a_while_is_said_and_survived() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let (seed, mut chance) = storm::chance();
    let (program, mut database) = on_a_stoppable_server().await;
    let pool = {
        let url = database.admin_url().expose_secret();
        PgPoolOptions::new().max_connections(2).connect_lazy(url).unwrap()
    };
    let server = Server::serve(&program).await;
    let gyms = traffic::gyms(&program, &server, 2, 2, 2).await;
    let crowd = Crowd::start(&gyms, &[&server.address], PATIENCE, &mut chance);
    crowd.go_on_for(4, PATIENCE).await;

    let down = storm::of(Duration::from_secs(6), Duration::from_mins(1));
    database.stop().await.unwrap();
    let gone = Instant::now();
    while gone.elapsed() < down {
        let (status, body) = readyz(&server.address).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert!(body.contains("database"), "{body}");
        let (status, _) = Caller::new(&server.address, "").get("/healthz").await;
        assert_eq!(status, StatusCode::OK, "the process itself is well");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let refused = crowd.traffic.refused.load(Ordering::Relaxed);
    database.start_again().await.unwrap();
    let back = Instant::now();
    crowd.go_on_for(1, PATIENCE).await;
    let recovered = back.elapsed();
    assert_eq!(readyz(&server.address).await.0, StatusCode::OK);
    crowd.go_on_for(4, PATIENCE).await;
    let traffic = crowd.traffic.clone();
    let held = crowd.stop().await;
    let slowest = traffic.slowest_refusal_ms.load(Ordering::Relaxed);
    judge(&program, &pool, &held).await.report(
        "outage",
        &[
            ("seed", json!(seed)),
            ("down_s", json!(down.as_secs())),
            ("requests_refused", json!(refused)),
            ("slowest_refusal_ms", json!(slowest)),
            ("recovered_ms", json!(recovered.as_millis())),
        ],
    );
    // Four kiosks ask again within 60 ms: most are told at once, and only who asks first waits for a connection.
    let quick = usize::try_from(down.as_secs()).unwrap() * 10;
    assert!(refused > quick, "only {refused} refusals in {down:?}");
    assert!(slowest < 7_000, "a refusal took {slowest} ms");
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0));
    // The worker backs off: every failing claim is a line, and there are few.
    let claims = log.so_far().matches("cannot claim jobs").count();
    let most = 10 + usize::try_from(down.as_secs()).unwrap() / 4;
    assert!(claims <= most, "{claims} failing claims in {down:?}");
    database.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_started_before_its_database_waits_for_it_and_gives_up_with_the_way_out() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let (program, mut database) = on_a_stoppable_server().await;
    database.stop().await.unwrap();

    let begun = Instant::now();
    let ended = program
        .run(&["serve", "--listen", "127.0.0.1:0", "--wait-for-database", "1"])
        .await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for word in ["cannot reach PostgreSQL", "hint:", "waiting for the database"] {
        assert!(ended.stderr.contains(word), "{word} in {}", ended.stderr);
    }

    let waiting = program.command(&["serve", "--listen", "127.0.0.1:0"]);
    let waiting = tokio::spawn(Server::start(waiting));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished(), "it waits");
    database.start_again().await.unwrap();
    let server = waiting.await.unwrap();
    assert_eq!(readyz(&server.address).await.0, StatusCode::OK);
    server.stop(Signal::SIGTERM).await;

    // A login that is refused is refused in an hour as well: no waiting.
    let mut stranger = Program::without_database();
    let (_, place) = database.login_url().expose_secret().split_once('@').unwrap();
    stranger.set("DATABASE_URL", &format!("postgres://jarvis_login:wrong@{place}"));
    let begun = Instant::now();
    let refused = stranger.json_error(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(
        text(&refused, "/error").contains("refuses the login"),
        "{refused}"
    );
    database.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_name_of_the_database_is_told_at_once_and_not_waited_for() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    let url = db.login_url().expose_secret().to_owned();
    let (server, _) = url.rsplit_once('/').unwrap();
    program.set("DATABASE_URL", &format!("{server}/no_such_database"));
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["worker"]] {
        let begun = Instant::now();
        let ended = program.run(command).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains("DATABASE_URL"), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
