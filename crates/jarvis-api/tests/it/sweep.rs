//! Every endpoint by every persona: the answers are a committed table. Who is not of the gym finds nothing.

use crate::world::{World, answer};
use jarvis_memory::sessions::KioskIdentity;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use uuid::Uuid;

/// Endpoints that anybody may call; the table asks them as nobody.
const PUBLIC: &[&str] = &[
    "GET /healthz",
    "GET /readyz",
    "GET /api/docs",
    "GET /api/v1/openapi.json",
    "GET /auth/v1/.well-known/jwks.json",
    "POST /api/v1/kiosks/pair",
    "POST /api/v1/kiosks/token",
    "POST /api/v1/auth/sign-in",
];

/// Endpoints that need a token, in an order in which earlier ones leave the session as later ones need it.
const PROTECTED: &[&str] = &[
    "GET /api/v1/me",
    "POST /api/v1/kiosks/heartbeat",
    "GET /api/v1/sessions/{id}",
    "POST /api/v1/sessions/{id}/events",
    "GET /api/v1/sessions/{id}/recall",
    "POST /api/v1/sessions/{id}/context",
    "POST /api/v1/sessions/{id}/close",
    "POST /api/v1/sessions/{id}/reprocess",
    "GET /api/v1/members/{id}/recall",
    "POST /api/v1/members/{id}/recall",
    "GET /api/v1/members/{id}/context",
    "GET /api/v1/members/{id}/facts",
    "POST /api/v1/members/{id}/facts",
    "GET /api/v1/members/{id}/facts/history",
    "GET /api/v1/facts/review",
    "GET /api/v1/fact-proposals",
    "POST /api/v1/fact-proposals/{id}/decide",
    "PATCH /api/v1/facts/{id}",
    "POST /api/v1/facts/{id}/confirm",
    "POST /api/v1/facts/{id}/retire",
    "DELETE /api/v1/facts/{id}",
    "POST /api/v1/members/{id}/export",
    "PUT /api/v1/members/{id}/restriction",
    "DELETE /api/v1/members/{id}/restriction",
    "POST /api/v1/sessions",
];

struct Persona {
    name: &'static str,
    token: Option<String>,
}

async fn personas(world: &World) -> Vec<Persona> {
    let kiosk = |name, kiosk: &KioskIdentity| Persona {
        name,
        token: Some(world.kiosk_token(kiosk)),
    };
    let mut all = vec![
        Persona {
            name: "nobody",
            token: None,
        },
        kiosk("kiosk A", &world.kiosk_a),
        kiosk("kiosk A, other", &world.kiosk_a2),
        kiosk("kiosk A, revoked", &world.revoked_kiosk().await),
        kiosk("kiosk B", &world.kiosk_b),
    ];
    let (a, b) = (world.gym_a, world.gym_b);
    for (name, role, gyms, active) in [
        ("staff A", "gym_staff", vec![a], true),
        ("manager A", "gym_manager", vec![a], true),
        ("manager A, inactive", "gym_manager", vec![a], false),
        ("staff B", "gym_staff", vec![b], true),
        ("manager B", "gym_manager", vec![b], true),
        ("super admin", "super_admin", vec![], true),
    ] {
        let user = world
            .person(&name.replace([' ', ','], "-"), role, &gyms, active)
            .await;
        all.push(Persona {
            name,
            token: Some(world.token_of(user)),
        });
    }
    all
}

fn body_of(endpoint: &str) -> Option<Value> {
    match endpoint {
        "POST /api/v1/sessions" => Some(json!({"badge_id": "BADGE_001"})),
        "POST /api/v1/sessions/{id}/events" => Some(json!({"event_type": "user_speech_start"})),
        "POST /api/v1/sessions/{id}/context" => Some(json!({"words": "mon genou"})),
        "POST /api/v1/members/{id}/recall" => Some(json!({"q": "genou"})),
        "POST /api/v1/members/{id}/facts" => {
            Some(json!({"category": "goal", "fact_key": "lose_weight", "fact_value": {"target": 5}}))
        }
        "PATCH /api/v1/facts/{id}" => Some(json!({"fact_value": {"location": "left_knee"}})),
        "POST /api/v1/fact-proposals/{id}/decide" => Some(json!({"accept": true})),
        "POST /api/v1/kiosks/pair" => Some(json!({"code": "ABCD-EFGH", "public_key": {}})),
        "POST /api/v1/kiosks/token" => Some(json!({"assertion": "x"})),
        "POST /api/v1/auth/sign-in" => Some(json!({"email": "x@example.org", "password": "x"})),
        _ => None,
    }
}

/// The id of the injury that was told; once it is forgotten, one that nothing has.
async fn injury(world: &World) -> String {
    let id: Option<Uuid> = sqlx::query_scalar("select id from public.member_facts where category = 'injury'")
        .fetch_optional(world.db.admin_pool())
        .await
        .unwrap();
    id.unwrap_or_default().to_string()
}

