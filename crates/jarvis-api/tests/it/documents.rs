//! The probes, the documents, and what every answer has in common.

use crate::world::{World, answer};
use jarvis_core::Language;
use reqwest::Method;
use serde_json::json;
use std::path::PathBuf;

#[test]
fn the_committed_openapi_document_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let current = jarvis_api::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("JARVIS_UPDATE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "docs/openapi.json is not current; write it with JARVIS_UPDATE=1 cargo nextest run -p jarvis-api openapi"
    );
}

#[test]
fn the_committed_pages_about_limits_are_current() {
    for (name, language) in [("limits.md", Language::En), ("limits.fr.md", Language::Fr)] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs")
            .join(name);
        let current = jarvis_api::allowance::limits_page(language);
        if std::env::var_os("JARVIS_UPDATE").is_some() {
            std::fs::write(&path, &current).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            current,
            "docs/{name} is not current; write it with JARVIS_UPDATE=1 cargo nextest run -p jarvis-api documents"
        );
    }
}

#[tokio::test]
async fn the_documents_are_served() {
    let world = World::new().await;
    let document = answer(world.request(Method::GET, "/api/v1/openapi.json")).await;
    assert_eq!(
        document.body,
        serde_json::to_value(jarvis_api::openapi()).unwrap()
    );
    for (language, word) in [("fr", "Que faire"), ("en", "What to do")] {
        let request = world
            .request(Method::GET, "/api/docs")
            .header("accept-language", language);
        let response = request.send().await.unwrap();
        assert!(
            response.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
        assert_eq!(response.headers()["content-language"], language);
        assert!(response.text().await.unwrap().contains(word));
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_in_the_callers_language() {
    let world = World::new().await;
    for path in ["/nothing", "/api/v1", "/api/v1/nothing", "/api/v1/sessions/x/y/z"] {
        answer(world.request(Method::GET, path))
            .await
            .is_problem(404, "not_found");
    }
    let wrong = answer(
        world
            .request(Method::DELETE, "/api/v1/sessions")
            .header("accept-language", "en"),
    )
    .await;
    wrong.is_problem(405, "method_not_allowed");
    assert_eq!(wrong.body["title"], "This method is not allowed here.");
    assert_eq!(wrong.headers["allow"], "POST");
    assert_eq!(wrong.headers["content-language"], "en");
    let french = answer(world.request(Method::DELETE, "/api/v1/sessions")).await;
    assert_eq!(french.body["title"], "Cette méthode n'est pas permise ici.");
}

#[tokio::test]
async fn every_answer_has_an_id_and_is_safe_for_browsers() {
    let world = World::new().await;
    let own = answer(world.request(Method::GET, "/healthz")).await;
    assert!(
        own.headers["x-request-id"]
            .to_str()
            .unwrap()
            .parse::<uuid::Uuid>()
            .is_ok()
    );
    let given = answer(
        world
            .request(Method::GET, "/nothing")
            .header("x-request-id", "trace-7"),
    )
    .await;
    assert_eq!(
        (&given.headers["x-request-id"], &given.body["request_id"]),
        (&"trace-7".parse().unwrap(), &json!("trace-7"))
    );
    for answer in [own, given] {
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    }
}
