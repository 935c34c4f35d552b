//! What was said or typed is found in no log and in no refusal.

use crate::device::Caller;
use crate::gyms::{self, EVERYTHING};
use crate::program::{Program, text};
use crate::server::Server;
use crate::stored::traces;
use jarvis_testkit::TestDb;
use nix::sys::signal::Signal;
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

/// Said in every way that reaches the server; must be found in no log.
const CANARY: &str = "perroquet turquoise Archibald";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_said_or_typed_is_found_in_a_log() {
    let db = TestDb::new().await;
    let mut program = Program::on(&db);
    program.set("JARVIS_LOG", "trace");
    let server = Server::serve(&program).await;
    gyms::gym(&program, "lyon").await;
    gyms::member(&program, "lyon", "BADGE_001", "Archibald", EVERYTHING).await;
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await.caller;
    let goal = format!("mon objectif c'est de gagner le {CANARY}");
    let spoken = kiosk.converse("BADGE_001", &[&goal, CANARY]).await;
    let session = text(&spoken, "/session_id");
    misuse(&kiosk, &session).await;
    strangers(&server.address).await;
    let question = "q=perroquet%20turquoise%20Archibald";
    kiosk
        .get(&format!("/api/v1/sessions/{session}/recall?{question}"))
        .await;
    kiosk.get(&format!("/api/v1/nowhere/Archibald?{question}")).await;
    let mut logs = Vec::new();
    for arguments in [
        ["recall", "BADGE_001", CANARY].as_slice(),
        &["session", "show", &session],
        &["fact", "list", "BADGE_001"],
    ] {
        let ended = program.run(arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        logs.push((arguments.join(" "), ended.stderr));
    }
    let (status, log) = server.stop(Signal::SIGTERM).await;
    assert_eq!(status.code(), Some(0));
    let log = log.so_far();
    assert!(log.contains("/api/v1/sessions"), "requests are logged");
    logs.push(("the server".to_owned(), log));
    for (place, log) in logs {
        assert_eq!(
            traces(log.lines(), &["archibald", "perroquet"]),
            [""; 0],
            "{place}"
        );
    }
}

/// Words in headers, in passwords, in addresses and in tokens.
async fn strangers(address: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sign_in = json!({"email": "Archibald@example.org", "password": CANARY});
    for request in [
        client
            .post(format!("http://{address}/api/v1/auth/sign-in"))
            .json(&sign_in),
        client
            .get(format!("http://{address}/api/v1/me"))
            .bearer_auth("perroquet.Archibald.turquoise"),
        client
            .get(format!("http://{address}/api/v1/me"))
            .header(header::USER_AGENT, CANARY),
        client
            .get(format!("http://{address}/healthz"))
            .header("x-request-id", CANARY),
        client
            .get(format!("http://{address}/readyz?said=Archibald"))
            .header(header::REFERER, CANARY),
    ] {
        let answer = request.send().await.unwrap().text().await.unwrap();
        assert!(!answer.contains("Archibald"), "the answer repeats it: {answer}");
    }
}

/// Requests that are refused, with words in them that must not be repeated.
async fn misuse(kiosk: &Caller, session: &str) {
    let path = format!("/api/v1/sessions/{session}/events");
    let event = |extra: Value| {
        let mut event = json!({"event_type": "user_transcript", "transcript": CANARY});
        event
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        event
    };
    for bad in [
        event(json!({"event_type": CANARY})),
        event(json!({"confidence_score": 7})),
        event(json!({"timestamp": CANARY})),
        event(json!({"turn_number": CANARY})),
        event(json!({"tool_args": {"said": format!("{CANARY}\0")}})),
        json!(CANARY),
        json!({"events": CANARY}),
    ] {
        let (status, answer) = kiosk.post(&path, &bad).await;
        assert!(status.is_client_error(), "{status} {answer}");
        assert!(
            !answer.to_string().contains("Archibald"),
            "the answer repeats it: {answer}"
        );
    }
    let broken = format!("{{\"event_type\": \"user_transcript\", \"transcript\": \"{CANARY}\" oops");
    for (kind, body) in [
        ("application/json", broken.clone()),
        ("application/x-ndjson", broken),
        ("text/plain", CANARY.to_owned()),
    ] {
        let request = kiosk
            .request(&path, &Value::Null)
            .header(header::CONTENT_TYPE, kind)
            .body(body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{kind}: {}", answer.status());
        assert!(
            !answer.text().await.unwrap().contains("Archibald"),
            "{kind}: the answer repeats it"
        );
    }
    let (status, answer) = kiosk.post("/api/v1/sessions", &json!({"badge_id": CANARY})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!answer.to_string().contains("Archibald"), "{answer}");
}
