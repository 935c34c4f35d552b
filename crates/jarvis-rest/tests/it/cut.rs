//! Every connection is cut, again and again, while many callers ask: nobody gets another's rows, and it mends itself.

use crate::library::{Library, person};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Callers at once; the pool has four connections.
const CALLERS: usize = 24;
const CUTS: usize = 12;
/// Cuts all connections of this database but the one that cuts.
const CUT: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

/// What the callers met.
#[derive(Default)]
struct Met {
    answered: AtomicUsize,
    turned_away: AtomicUsize,
}

/// What one caller may see, whatever happens to connections: exactly their own.
async fn call(library: &Library, number: usize, round: usize, met: &Met) {
    let name = format!("person-{number}");
    let token = person(&name);
    let headers = [("authorization", token.as_str())];
    let nobody = number.is_multiple_of(4);
    let (answer, expected): (_, Value) = match (nobody, round % 3) {
        (true, 0) => (
            library.get("/rpc/who").await,
            json!({"role": "anon", "claims": {"role": "anon"}, "method": "GET"}),
        ),
        (true, _) => {
            let refused = library.get("/diary?select=entry").await;
            if refused.status == StatusCode::UNAUTHORIZED {
                assert_eq!(refused.code(), "42501", "{refused:?}");
                met.answered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            (refused, Value::Null)
        }
        (false, 0) => (
            library.send("POST", "/rpc/who", &headers, "{}").await,
            json!({"role": "authenticated", "claims": {"role": "authenticated", "sub": name}, "method": "POST"}),
        ),
        (false, 1) => (
            library
                .send("GET", "/diary?select=owner,entry", &headers, "")
                .await,
            json!([{"owner": name, "entry": format!("entry of {name}")}]),
        ),
        (false, _) => {
            let kept = [headers[0], ("prefer", "return=representation, tx=rollback")];
            let body = json!({"entry": format!("round {round}")}).to_string();
            (
                library
                    .send("POST", "/diary?select=owner,entry", &kept, &body)
                    .await,
                json!([{"owner": name, "entry": format!("round {round}")}]),
            )
        }
    };
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => {
            assert_eq!(answer.json(), expected, "caller {number}, round {round}");
            met.answered.fetch_add(1, Ordering::Relaxed);
        }
        // A statement was under way on a connection that was cut: it may be tried again.
        StatusCode::SERVICE_UNAVAILABLE => {
            assert!(
                ["57P01", "PGRST000", "PGRST001"].contains(&answer.code().as_str()),
                "{answer:?}"
            );
            assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
            met.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        other => panic!("caller {number}, round {round}: {other} {answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_under_load_leak_nothing_and_come_back() {
    let library = Arc::new(Library::open().await);
    for number in 0..CALLERS {
        let name = format!("person-{number}");
        library
            .sql(&format!(
                "insert into library.diary (owner, entry) values ('{name}', 'entry of {name}')"
            ))
            .await;
    }
    let following = tokio::spawn(library.rest.clone().follow());
    let (over, met) = (Arc::new(AtomicBool::new(false)), Arc::new(Met::default()));
    let callers = (0..CALLERS).map(|number| {
        let (library, over, met) = (Arc::clone(&library), Arc::clone(&over), Arc::clone(&met));
        tokio::spawn(async move {
            let mut round = 0;
            while !over.load(Ordering::Relaxed) {
                call(&library, number, round, &met).await;
                round += 1;
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    for _ in 0..CUTS {
        let before = met.answered.load(Ordering::Relaxed);
        library.sql(CUT).await;
        let cut_at = Instant::now();
        // Nobody helps it: it answers again by itself, and soon.
        while met.answered.load(Ordering::Relaxed) < before + CALLERS {
            assert!(cut_at.elapsed() < Duration::from_secs(20), "it does not recover");
            assert!(
                callers.iter().all(|caller| !caller.is_finished()),
                "a caller got a wrong answer"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let met = (
        met.answered.load(Ordering::Relaxed),
        met.turned_away.load(Ordering::Relaxed),
    );
    // Each cut hits what is under way on the four connections, and little more.
    assert!(met.0 > met.1, "{met:?}");
    let after = library.get("/films?select=count()").await;
    assert_eq!(after.json(), json!([{"count": 3}]));
    library
        .sql("alter table library.films add column seen bool")
        .await;
    library.sql("notify pgrst").await;
    // It hears of changes again as well.
    let heard = Instant::now();
    while library.get("/films?select=seen&limit=1").await.status != StatusCode::OK {
        assert!(
            heard.elapsed() < Duration::from_secs(20),
            "it does not listen any more"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    following.abort();
}
