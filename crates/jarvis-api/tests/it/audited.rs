//! Whatever endpoint tells what a member said or what is known of them leaves a line in the audit.

use crate::world::{World, answer};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const KNEE: &str = "J'ai mal au genou droit depuis janvier, plus de squats pour moi";

/// Properties of answers in which a member's words stand, or what was made of them.
const WORDS: [&str; 6] = [
    "source_quote",
    "said",
    "new_value",
    "summary_text",
    "transcript",
    "tables",
];

/// The operations of the document whose answer has a property of [`WORDS`], however deep.
fn telling() -> BTreeSet<String> {
    let document = jarvis_api::openapi();
    let document = serde_json::to_value(document).unwrap();
    let mut found = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let good = responses.iter().filter(|(status, _)| status.starts_with('2'));
            if good
                .into_iter()
                .any(|(_, response)| tells(&document, response, &mut BTreeSet::new()))
            {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

fn tells(document: &Value, schema: &Value, seen: &mut BTreeSet<String>) -> bool {
    match schema {
        Value::Object(fields) => fields.iter().any(|(name, value)| match value.as_str() {
            Some(reference) if name == "$ref" => {
                let pointer = reference.trim_start_matches('#');
                seen.insert(pointer.to_owned()) && tells(document, document.pointer(pointer).unwrap(), seen)
            }
            _ => {
                let named = name == "properties"
                    && value
                        .as_object()
                        .is_some_and(|of| WORDS.iter().any(|word| of.contains_key(*word)));
                named || tells(document, value, seen)
            }
        }),
        Value::Array(items) => items.iter().any(|item| tells(document, item, seen)),
        _ => false,
    }
}

/// What to ask of each, in this order: what changes or ends a fact comes after what reads it.
fn questions(ids: &BTreeMap<&str, String>) -> Vec<(Method, &'static str, Option<Value>)> {
    let badge = json!({"badge_id": "BADGE_001"});
    vec![
        (Method::GET, "/api/v1/members/{member}/facts", None),
        (Method::GET, "/api/v1/members/{member}/facts/history", None),
        (Method::GET, "/api/v1/members/{member}/context", None),
        (Method::GET, "/api/v1/members/{member}/recall?q=genou", None),
        (
            Method::POST,
            "/api/v1/members/{member}/recall",
            Some(json!({"q": "genou"})),
        ),
        (Method::GET, "/api/v1/sessions/{session}", None),
        (Method::GET, "/api/v1/facts/review", None),
        (Method::GET, "/api/v1/fact-proposals", None),
        (
            Method::POST,
            "/api/v1/fact-proposals/{proposal}/decide",
            Some(json!({"accept": false})),
        ),
        (
            Method::POST,
            "/api/v1/members/{member}/facts",
            Some(json!({"category": "preference", "fact_key": "music", "fact_value": {"subject": "jazz"}})),
        ),
        (
            Method::PATCH,
            "/api/v1/facts/{fact}",
            Some(json!({"fact_value": {"subject": "rock"}})),
        ),
        (Method::POST, "/api/v1/facts/{fact}/confirm", None),
        (Method::POST, "/api/v1/facts/{fact}/retire", None),
        (Method::POST, "/api/v1/members/{member}/export", None),
        (Method::POST, "/api/v1/sessions", Some(badge)),
        (
            Method::POST,
            "/api/v1/sessions/{open}/context",
            Some(json!({"words": "mon genou"})),
        ),
        (Method::GET, "/api/v1/sessions/{open}/recall?q=genou", None),
    ]
    .into_iter()
    .inspect(|(_, path, _)| {
        let named = path.split(['{', '}']).skip(1).step_by(2);
        assert!(
            named
                .into_iter()
                .all(|name| name == "open" || ids.contains_key(name)),
            "{path}"
        );
    })
    .collect()
}

/// The path as the document has it.
fn template(method: &Method, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "{id}" } else { part });
    format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
}

async fn plant_a_proposal(world: &World) -> String {
    sqlx::query_scalar(
        "insert into jarvis.fact_proposals (gym_id, member_id, first_fact, other_fact, reason)
         select gym_id, member_id, min(id::text)::uuid, max(id::text)::uuid, 'same_words'
           from public.member_facts where member_id = $1 group by gym_id, member_id returning id::text",
    )
    .bind(world.camille.as_uuid())
    .fetch_one(world.db.admin_pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn whoever_is_told_what_a_member_said_is_in_the_audit() {
    let world = World::new().await;
    let session = world
        .conversation(&[KNEE, "Je préfère m'entraîner le matin"])
        .await;
    let manager = world.manager_a().await;
    let state = |path: String, body: Value| {
        answer(
            world
                .request(Method::POST, &path)
                .bearer_auth(&manager)
                .json(&body),
        )
    };
    let unknown =
        json!({"category": "preference", "fact_key": "zzz_unknown", "fact_value": {"subject": "x"}});
    let fact = state(format!("/api/v1/members/{}/facts", world.camille), unknown).await;
    let mut ids = BTreeMap::from([
        ("member", world.camille.to_string()),
        ("session", session),
        ("fact", fact.body["fact"]["id"].as_str().unwrap().to_owned()),
        ("proposal", plant_a_proposal(&world).await),
    ]);
    let mut asked = BTreeSet::new();
    let mut entered = String::new();
    for (method, path, body) in questions(&ids) {
        let mut url = path.to_owned();
        for (name, id) in &ids {
            url = url.replace(&format!("{{{name}}}"), id);
        }
        let before = world
            .count("select coalesce(max(id), 0) from jarvis.audit_log")
            .await;
        let by_kiosk = path == "/api/v1/sessions" || path.contains("{open}");
        let request = if by_kiosk {
            world.by_kiosk(method.clone(), &url)
        } else {
            world.request(method.clone(), &url).bearer_auth(&manager)
        };
        let answered = answer(match &body {
            Some(body) => request.json(body),
            None => request,
        })
        .await;
        assert!(answered.status.is_success(), "{method} {url}: {}", answered.body);
        if path == "/api/v1/sessions" {
            ids.insert("open", answered.body["session_id"].as_str().unwrap().to_owned());
        }
        let lines: Vec<String> = sqlx::query_scalar(
            "select distinct split_part(actor, ':', 1) || ' ' || action from jarvis.audit_log
              where id > $1 and member_id = $2 order by 1",
        )
        .bind(before)
        .bind(world.camille.as_uuid())
        .fetch_all(world.db.admin_pool())
        .await
        .unwrap();
        let operation = template(&method, path);
        assert!(!lines.is_empty(), "{operation} told and left no line");
        writeln!(entered, "{operation}: {}", lines.join(", ")).unwrap();
        asked.insert(operation);
    }
    assert_eq!(asked, telling(), "an endpoint that tells must be asked here");
    insta::assert_snapshot!(entered);
}
