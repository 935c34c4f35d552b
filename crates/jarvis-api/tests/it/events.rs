//! Events as kiosks really send them: repeated, late, broken, too many, with clocks gone wrong.

use crate::world::{World, answer};
use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn said(text: &str) -> Value {
    json!({"event_type": "user_transcript", "transcript": text})
}

async fn post(
    world: &World,
    session: &str,
    media: &str,
    body: impl Into<reqwest::Body>,
) -> crate::world::Answer {
    let request = world.by_kiosk(Method::POST, &format!("/api/v1/sessions/{session}/events"));
    answer(request.header("content-type", media).body(body)).await
}

async fn stored(world: &World) -> i64 {
    world
        .count("select count(*) from public.conversation_events")
        .await
}

#[tokio::test]
async fn one_event_a_list_an_envelope_and_lines_are_all_taken() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    for body in [
        said("a"),
        json!([said("b"), said("c")]),
        json!({"events": [said("d")]}),
    ] {
        let answer = world.record(&session, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["rejected"], json!([]));
        assert!(answer.body["accepted"][0]["id"].is_string());
    }
    let lines = format!("{}\n\n{}\r\n", said("e"), said("f"));
    let answer = post(&world, &session, "application/x-ndjson", lines).await;
    assert_eq!(
        answer.body["accepted"].as_array().unwrap().len(),
        2,
        "{}",
        answer.body
    );
    assert_eq!(stored(&world).await, 6);
}

#[tokio::test]
async fn a_repeated_provider_event_id_is_the_same_event() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let mut event = said("bonjour");
    event["provider_event_id"] = json!("evt_1");
    let first = world.record(&session, &json!([event, event])).await;
    let flags: Vec<_> = first.body["accepted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["duplicate"].clone())
        .collect();
    assert_eq!(flags, [json!(false), json!(true)], "{}", first.body);
    let again = world.record(&session, &event).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(
        (
            &again.body["accepted"][0]["duplicate"],
            &again.body["accepted"][0]["id"]
        ),
        (&json!(true), &Value::Null)
    );
    assert_eq!(stored(&world).await, 1);
}

#[tokio::test]
async fn an_empty_provider_event_id_is_none() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let mut event = said("bonjour");
    event["provider_event_id"] = json!("");
    let answer = world.record(&session, &json!([event, event])).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(stored(&world).await, 2);
}

#[tokio::test]
async fn one_bad_event_never_loses_the_others() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let secret = "mal au genou";
    let batch = json!([
        said("bonjour"),
        {"event_type": secret},
        {"event_type": "user_transcript", "transcript": "x".repeat(20_001)},
        {"event_type": "user_transcript", "transcript": {"text": secret}},
        {"event_type": "user_transcript", "transcript": "a\0b"},
        {"event_type": "user_transcript", "timestamp": "99999-01-01T00:00:00Z", "transcript": secret},
        {"event_type": "user_transcript", "turn_number": -1},
        {"event_type": "error", "confidence_score": 7},
        secret,
        {"event_type": "user_transcript", "transcript": "au revoir", "a_field_of_tomorrow": {"x": 1}},
    ]);
    let answer = world.record(&session, &batch).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let indexes = |list: &str| -> Vec<i64> {
        answer.body[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["index"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(indexes("accepted"), [0, 9]);
    assert_eq!(indexes("rejected"), [1, 2, 3, 4, 5, 6, 7, 8]);
    for rejected in answer.body["rejected"].as_array().unwrap() {
        assert_eq!(rejected["code"], "event_invalid");
        assert!(!rejected["detail"].as_str().unwrap().is_empty());
    }
    assert!(!answer.body.to_string().contains("genou"), "{}", answer.body);
    assert_eq!(stored(&world).await, 2);
}

#[tokio::test]
async fn one_bad_line_never_loses_the_others() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let mut body = format!("{}\n{{broken\n", said("bonjour")).into_bytes();
    body.extend(b"{\"event_type\":\"user_transcript\",\"transcript\":\"\xff\xfe\"}\n");
    body.extend(format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000)).bytes());
    body.extend(said("au revoir").to_string().bytes());
    let answer = post(&world, &session, "application/x-ndjson", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body["accepted"].as_array().unwrap().len(), 2);
    assert_eq!(answer.body["rejected"][1]["detail"], "the line is not UTF-8");
    assert_eq!(stored(&world).await, 2);
}

