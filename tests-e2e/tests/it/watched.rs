//! The program as Prometheus, a proxy and whoever reads its log see it.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING};
use crate::program::{Program, fetched};
use crate::server::{Server, Written};
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Said, typed and sent in every way; must be found in no metric.
const CANARY: &str = "Archibald";

/// Only where PostgreSQL is the program's own.
const OF_UP: [&str; 2] = ["jarvis_embedded_postgres_up", "jarvis_disk_free_bytes"];

/// Shown once a price is known: a zero would say that a model is free.
const OF_A_PRICE: &str = "jarvis_model_cost_micro_usd";

pub async fn get(url: &str) -> (StatusCode, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client
        .get(url)
        .timeout(Duration::from_secs(15))
        .send()
        .await
        .unwrap();
    (response.status(), response.text().await.unwrap())
}

/// The address that the program tells for its metrics.
pub async fn metrics_url(log: &Written) -> String {
    let begun = Instant::now();
    loop {
        let told = log.so_far();
        let url = told.lines().find_map(|line| line.strip_prefix("metrics: "));
        if let Some(url) = url {
            return url.to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no metrics:\n{told}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What was scraped: type and samples by name of the family.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads the format strictly, as its specification has it: HELP and TYPE before the samples, every family in one place,
/// no series twice, counters ending in `_total`, buckets that add up, one end.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let body = text.strip_suffix("# EOF\n").expect("it ends");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("help has words");
            assert!(!words.is_empty() && !families.contains_key(name), "{line}");
            name.clone_into(&mut current);
            families.insert(current.clone(), Family::default());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, current, "{line}");
            kind.clone_into(&mut families.get_mut(name).unwrap().kind);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            assert!(seen.insert(series.to_owned()), "{series} is there twice");
            let (name, labels) = labels(series);
            let family = families
                .get_mut(&current)
                .expect("a sample stands below its TYPE");
            let suffix = name
                .strip_prefix(current.as_str())
                .unwrap_or_else(|| panic!("{name} in {current}"));
            let allowed: &[&str] = match family.kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_sum", "_count"],
                other => panic!("{other} is no type"),
            };
            assert!(allowed.contains(&suffix), "{line}");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(
                value.is_finite() && (family.kind == "gauge" || value >= 0.0),
                "{line}"
            );
            family.samples.push((suffix.to_owned(), labels, value));
        }
    }
    for (name, family) in &families {
        if family.kind == "histogram" {
            buckets_add_up(name, family);
        }
    }
    families
}

fn labels(series: &str) -> (String, BTreeMap<String, String>) {
    let Some((name, rest)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new());
    };
    let mut rest = rest.strip_suffix('}').unwrap_or_else(|| panic!("{series}"));
    let mut found = BTreeMap::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{series}"));
        let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("{series}"));
        assert!(
            !value.contains('\\'),
            "nothing of ours needs to be escaped: {series}"
        );
        assert!(
            found.insert(label.to_owned(), value.to_owned()).is_none(),
            "{series}"
        );
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name.to_owned(), found)
}

fn buckets_add_up(name: &str, family: &Family) {
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    let mut whole = BTreeMap::new();
    for (suffix, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le");
        let series = format!("{labels:?}");
        match suffix.as_str() {
            "_bucket" => {
                let before = last.insert(series.clone(), *value).unwrap_or_default();
                assert!(before <= *value, "{name}: buckets are cumulative");
                if bound.as_deref() == Some("+Inf") {
                    whole.insert(series, *value);
                }
            }
            "_count" => {
                last.insert(format!("count {series}"), *value);
            }
            _ => {}
        }
    }
    assert!(!whole.is_empty(), "{name} has no +Inf");
    for (series, all) in whole {
        let counted = last[&format!("count {series}")];
        assert!(
            (counted - all).abs() < f64::EPSILON,
            "{name}: {counted} counted, {all} in buckets"
        );
    }
}