async fn ask(world: &World, endpoint: &str, session: &str, persona: &Persona) -> StatusCode {
    let (method, path) = endpoint.split_once(' ').unwrap();
    let id = if path.contains("/members/") {
        world.camille.to_string()
    } else if path.contains("/facts/{id}") {
        injury(world).await
    } else if path.contains("/fact-proposals/") {
        Uuid::nil().to_string()
    } else {
        session.to_owned()
    };
    let query = if endpoint.starts_with("GET") && path.ends_with("/recall") {
        "?q=genou"
    } else {
        ""
    };
    let path = format!("{}{query}", path.replace("{id}", &id));
    let mut request = world.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
    if let Some(token) = &persona.token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body_of(endpoint) {
        request = request.json(&body);
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn every_endpoint_answers_every_persona_as_the_table_says() {
    let world = World::new().await;
    world
        .conversation(&["J'ai mal au genou droit depuis janvier"])
        .await;
    let session = world.open("BADGE_001").await.id;
    let personas = personas(&world).await;
    let mut table = String::new();
    for endpoint in PUBLIC {
        writeln!(table, "{endpoint}").unwrap();
        writeln!(
            table,
            "    {} anybody",
            ask(&world, endpoint, &session, &personas[0]).await.as_u16()
        )
        .unwrap();
    }
    for endpoint in PROTECTED {
        writeln!(table, "{endpoint}").unwrap();
        for persona in &personas {
            let status = ask(&world, endpoint, &session, persona).await;
            writeln!(table, "    {} {}", status.as_u16(), persona.name).unwrap();
            assert!(
                !status.is_server_error(),
                "{endpoint} by {}: {status}",
                persona.name
            );
            let foreign = persona.name.ends_with(" B");
            if foreign && endpoint.contains("{id}") {
                let nothing = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&status);
                assert!(nothing, "{endpoint} by {}: {status}", persona.name);
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn gym_a_replayed_with_gym_bs_token_finds_nothing_and_changes_nothing() {
    let world = World::new().await;
    let session = world
        .conversation(&["J'ai mal au genou droit depuis janvier"])
        .await;
    let manager_b = world.token_of(
        world
            .person("manager-b", "gym_manager", &[world.gym_b], true)
            .await,
    );
    let picture =
        "select md5(string_agg(s::text, '|' order by s.session_id)) from public.conversation_sessions s";
    let before: Option<String> = sqlx::query_scalar(picture)
        .fetch_one(world.db.admin_pool())
        .await
        .unwrap();
    let by_kiosk = [
        "GET /api/v1/sessions/{id}",
        "POST /api/v1/sessions/{id}/events",
        "GET /api/v1/sessions/{id}/recall",
        "POST /api/v1/sessions/{id}/context",
        "POST /api/v1/sessions/{id}/close",
    ];
    let by_manager = [
        "GET /api/v1/sessions/{id}",
        "POST /api/v1/sessions/{id}/reprocess",
        "GET /api/v1/members/{id}/recall",
        "POST /api/v1/members/{id}/recall",
        "GET /api/v1/members/{id}/context",
        "GET /api/v1/members/{id}/facts",
        "POST /api/v1/members/{id}/facts",
        "GET /api/v1/members/{id}/facts/history",
        "POST /api/v1/fact-proposals/{id}/decide",
        "PATCH /api/v1/facts/{id}",
        "POST /api/v1/facts/{id}/confirm",
        "POST /api/v1/facts/{id}/retire",
        "DELETE /api/v1/facts/{id}",
        "POST /api/v1/members/{id}/export",
        "PUT /api/v1/members/{id}/restriction",
        "DELETE /api/v1/members/{id}/restriction",
    ];
    let kiosk_b = Persona {
        name: "kiosk B",
        token: Some(world.kiosk_token(&world.kiosk_b)),
    };
    let manager_b = Persona {
        name: "manager B",
        token: Some(manager_b),
    };
    for (endpoints, persona) in [(&by_kiosk[..], &kiosk_b), (&by_manager[..], &manager_b)] {
        for endpoint in endpoints {
            assert_eq!(
                ask(&world, endpoint, &session, persona).await,
                StatusCode::NOT_FOUND,
                "{endpoint}"
            );
        }
    }
    let after: Option<String> = sqlx::query_scalar(picture)
        .fetch_one(world.db.admin_pool())
        .await
        .unwrap();
    assert_eq!(before, after);
    // The equal badge of gym B is gym B's member, with a memory of their own.
    let opened = world.open_at(&world.kiosk_b, "BADGE_001").await;
    assert_eq!(opened.body["context"]["facts"], json!([]));
    assert_ne!(opened.body["member"]["id"], world.camille.to_string());
}

#[test]
fn endpoints_of_the_document_minus_endpoints_of_the_table_are_none() {
    let document = serde_json::to_value(jarvis_api::openapi()).unwrap();
    let mut missing = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            missing.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    for tested in PUBLIC.iter().chain(PROTECTED) {
        assert!(missing.remove(*tested), "{tested} is not in the document");
    }
    let listed: BTreeSet<_> = include_str!("untested_endpoints.txt")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(missing, listed);
}

#[tokio::test]
async fn a_refused_request_of_a_kiosk_is_told_apart_from_an_unknown_session() {
    let world = World::new().await;
    let manager = world.manager_a().await;
    let open = world
        .request(Method::POST, "/api/v1/sessions")
        .bearer_auth(manager);
    answer(open.json(&json!({"badge_id": "BADGE_001"})))
        .await
        .is_problem(403, "forbidden");
}
