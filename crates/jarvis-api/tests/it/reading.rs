//! Recall and context: what is read back, and by whom.

use crate::world::{World, answer};
use jarvis_core::MemberId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const KNEE: &str = "J'ai mal au genou droit depuis janvier, plus de squats pour moi";

#[tokio::test]
async fn a_kiosk_recalls_for_the_member_in_front_of_it() {
    let world = World::new().await;
    let first = world.conversation(&[KNEE]).await;
    let session = world.open("BADGE_001").await.id;
    let ask = |query: &str| {
        answer(world.by_kiosk(Method::GET, &format!("/api/v1/sessions/{session}/recall?{query}")))
    };
    let recalled = ask("q=genou&k=3").await;
    assert_eq!(recalled.status, StatusCode::OK, "{}", recalled.body);
    assert_eq!(recalled.body["method"], "full_text");
    assert_eq!(
        recalled.body["memories"][0]["session_id"], first,
        "{}",
        recalled.body
    );
    assert_eq!(ask("q=piscine").await.body["memories"], json!([]));
    for (query, detail) in [
        ("", "q: is required"),
        ("q=", "q: 1 to 2000 characters"),
        ("q=x&k=0", "k: 1 to 50"),
        ("q=x&k=many", "k: must be a number"),
        ("q=x&threshold=2", "threshold: 0 to 1"),
        ("q=x&threshold=NaN", "threshold: 0 to 1"),
    ] {
        let refused = ask(query).await;
        refused.is_problem(400, "invalid_request");
        assert_eq!(refused.body["detail"], detail);
    }
}