#[tokio::test]
async fn when_every_event_is_bad_the_answer_is_a_problem_with_the_list() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let answer = world.record(&session, &json!([{"event_type": "x"}, {}])).await;
    answer.is_problem(422, "event_invalid");
    assert_eq!(answer.body["rejected"].as_array().unwrap().len(), 2);
    assert_eq!(answer.body["rejected"][1]["detail"], "event_type: is required");
}

#[tokio::test]
async fn impossible_times_are_replaced_by_the_time_of_arrival() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let mut events = Vec::new();
    for at in ["1970-01-01T00:00:00Z", "2400-01-01T00:00:00Z"] {
        let mut event = said("bonjour");
        event["timestamp"] = json!(at);
        events.push(event);
    }
    events.push(said("sans heure"));
    let answer = world.record(&session, &json!(events)).await;
    let adjusted: Vec<_> = answer.body["accepted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["timestamp_adjusted"].clone())
        .collect();
    assert_eq!(
        adjusted,
        [json!(true), json!(true), json!(false)],
        "{}",
        answer.body
    );
    let codes: Vec<_> = answer.body["accepted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["code"].clone())
        .collect();
    let wrong = json!("timestamp_out_of_range");
    assert_eq!(codes, [wrong.clone(), wrong, json!(null)], "{}", answer.body);
    let sane = "select count(*) from public.conversation_events where \"timestamp\" between now() - interval '1 hour' and now() + interval '1 hour'";
    assert_eq!(world.count(sane).await, 3);
}

#[tokio::test]
async fn late_events_are_taken_for_ten_minutes_and_lose_nothing() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    world.record(&session, &said("bonjour")).await;
    world.close(&session).await;
    world.clock.advance(TimeDelta::minutes(9));
    assert_eq!(
        world.record(&session, &said("en retard")).await.status,
        StatusCode::OK
    );
    world.clock.advance(TimeDelta::minutes(2));
    world
        .record(&session, &said("trop tard"))
        .await
        .is_problem(409, "session_closed");
    assert_eq!(stored(&world).await, 2);
}

#[tokio::test]
async fn ten_megabytes_are_refused_and_the_next_request_works() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let huge = said(&"x".repeat(10 * 1024 * 1024)).to_string();
    let refused = post(&world, &session, "application/json", huge).await;
    refused.is_problem(413, "payload_too_large");
    let big = format!("{}\n", said(&"é".repeat(15_000))).repeat(200);
    assert!(big.len() > 5 * 1024 * 1024);
    let taken = post(&world, &session, "application/x-ndjson", big).await;
    assert_eq!(taken.body["accepted"].as_array().unwrap().len(), 200);
    assert_eq!(stored(&world).await, 200);
}

#[tokio::test]
async fn a_body_that_is_no_text_or_no_json_says_where() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let mut latin1 = b"{\"event_type\":\"user_transcript\",\"transcript\":\"".to_vec();
    latin1.extend(b"d\xe9j\xe0\"}");
    let refused = post(&world, &session, "application/json", latin1).await;
    refused.is_problem(400, "invalid_utf8");
    assert_eq!(refused.body["detail"], "after byte 47");
    let refused = post(&world, &session, "application/json", "[{\"event_type\":\n x").await;
    refused.is_problem(400, "invalid_json");
    assert_eq!(refused.body["detail"], "line 2, column 2: not JSON");
    post(&world, &session, "application/json", "")
        .await
        .is_problem(400, "invalid_json");
    post(&world, &session, "application/json", "[]")
        .await
        .is_problem(400, "invalid_request");
    post(&world, &session, "application/json", "7")
        .await
        .is_problem(400, "invalid_request");
    post(&world, &session, "text/csv", "a,b")
        .await
        .is_problem(415, "unsupported_media_type");
    post(&world, &session, "application/x-ndjson", "\n\n")
        .await
        .is_problem(400, "invalid_request");
    let many = format!("[{}{{}}]", "{},".repeat(5_000));
    post(&world, &session, "application/json", many)
        .await
        .is_problem(400, "invalid_request");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    post(&world, &session, "application/json", deep)
        .await
        .is_problem(422, "event_invalid");
    assert_eq!(stored(&world).await, 0);
}
