//! Input of every odd kind, through HTTP: it is refused with a code, and never a defect of ours.

use crate::world::{Answer, World, answer};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Sends these bytes as JSON, as gym A's kiosk.
async fn send(world: &World, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = world
        .by_kiosk(Method::POST, path)
        .header("content-type", "application/json");
    answer(request.body(body)).await
}

fn repeated(open: &str, times: usize) -> String {
    open.repeat(times)
}

#[tokio::test]
async fn what_is_no_proper_json_is_refused_with_its_place_and_its_reason() {
    let world = World::new().await;
    let cases: [(&str, &str, &str); 11] = [
        (
            r#"{"badge_id": "BADGE_001", "badge_id": "BADGE_002"}"#,
            "invalid_json",
            "twice",
        ),
        (r#"{"badge_id": "\ud800"}"#, "invalid_json", "surrogate"),
        (r#"{"badge_id": 1e400}"#, "invalid_json", "out of range"),
        (r#"{"badge_id": NaN}"#, "invalid_json", "not JSON"),
        (r#"{"badge_id": "BADGE_001"} x"#, "invalid_json", "not JSON"),
        ("", "invalid_json", "not JSON"),
        (r#"{"badge_id": "a\u0000b"}"#, "invalid_utf8", "NUL"),
        (
            r#"{"badge_id": "BADGE_001", "a\u0000": 1}"#,
            "invalid_utf8",
            "NUL",
        ),
        (
            r#"{"badge_id": 1180591620717411303424}"#,
            "invalid_request",
            "badge_id: must be text",
        ),
        (r#"["badge_id"]"#, "invalid_request", "must be a JSON object"),
        ("null", "invalid_request", "must be a JSON object"),
    ];
    for (body, code, detail) in cases {
        let refused = send(&world, "/api/v1/sessions", body).await;
        refused.is_problem(400, code);
        assert!(
            refused.body["detail"].as_str().unwrap().contains(detail),
            "{body}: {}",
            refused.body
        );
    }
    let invalid = send(&world, "/api/v1/sessions", b"{\"badge_id\": \"\xff\"}".to_vec()).await;
    invalid.is_problem(400, "invalid_utf8");
    let marked = send(
        &world,
        "/api/v1/sessions",
        "\u{feff}{\"badge_id\": \"BADGE_001\"}",
    )
    .await;
    assert_eq!(marked.status, StatusCode::CREATED, "{}", marked.body);
}

#[tokio::test]
async fn nesting_of_any_depth_never_ends_the_process() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let events = format!("/api/v1/sessions/{session}/events");
    for open in ["[", "{\"a\":", "{\"badge_id\":", "{\"events\":["] {
        let refused = send(&world, "/api/v1/sessions", repeated(open, 5_000)).await;
        refused.is_problem(400, "invalid_json");
        let status = send(&world, &events, repeated(open, 100_000)).await.status;
        assert!(status.is_client_error(), "{open}: {status}");
    }
    let deep = repeated("[", 100_000) + &repeated("]", 100_000);
    let event = |args: &str| format!(r#"{{"event_type": "tool_call", "tool_args": {args}}}"#);
    let batch = format!("[{},{}]", event(&deep), event("[1]"));
    let kept = send(&world, &events, batch).await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.body);
    assert_eq!(
        kept.body["rejected"][0]["detail"],
        "must be a JSON object, at most 64 levels deep"
    );
}

#[tokio::test]
async fn no_field_of_an_event_can_hold_what_the_database_cannot_store() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let path = format!("/api/v1/sessions/{session}/events");
    let event = |rest: &str| format!(r#"{{"event_type": "user_transcript", {rest}}}"#);
    let broken = [
        r#""transcript": "a\u0000b""#,
        r#""transcript": "\ud83d""#,
        r#""tool_name": "a\u0000""#,
        r#""tool_args": {"a\u0000": 1}"#,
        r#""tool_args": {"a": ["\u0000"]}"#,
        r#""tool_result": "\u0000""#,
        r#""tool_args": {"a": 1, "a": 2}"#,
        r#""tool_args": {"$serde_json::private::RawValue": "["}"#,
        r#""tool_args": 1e400"#,
        r#""provider_event_id": "\u0000""#,
        r#""provider_event_id": "a b""#,
        r#""turn_number": -1"#,
        r#""turn_number": 2147483648"#,
        r#""turn_number": 1180591620717411303424"#,
        r#""turn_number": 1.5"#,
        r#""audio_duration_ms": -2147483649"#,
        r#""confidence_score": 1.0000001"#,
        r#""confidence_score": "NaN""#,
        r#""confidence_score": -0.1"#,
        r#""timestamp": "2026-02-30T00:00:00Z""#,
        r#""timestamp": "+292277026596-12-04T15:30:08Z""#,
        r#""timestamp": 9223372036854775807"#,
        r#""timestamp": "now""#,
    ];
    for rest in broken {
        let refused = send(&world, &path, event(rest)).await;
        refused.is_problem(422, "event_invalid");
    }
    for odd in [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "1969-12-31T23:59:59-23:59",
    ] {
        let kept = send(&world, &path, event(&format!(r#""timestamp": "{odd}""#))).await;
        assert_eq!(kept.status, StatusCode::OK, "{odd}: {}", kept.body);
        assert_eq!(
            kept.body["accepted"][0]["code"], "timestamp_out_of_range",
            "{odd}"
        );
    }
    for odd in [
        r#""tool_args": {"\ud83d\ude00": "\u0001\u001f\ufffe"}"#,
        r#""tool_args": [18446744073709551615, -9223372036854775808, 1180591620717411303424, 5e-324, -0.0]"#,
        r#""transcript": "\u202e\ufeff\u0301\u0085""#,
    ] {
        let kept = send(&world, &path, event(odd)).await;
        assert_eq!(kept.status, StatusCode::OK, "{odd}: {}", kept.body);
    }
}

#[tokio::test]
async fn a_batch_ends_at_its_limits() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let path = format!("/api/v1/sessions/{session}/events");
    let event = r#"{"event_type": "user_speech_start"}"#;
    let many = format!("[{}{event}]", format!("{event},").repeat(5_000));
    let refused = send(&world, &path, many).await;
    refused.is_problem(400, "invalid_request");
    let large = format!(
        r#"{{"event_type": "error", "x": "{}"}}"#,
        "x".repeat(8 * 1024 * 1024)
    );
    send(&world, &path, large)
        .await
        .is_problem(413, "payload_too_large");
    let large = format!(r#"{{"badge_id": "{}"}}"#, "x".repeat(64 * 1024));
    send(&world, "/api/v1/sessions", large)
        .await
        .is_problem(413, "payload_too_large");
    for (length, status) in [
        (20_000, StatusCode::OK),
        (20_001, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let said = json!({"event_type": "user_transcript", "transcript": "é".repeat(length)});
        assert_eq!(send(&world, &path, said.to_string()).await.status, status);
    }
}

#[tokio::test]
async fn bodies_of_another_kind_are_refused_and_not_unpacked() {
    let world = World::new().await;
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-encoding", "gzip"),
        ("content-encoding", "br, identity"),
    ] {
        let mut request = world
            .by_kiosk(Method::POST, "/api/v1/sessions")
            .body(r#"{"badge_id": "BADGE_001"}"#);
        if name != "content-type" {
            request = request.header("content-type", "application/json");
        }
        let refused = answer(request.header(name, value)).await;
        refused.is_problem(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_query_is_read_strictly() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let manager = world.manager_a().await;
    for (query, code) in [
        ("q=%ff", "invalid_utf8"),
        ("q=a%00b", "invalid_utf8"),
        ("q=%ed%a0%80", "invalid_utf8"),
        ("q=a&q=b", "invalid_request"),
        ("q=", "invalid_request"),
        ("", "invalid_request"),
        ("q=a&k=1e400", "invalid_request"),
        ("q=a&k=0", "invalid_request"),
        ("q=a&k=51", "invalid_request"),
        ("q=a&k=99999999999999999999", "invalid_request"),
        ("q=a&threshold=NaN", "invalid_request"),
        ("q=a&threshold=inf", "invalid_request"),
        ("q=a&threshold=-1", "invalid_request"),
    ] {
        for path in [
            format!("/api/v1/sessions/{session}/recall?{query}"),
            format!("/api/v1/members/{}/recall?{query}", world.camille),
        ] {
            let token = if path.contains("members") {
                manager.clone()
            } else {
                world.kiosk_token(&world.kiosk_a)
            };
            let refused = answer(world.request(Method::GET, &path).bearer_auth(token)).await;
            refused.is_problem(400, code);
        }
    }
    let odd = "q=%F0%9F%98%80%C2%85%EF%BB%BF&k=50&threshold=1e-320&unknown=1";
    let asked =
        answer(world.by_kiosk(Method::GET, &format!("/api/v1/sessions/{session}/recall?{odd}"))).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
}

#[tokio::test]
async fn an_id_of_any_form_is_not_found_rather_than_a_defect() {
    let world = World::new().await;
    let manager = world.manager_a().await;
    for id in [
        "0",
        "%00",
        "%ff",
        "..%2f..%2fetc",
        "%F0%9F%98%80",
        "'%20or%201=1--",
        &"x".repeat(129),
        &"%C3%A9".repeat(128),
    ] {
        for path in ["sessions/{}", "members/{}/context", "sessions/{}/reprocess"] {
            let method = if path.ends_with("reprocess") {
                Method::POST
            } else {
                Method::GET
            };
            let path = format!("/api/v1/{}", path.replace("{}", id));
            let refused = answer(world.request(method, &path).bearer_auth(&manager)).await;
            assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}: {}", refused.body);
        }
    }
}

#[tokio::test]
async fn addresses_and_headers_end_at_their_limits() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let longest = "%F0%9F%98%80".repeat(2_000);
    let asked = answer(world.by_kiosk(
        Method::GET,
        &format!("/api/v1/sessions/{session}/recall?q={longest}"),
    ))
    .await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    let long = answer(world.request(Method::GET, &format!("/healthz?{}", "x".repeat(32 * 1024)))).await;
    long.is_problem(414, "uri_too_long");
    let large = answer(
        world
            .request(Method::GET, "/healthz")
            .header("x-large", "x".repeat(16 * 1024)),
    )
    .await;
    large.is_problem(431, "headers_too_large");
    let latin = reqwest::header::HeaderValue::from_bytes(b"Bearer \xff").unwrap();
    let refused = answer(
        world
            .request(Method::GET, "/api/v1/me")
            .header("authorization", latin),
    )
    .await;
    refused.is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_method_that_is_not_there_is_told_with_those_that_are() {
    let world = World::new().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/sessions", "POST"),
        (Method::PUT, "/api/v1/me", "GET,HEAD"),
        (Method::OPTIONS, "/healthz", "GET,HEAD"),
        (
            Method::from_bytes(b"BREW").unwrap(),
            "/api/v1/sessions/x/recall",
            "GET,HEAD",
        ),
    ] {
        let refused = answer(world.request(method, path)).await;
        refused.is_problem(405, "method_not_allowed");
        assert_eq!(refused.headers["allow"], allowed, "{path}");
    }
}

/// Any JSON, with the names of our fields among its own.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("event_type"),
        Just("events"),
        Just("transcript"),
        Just("badge_id"),
        Just("timestamp"),
        Just("q"),
        Just("k"),
        Just("threshold"),
        Just("reason"),
        Just("public_key"),
        Just("code"),
        Just("assertion"),
        Just("email"),
        Just("password"),
        Just("kty"),
        Just("tool_args"),
        Just("language"),
    ]
    .prop_map(str::to_owned);
    let name = prop_oneof![4 => name, 1 => any::<String>()];
    let word = prop_oneof![
        Just("user_transcript"),
        Just("BADGE_001"),
        Just("fr"),
        Just("2026-01-01T00:00:00Z"),
        Just("EC"),
        Just("\0"),
    ]
    .prop_map(Value::from);
    let leaf = prop_oneof![
        2 => word,
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => proptest::collection::btree_map(name.clone(), inner, 0..7)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[tokio::test]
async fn any_json_to_any_endpoint_is_never_a_defect_of_ours() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let manager = world.manager_a().await;
    let kiosk = world.kiosk_token(&world.kiosk_a);
    let paths = [
        "/api/v1/sessions".to_owned(),
        format!("/api/v1/sessions/{session}/events"),
        format!("/api/v1/sessions/{session}/close"),
        format!("/api/v1/members/{}/recall", world.camille),
        "/api/v1/kiosks/pair".to_owned(),
        "/api/v1/kiosks/token".to_owned(),
        "/api/v1/auth/sign-in".to_owned(),
    ];
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    for round in 0..60 {
        let body = any_json().new_tree(&mut runner).unwrap().current();
        for path in &paths {
            let token = if path.contains("members") {
                &manager
            } else {
                &kiosk
            };
            // Limits per address must hide nothing.
            let request = world
                .request(Method::POST, path)
                .header("x-forwarded-for", format!("10.0.0.{round}"));
            let got = answer(request.bearer_auth(token).json(&body)).await;
            assert!(!got.status.is_server_error(), "{path} {body}: {}", got.body);
            if !got.status.is_success() {
                let code = got.body["code"].as_str().unwrap_or_default().to_owned();
                got.is_problem(got.status.as_u16(), &code);
            }
        }
    }
}