#[tokio::test]
async fn a_kiosk_is_given_a_context_for_what_the_member_says() {
    let world = World::new().await;
    world
        .conversation(&[KNEE, "mon objectif c'est de perdre cinq kilos avant l'été"])
        .await;
    world
        .conversation(&["le vestiaire était sale hier soir, il n'y avait plus de savon"])
        .await;
    let session = world.open("BADGE_001").await.id;
    let path = format!("/api/v1/sessions/{session}/context");
    let ask = |body: Value| answer(world.by_kiosk(Method::POST, &path).json(&body));
    let told = ask(json!({"words": "les vestiaires sont encore sales ?"})).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    assert_eq!(told.body["facts"][0]["category"], "injury", "{}", told.body);
    assert_eq!(told.body["facts"][1]["category"], "concern", "{}", told.body);
    let memory = told.body["memories"][0]["summary"].as_str().unwrap();
    assert!(memory.contains("vestiaire"), "{}", told.body);
    assert_eq!(told.body["notes"], json!(["by_words_alone"]));
    assert_eq!(told.body["nothing_noted"], false);
    let nothing = ask(json!({"words": "et mon parapluie ?"})).await.body;
    assert_eq!(
        (&nothing["nothing_noted"], &nothing["memories"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(nothing["facts"][0]["category"], "injury", "{nothing}");
    for (body, detail) in [
        (json!({}), "words: is required"),
        (json!({"words": "\t "}), "words: 1 to 20000 characters"),
    ] {
        let refused = ask(body).await;
        refused.is_problem(400, "invalid_request");
        assert_eq!(refused.body["detail"], detail);
    }
    world.close(&session).await;
    ask(json!({"words": "encore moi"}))
        .await
        .is_problem(409, "session_closed");
}

#[tokio::test]
async fn a_manager_recalls_and_previews_a_member_of_their_gym_only() {
    let world = World::new().await;
    let first = world.conversation(&[KNEE]).await;
    let manager_a = world.manager_a().await;
    let manager_b = world.token_of(
        world
            .person("manager-b", "gym_manager", &[world.gym_b], true)
            .await,
    );
    let recall = format!("/api/v1/members/{}/recall", world.camille);
    let context = format!("/api/v1/members/{}/context", world.camille);

    let by_get = answer(
        world
            .request(Method::GET, &format!("{recall}?q=genou"))
            .bearer_auth(&manager_a),
    )
    .await;
    let asked = world
        .request(Method::POST, &recall)
        .bearer_auth(&manager_a)
        .json(&json!({"q": "genou"}));
    let by_post = answer(asked).await;
    assert_eq!(by_get.body["memories"][0]["session_id"], first, "{}", by_get.body);
    assert_eq!(by_get.body, by_post.body);
    let preview = answer(world.request(Method::GET, &context).bearer_auth(&manager_a)).await;
    assert_eq!(preview.body["facts"][0]["category"], "injury", "{}", preview.body);

    let get = |path: String, token: &str| answer(world.request(Method::GET, &path).bearer_auth(token));
    get(format!("{recall}?q=genou"), &manager_b)
        .await
        .is_problem(404, "member_not_found");
    get(context.clone(), &manager_b)
        .await
        .is_problem(404, "member_not_found");
    get(format!("/api/v1/sessions/{first}"), &manager_b)
        .await
        .is_problem(404, "session_not_found");
    for id in [
        "not-a-uuid".to_owned(),
        MemberId::from(uuid::Uuid::nil()).to_string(),
    ] {
        get(format!("/api/v1/members/{id}/context"), &manager_a)
            .await
            .is_problem(404, "member_not_found");
    }
}

#[tokio::test]
async fn staff_read_a_session_without_its_health_facts() {
    let world = World::new().await;
    let session = world
        .conversation(&[KNEE, "mon objectif c'est de perdre cinq kilos avant l'été"])
        .await;
    let staff = world.token_of(world.person("staff", "gym_staff", &[world.gym_a], true).await);
    let path = format!("/api/v1/sessions/{session}");
    let categories = |body: &Value| -> Vec<String> {
        body["facts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["category"].as_str().unwrap().to_owned())
            .collect()
    };
    let manager = world.manager_a().await;
    let seen = answer(world.request(Method::GET, &path).bearer_auth(manager))
        .await
        .body;
    assert!(categories(&seen).contains(&"injury".to_owned()), "{seen}");
    let seen = answer(world.request(Method::GET, &path).bearer_auth(&staff))
        .await
        .body;
    assert!(!categories(&seen).contains(&"injury".to_owned()), "{seen}");
    let context = format!("/api/v1/members/{}/context", world.camille);
    answer(world.request(Method::GET, &context).bearer_auth(&staff))
        .await
        .is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_manager_hands_out_everything_and_restricts_and_each_read_is_entered() {
    let world = World::new().await;
    let session = world.conversation(&[KNEE]).await;
    let manager = world.manager_a().await;
    let staff = world.token_of(world.person("staff", "gym_staff", &[world.gym_a], true).await);
    let of = |what: &str| format!("/api/v1/members/{}/{what}", world.camille);
    let ask =
        |method: Method, path: String, token: &str| answer(world.request(method, &path).bearer_auth(token));
    ask(Method::POST, of("export"), &staff)
        .await
        .is_problem(403, "forbidden");
    let exported = ask(Method::POST, of("export"), &manager).await;
    assert_eq!(exported.status, StatusCode::OK, "{}", exported.body);
    let tables = &exported.body["tables"];
    assert_eq!(
        tables["public.gym_members_v2"][0]["id"],
        world.camille.to_string()
    );
    assert!(tables["public.conversation_events"].to_string().contains("genou"));
    sqlx::raw_sql("create table public.lockers (member_id uuid)")
        .execute(world.db.admin_pool())
        .await
        .unwrap();
    ask(Method::POST, of("export"), &manager)
        .await
        .is_problem(409, "data_map_incomplete");

    for (method, restricted, changed) in [
        (Method::PUT, true, true),
        (Method::PUT, true, false),
        (Method::DELETE, false, true),
        (Method::DELETE, false, false),
    ] {
        let done = ask(method, of("restriction"), &manager).await;
        assert_eq!(done.body, json!({"restricted": restricted, "changed": changed}));
        let context = ask(Method::GET, of("context"), &manager).await;
        assert_eq!(context.body["facts"] == json!([]), restricted, "{}", context.body);
    }
    ask(Method::GET, format!("/api/v1/sessions/{session}"), &staff).await;
    let mut entered: Vec<String> = sqlx::query_scalar(
        "select distinct split_part(actor, ':', 1) || ' ' || action from jarvis.audit_log order by 1",
    )
    .fetch_all(world.db.admin_pool())
    .await
    .unwrap();
    entered.retain(|line| line.starts_with("user ") || line.starts_with("kiosk "));
    assert_eq!(
        entered,
        [
            "user context.read",
            "user member.export",
            "user restriction.delete",
            "user restriction.insert",
            "user transcript.read"
        ]
    );
}