/// The names in the documented table, without the suffix that the format adds to counters.
fn documented() -> BTreeSet<String> {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let names = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names
        .map(|name| name.trim_end_matches("_total").to_owned())
        .collect()
}

fn value(families: &BTreeMap<String, Family>, family: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |found: &BTreeMap<String, String>| {
        labels
            .iter()
            .all(|(label, value)| found.get(*label).is_some_and(|v| v == value))
    };
    let samples = &families[family].samples;
    samples
        .iter()
        .filter(|(suffix, found, _)| suffix != "_bucket" && suffix != "_sum" && fits(found))
        .map(|s| s.2)
        .sum()
}

async fn traffic(program: &Program, server: &Server) -> Caller {
    gyms::gym(program, "lyon").await;
    gyms::member(program, "lyon", "BADGE_001", CANARY, EVERYTHING).await;
    let kiosk = gyms::kiosk(program, server, "lyon", "entree").await.caller;
    let spoken = kiosk
        .converse(
            "BADGE_001",
            &["Mon objectif c'est de courir le marathon de Lyon avec Archibald"],
        )
        .await;
    assert_eq!(spoken["state"], "processed", "{spoken}");
    let session = spoken["session_id"].as_str().unwrap().to_owned();
    kiosk
        .get(&format!("/api/v1/sessions/{session}/recall?q={CANARY}"))
        .await;
    kiosk.get(&format!("/api/v1/{CANARY}?q={CANARY}")).await;
    kiosk.post("/api/v1/sessions", &json!({"badge_id": CANARY})).await;
    kiosk
        .post("/api/v1/sessions", &json!({"badge_id": [CANARY]}))
        .await;
    for _ in 0..7 {
        let wrong = json!({"email": format!("{CANARY}@example.org"), "password": CANARY});
        kiosk.post("/api/v1/auth/sign-in", &wrong).await;
    }
    let odd = reqwest::Method::from_bytes(CANARY.to_uppercase().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/api/v1/sessions", server.address);
    client
        .request(odd, url)
        .header("x-request-id", CANARY)
        .send()
        .await
        .unwrap();
    kiosk
}

/// Every documented metric but `absent` is scraped, every scraped one is documented, and none holds what was said.
fn is_complete(text: &str, absent: &[&str]) -> BTreeMap<String, Family> {
    let families = parse(text);
    let shown: BTreeSet<String> = families.keys().cloned().collect();
    let expected: BTreeSet<String> = documented()
        .into_iter()
        .filter(|n| !absent.contains(&n.as_str()))
        .collect();
    assert_eq!(shown, expected, "documented and scraped");
    assert!(
        !text.to_lowercase().contains(&CANARY.to_lowercase()),
        "a metric holds what somebody said"
    );
    families
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_scraped_is_what_is_documented_and_counts_what_happened() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_METRICS_LISTEN", "127.0.0.1:0");
    let server = Server::serve(&program).await;
    let url = metrics_url(&server.log).await;
    assert_eq!(
        parse(&get(&url).await.1)["jarvis_sessions_opened"].samples.len(),
        2,
        "zero from the start"
    );
    traffic(&program, &server).await;

    let (status, text) = get(&url).await;
    assert_eq!(status, StatusCode::OK);
    let seen = is_complete(&text, &[OF_UP[0], OF_UP[1], OF_A_PRICE]);
    let count = |family: &str, labels: &[(&str, &str)]| value(&seen, family, labels);
    let opened = [("method", "POST"), ("route", "/api/v1/sessions")];
    assert!(count("jarvis_http_requests", &opened) >= 3.0, "{text}");
    assert!(
        count("jarvis_http_requests", &[("route", "-"), ("status", "4xx")]) >= 1.0,
        "{text}"
    );
    assert!(
        count("jarvis_http_requests", &[("method", "other")]) >= 1.0,
        "{text}"
    );
    assert!(
        count("jarvis_http_rate_limited", &[("limit", "sign_in_account")]) >= 2.0,
        "{text}"
    );
    assert!(
        count("jarvis_sessions_processed", &[("outcome", "processed")]) >= 1.0,
        "{text}"
    );
    assert!(count("jarvis_facts", &[("outcome", "stored")]) >= 1.0, "{text}");
    assert!(count("jarvis_events", &[("outcome", "stored")]) >= 1.0, "{text}");
    assert!(count("jarvis_db_query_duration_seconds", &[]) > 20.0, "{text}");
    let done = [("kind", "memory.process_session"), ("outcome", "completed")];
    assert!(count("jarvis_jobs_finished", &done) >= 1.0, "{text}");
    assert!((count("jarvis_db_up", &[]) - 1.0).abs() < f64::EPSILON, "{text}");
    assert!(
        count("jarvis_http_requests_in_flight", &[]).abs() < f64::EPSILON,
        "{text}"
    );

    // Metrics are on no public port, and the log has the cost of what happened, as JSON.
    let (hidden, _) = get(&format!("http://{}/metrics", server.address)).await;
    assert_eq!(hidden, StatusCode::NOT_FOUND);
    let (_, log) = server.stop(Signal::SIGTERM).await;
    let log = log.so_far();
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let job = lines
        .iter()
        .find(|l| l["kind"] == "memory.process_session")
        .expect("the job has a line");
    assert_eq!(
        (&job["message"], &job["outcome"]),
        (&json!("job finished"), &json!("completed"))
    );
    assert!(
        job["queries"].as_u64().unwrap() > 10 && job["db_ms"].as_f64().unwrap() > 0.0,
        "{job}"
    );
    assert!(
        job["waited_ms"].is_number() && job["duration_ms"].is_number() && job["gym"].is_string(),
        "{job}"
    );
    let request = lines
        .iter()
        .find(|l| l["route"] == "/api/v1/sessions")
        .expect("the request has a line");
    assert!(request["queries"].as_u64().unwrap() > 5, "{request}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_shows_its_postgresql_and_its_disk_too() {
    if fetched("JARVIS_PG_DIR").is_none() {
        return;
    }
    let program = Program::without_database();
    let server =
        Server::start(program.command(&["up", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]))
            .await;
    let url = metrics_url(&server.log).await;
    traffic(&program, &server).await;
    let seen = is_complete(&get(&url).await.1, &[OF_A_PRICE]);
    assert!(value(&seen, "jarvis_disk_free_bytes", &[]) > 0.0);
    assert!((value(&seen, "jarvis_embedded_postgres_up", &[]) - 1.0).abs() < f64::EPSILON);
    let (status, _) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_told_to_stop_says_so_while_it_still_serves() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_DRAIN_SECONDS", "3");
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    assert_eq!(kiosk.get("/readyz").await.0, StatusCode::OK);
    let begun = Instant::now();
    server.send(Signal::SIGTERM);
    loop {
        let (status, told) = kiosk.get("/readyz").await;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(told["process"]["cause"], "stopping", "{told}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{told}");
    }
    // Who comes before the proxy has seen it is served.
    let (status, opened) = kiosk
        .post("/api/v1/sessions", &json!({"badge_id": "BADGE_001"}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{opened}");
    let (ended, _) = server.end(Signal::SIGTERM).await;
    assert_eq!(ended.code(), Some(0));
    assert!(
        begun.elapsed() >= Duration::from_millis(2_800),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_and_an_address_that_is_taken_are_refused_with_the_way_out() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_LOG", "jarvis=loud");
    let refused = program.run(&["gym", "list"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("jarvis=debug,warn"), "{refused:?}");
    program.unset("JARVIS_LOG");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = program
        .run(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &address])
        .await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("--metrics-listen 127.0.0.1:9465"),
        "{refused:?}"
    );
}
