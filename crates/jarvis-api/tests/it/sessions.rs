//! Sessions are opened, closed, and made into memory.

use crate::world::{EVERYTHING, World, answer};
use jarvis_core::Purpose;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn what_was_said_is_in_the_context_of_the_next_session() {
    let world = World::new().await;
    let first = world.open("badge_001 ").await;
    assert_eq!(first.body["member"]["first_name"], "Camille");
    assert_eq!(first.body["consents"].as_array().unwrap().len(), 5);
    assert_eq!(first.body["context"]["facts"], json!([]));
    let said = json!([
        {"event_type": "user_transcript", "transcript": "J'ai mal au genou droit depuis janvier, plus de squats pour moi"},
        {"event_type": "ai_transcript", "transcript": "C'est noté."},
        {"event_type": "user_transcript", "transcript": "mon objectif c'est de perdre cinq kilos avant l'été"},
    ]);
    let recorded = world.record(&first.id, &said).await;
    assert_eq!(
        recorded.body["accepted"].as_array().unwrap().len(),
        3,
        "{}",
        recorded.body
    );
    assert_eq!(
        world.close(&first.id).await.body,
        json!({"state": "closing", "already_closed": false})
    );
    world.process(&first.id).await;

    let path = format!("/api/v1/sessions/{}", first.id);
    let session = answer(world.by_kiosk(Method::GET, &path)).await.body;
    assert_eq!(session["state"], "processed", "{session}");
    assert_eq!(
        session["events"],
        json!({"events": 3, "user_turns": 2, "assistant_turns": 1, "without_text": 0})
    );
    assert!(session["summary"]["summary_text"].is_string(), "{session}");

    let second = world.open("BADGE_001").await;
    let facts = second.body["context"]["facts"].as_array().unwrap();
    let categories: Vec<_> = facts.iter().map(|f| f["category"].as_str().unwrap()).collect();
    assert_eq!(categories.first(), Some(&"injury"), "{facts:?}");
    assert!(categories.contains(&"goal"), "{facts:?}");
    assert!(
        second.body["context"]["prompt"]
            .as_str()
            .unwrap()
            .contains("genou")
    );
    assert_eq!(second.body["context"]["memories"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn opening_answers_with_the_sessions_address() {
    let world = World::new().await;
    let request = world.by_kiosk(Method::POST, "/api/v1/sessions");
    let opened =
        answer(request.json(&json!({"badge_id": "BADGE_001", "language": "en-GB", "channel": "voice"})))
            .await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
    let location = opened.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(
        location,
        format!("/api/v1/sessions/{}", opened.body["session_id"].as_str().unwrap())
    );
    let session = answer(world.by_kiosk(Method::GET, &location)).await.body;
    assert_eq!(
        (&session["channel"], &session["language"]),
        (&json!("voice"), &json!("en"))
    );
    assert_eq!(session["state"], "open");
}

#[tokio::test]
async fn unknown_and_inactive_badges_get_the_same_answer_byte_for_byte() {
    let world = World::new().await;
    world
        .db
        .seed_member(world.gym_a, "INACTIVE", "Paul", &EVERYTHING)
        .await;
    world
        .db
        .seed_member(world.gym_a, "BARRED", "Luc", &EVERYTHING)
        .await;
    world
        .db
        .seed_member(world.gym_b, "NEIGHBOUR", "Zoé", &EVERYTHING)
        .await;
    for sql in [
        "update public.gym_members_v2 set is_active = false where badge_id = 'INACTIVE'",
        "update public.gym_members_v2 set can_use_jarvis = false where badge_id = 'BARRED'",
    ] {
        sqlx::query(sql).execute(world.db.admin_pool()).await.unwrap();
    }
    let mut answers = Vec::new();
    for badge in ["NOBODY", "INACTIVE", "BARRED", "NEIGHBOUR"] {
        let request = world
            .by_kiosk(Method::POST, "/api/v1/sessions")
            .header("x-request-id", "same");
        let response = request.json(&json!({"badge_id": badge})).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let mut headers = response.headers().clone();
        headers.remove("date");
        answers.push((format!("{headers:?}"), response.text().await.unwrap()));
    }
    assert!(answers[0].1.contains("badge_unknown"));
    assert!(answers.iter().all(|a| *a == answers[0]), "{answers:#?}");
    assert_eq!(
        world
            .count("select count(*) from public.conversation_sessions")
            .await,
        0
    );
}

#[tokio::test]
async fn a_voice_session_needs_consent_and_a_text_session_does_not() {
    let world = World::new().await;
    world
        .db
        .seed_member(world.gym_a, "SILENT", "Paul", &[Purpose::Memory])
        .await;
    let open = |channel| {
        let request = world.by_kiosk(Method::POST, "/api/v1/sessions");
        answer(request.json(&json!({"badge_id": "SILENT", "channel": channel})))
    };
    let refused = open("voice").await;
    refused.is_problem(403, "consent_required");
    assert_eq!(refused.body["detail"], "voice");
    assert_eq!(open("text").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_badge_that_is_none_is_told_what_a_badge_is() {
    let world = World::new().await;
    for (body, detail) in [
        (json!({}), "badge_id: is required"),
        (json!({"badge_id": 12}), "badge_id: must be text"),
        (json!({"badge_id": "  "}), "badge_id: 1 to 128 characters"),
        (
            json!({"badge_id": "x".repeat(129)}),
            "badge_id: 1 to 128 characters",
        ),
        (
            json!({"badge_id": "x", "channel": "external"}),
            "channel: a kiosk opens voice or text",
        ),
        (
            json!({"badge_id": "x", "language": "xx"}),
            "language: a language is one of fr, en, es, de, it",
        ),
        (
            json!({"badge_id": "x", "badge": "y"}),
            "unknown field; the fields are badge_id, language, channel",
        ),
        (json!("BADGE_001"), "must be a JSON object"),
    ] {
        let refused = answer(world.by_kiosk(Method::POST, "/api/v1/sessions").json(&body)).await;
        refused.is_problem(400, "invalid_request");
        assert_eq!(refused.body["detail"], detail);
    }
}

#[tokio::test]
async fn another_badge_at_the_same_kiosk_ends_the_session_before() {
    let world = World::new().await;
    world
        .db
        .seed_member(world.gym_a, "OTHER", "Paul", &EVERYTHING)
        .await;
    let first = world.open("BADGE_001").await.id;
    world.open("OTHER").await;
    let session = answer(world.by_kiosk(Method::GET, &format!("/api/v1/sessions/{first}")))
        .await
        .body;
    assert_eq!(
        (&session["state"], &session["end_reason"]),
        (&json!("closing"), &json!("badge_change"))
    );
}

#[tokio::test]
async fn closing_needs_nothing_and_closing_again_says_so() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let path = format!("/api/v1/sessions/{session}/close");
    let bad = answer(
        world
            .by_kiosk(Method::POST, &path)
            .json(&json!({"reason": "bored"})),
    )
    .await;
    bad.is_problem(400, "invalid_request");
    let text = world
        .by_kiosk(Method::POST, &path)
        .header("content-type", "text/plain")
        .body("goodbye");
    answer(text).await.is_problem(415, "unsupported_media_type");
    let first = answer(
        world
            .by_kiosk(Method::POST, &path)
            .json(&json!({"reason": "goodbye"})),
    )
    .await;
    assert_eq!(
        (first.status, &first.body["already_closed"]),
        (StatusCode::OK, &json!(false))
    );
    let second = answer(
        world
            .by_kiosk(Method::POST, &path)
            .header("content-type", "text/plain")
            .body(""),
    )
    .await;
    assert_eq!(second.body, json!({"state": "closing", "already_closed": true}));
    let session = answer(world.by_kiosk(Method::GET, &format!("/api/v1/sessions/{session}")))
        .await
        .body;
    assert_eq!(session["end_reason"], "goodbye");
    let jobs = world
        .count("select count(*) from jarvis.jobs where kind = 'memory.process_session'")
        .await;
    assert_eq!(jobs, 1, "processed once");
}

#[tokio::test]
async fn a_session_of_another_kiosk_does_not_exist() {
    let world = World::new().await;
    let session = world.open_at(&world.kiosk_a2, "BADGE_001").await.id;
    let event = json!({"event_type": "user_transcript", "transcript": "bonjour"});
    world
        .record(&session, &event)
        .await
        .is_problem(404, "session_not_found");
    world.close(&session).await.is_problem(404, "session_not_found");
    let get = |path: String| answer(world.by_kiosk(Method::GET, &path));
    get(format!("/api/v1/sessions/{session}"))
        .await
        .is_problem(404, "session_not_found");
    get(format!("/api/v1/sessions/{session}/recall?q=genou"))
        .await
        .is_problem(404, "session_not_found");
    let context = world.by_kiosk(Method::POST, &format!("/api/v1/sessions/{session}/context"));
    answer(context.json(&json!({"words": "genou"})))
        .await
        .is_problem(404, "session_not_found");
    for id in ["unknown", "%00", "%20", "%ff", &"x".repeat(200)] {
        get(format!("/api/v1/sessions/{id}"))
            .await
            .is_problem(404, "session_not_found");
    }
    assert_eq!(
        world
            .count("select count(*) from public.conversation_events")
            .await,
        0
    );
}

#[tokio::test]
async fn a_manager_reprocesses_an_ended_session_and_staff_do_not() {
    let world = World::new().await;
    let manager = world.manager_a().await;
    let staff = world.token_of(world.person("staff", "gym_staff", &[world.gym_a], true).await);
    let session = world.open("BADGE_001").await.id;
    let path = format!("/api/v1/sessions/{session}/reprocess");
    let again = |token: String| answer(world.request(Method::POST, &path).bearer_auth(token));
    again(manager.clone()).await.is_problem(409, "session_open");
    world
        .record(
            &session,
            &json!({"event_type": "user_transcript", "transcript": "mon objectif c'est de courir"}),
        )
        .await;
    world.close(&session).await;
    world.process(&session).await;
    again(staff).await.is_problem(403, "forbidden");
    again(world.kiosk_token(&world.kiosk_a))
        .await
        .is_problem(403, "forbidden");
    let accepted = again(manager.clone()).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    assert_eq!(accepted.body["state"], "closing");
    world.process(&session).await;
    let shown = world
        .request(Method::GET, &format!("/api/v1/sessions/{session}"))
        .bearer_auth(manager);
    let shown = answer(shown).await.body;
    assert_eq!(shown["state"], "processed", "{shown}");
    assert_eq!(
        world
            .count("select count(*) from public.conversation_summaries")
            .await,
        1
    );
}

#[tokio::test]
async fn without_health_memory_the_session_says_what_was_withheld() {
    let world = World::new().await;
    world
        .db
        .seed_member(world.gym_a, "PRIVATE", "Paul", &[Purpose::Memory, Purpose::Voice])
        .await;
    let session = world.open("PRIVATE").await;
    assert_eq!(
        session.body["context"]["notes"],
        json!(["no_health_memory_consent"])
    );
    let said =
        json!({"event_type": "user_transcript", "transcript": "J'ai mal au genou droit depuis janvier"});
    let recorded = world.record(&session.id, &said).await;
    assert!(
        recorded.body["withheld_health_spans"].as_u64().unwrap() >= 1,
        "{}",
        recorded.body
    );
    world.close(&session.id).await;
    world.process(&session.id).await;
    let shown: Value = answer(world.by_kiosk(Method::GET, &format!("/api/v1/sessions/{}", session.id)))
        .await
        .body;
    assert!(shown["withheld_health_spans"].as_i64().unwrap() >= 1, "{shown}");
    assert!(!shown.to_string().contains("genou"), "{shown}");
}
