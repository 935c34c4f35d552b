//! A database that goes away and comes back: who asks meanwhile is told quickly, and nobody has to restart anything.

use jarvis_core::Scope;
use jarvis_db::{ConnectSettings, Db, DbError};
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A way to the database that can be closed.
struct Door {
    port: u16,
    to: u16,
    serving: Option<JoinHandle<()>>,
}

impl Door {
    async fn open(port: u16, to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            // Everything in the set ends with it.
            let mut ways = JoinSet::new();
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                ways.spawn(async move {
                    let mut to = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    // Either end may be cut: that is what the door is for.
                    drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
                });
            }
        });
        Self {
            port,
            to,
            serving: Some(serving),
        }
    }

    async fn shut(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
    }

    async fn open_again(&mut self) {
        *self = Self::open(self.port, self.to).await;
    }
}

/// How long a transaction takes to begin or to fail.
async fn asked(db: &Db) -> (Result<(), DbError>, Duration) {
    let begun = Instant::now();
    let answer = async { db.begin(&Scope::System).await?.commit().await }.await;
    (answer, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_down_all_but_one_are_told_at_once_and_it_is_noticed_when_it_is_back() {
    const PATIENCE: Duration = Duration::from_secs(2);
    let test = TestDb::new().await;
    let url = test.login_url();
    let to = PgConnectOptions::from_str(url.expose_secret())
        .unwrap()
        .get_port();
    let mut door = Door::open(0, to).await;
    let through = url
        .expose_secret()
        .replace(&format!(":{to}/"), &format!(":{}/", door.port));
    let settings = ConnectSettings {
        acquire_timeout: PATIENCE,
        ..ConnectSettings::new(through.into())
    };
    let db = Db::connect(&settings).await.unwrap();
    asked(&db).await.0.unwrap();

    door.shut().await;
    let (first, took) = asked(&db).await;
    assert!(matches!(first, Err(DbError::Unavailable { .. })), "{first:?}");
    assert!(took < 2 * PATIENCE, "{took:?}");
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let db = db.clone();
        callers.spawn(async move { asked(&db).await });
    }
    let answers = callers.join_all().await;
    let quick = answers.iter().filter(|(answer, took)| {
        assert!(matches!(answer, Err(DbError::Unavailable { .. })), "{answer:?}");
        *took < PATIENCE / 4
    });
    assert!(quick.count() >= 18, "{answers:?}");

    door.open_again().await;
    let begun = Instant::now();
    while let (Err(error), _) = asked(&db).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..5 {
        asked(&db).await.0.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_without_a_free_connection_is_busy_and_not_down() {
    let test = TestDb::new().await;
    let settings = ConnectSettings {
        max_connections: 1,
        acquire_timeout: Duration::from_millis(300),
        ..ConnectSettings::new(test.login_url())
    };
    let db = Db::connect(&settings).await.unwrap();
    let held = db.begin(&Scope::System).await.unwrap();
    // Were an outage noted after the first, the others would not wait.
    for _ in 0..2 {
        let mut callers = JoinSet::new();
        for _ in 0..3 {
            let db = db.clone();
            callers.spawn(async move { asked(&db).await });
        }
        for (answer, took) in callers.join_all().await {
            assert!(matches!(answer, Err(DbError::Unavailable { .. })), "{answer:?}");
            assert!(took >= Duration::from_millis(250), "{took:?}");
        }
    }
    held.commit().await.unwrap();
    asked(&db).await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_callers_whom_a_silent_database_keeps_waiting_one_asks_whether_it_is_down() {
    let test = TestDb::new().await;
    let url = test.login_url();
    let to = PgConnectOptions::from_str(url.expose_secret())
        .unwrap()
        .get_port();
    let mut door = Door::open(0, to).await;
    let through = url
        .expose_secret()
        .replace(&format!(":{to}/"), &format!(":{}/", door.port));
    let settings = ConnectSettings {
        max_connections: 2,
        acquire_timeout: Duration::from_millis(500),
        ..ConnectSettings::new(through.into())
    };
    let db = Db::connect(&settings).await.unwrap();
    door.shut().await;
    // It takes connections, and says nothing.
    let listener = TcpListener::bind(("127.0.0.1", door.port)).await.unwrap();
    let asked_for = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked_for);
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let db = db.clone();
        callers.spawn(async move { asked(&db).await.0 });
    }
    for answer in callers.join_all().await {
        assert!(matches!(answer, Err(DbError::Unavailable { .. })), "{answer:?}");
    }
    // The pool tries to make its two connections, again for callers who come late
    // on a busy machine, and one caller asks; did each ask, it would be twenty more.
    let connections = asked_for.load(Ordering::SeqCst);
    assert!((1..10).contains(&connections), "{connections}");
    silent.abort();
}
