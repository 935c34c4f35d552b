//! Settings that are not those of every day.

use crate::library::{Library, bearer};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

#[tokio::test]
async fn the_role_is_read_where_the_path_leads() {
    let library = Library::with(|settings| settings.role_claim = "$.app.roles[1]".parse().unwrap()).await;
    let asked = async |claims| {
        let token = bearer(&claims);
        library
            .send("GET", "/rpc/who", &[("authorization", &token)], "")
            .await
            .json()["role"]
            .clone()
    };
    let roles = json!({"app": {"roles": ["anon", "authenticated"]}, "role": "service_role"});
    assert_eq!(asked(roles).await, "authenticated");
    assert_eq!(asked(json!({"role": "service_role"})).await, "anon");
}

#[tokio::test]
async fn a_page_that_is_not_named_gets_no_leave_and_others_may_send_credentials() {
    let library = Library::with(|settings| settings.cors_origins = vec!["https://my.app".to_owned()]).await;
    let ours = library
        .send("GET", "/films?select=id", &[("origin", "https://my.app")], "")
        .await;
    assert_eq!(ours.header("access-control-allow-origin"), Some("https://my.app"));
    assert_eq!(ours.header("access-control-allow-credentials"), Some("true"));
    let vary: Vec<_> = ours.headers.get_all("vary").iter().collect();
    assert!(vary.iter().any(|value| *value == "Origin"), "{vary:?}");
    let asks = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    for method in ["GET", "OPTIONS"] {
        let theirs = library.send(method, "/films?select=id", &asks, "").await;
        assert_eq!(theirs.header("access-control-allow-origin"), None, "{theirs:?}");
        assert_eq!(theirs.header("access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn a_request_is_followed_by_its_header() {
    let library = Library::with(|settings| settings.trace_header = Some("X-Request-Id".to_owned())).await;
    for path in ["/films?select=id", "/nowhere"] {
        let answer = library.send("GET", path, &[("x-request-id", "7")], "").await;
        assert_eq!(answer.header("x-request-id"), Some("7"), "{answer:?}");
    }
    assert_eq!(library.get("/films?select=id").await.header("x-request-id"), None);
}

#[tokio::test]
async fn a_function_sets_settings_and_one_that_fails_sets_none() {
    let library = Library::with(|settings| {
        settings.pre_config = Some(("library".to_owned(), "configure".to_owned()));
    })
    .await;
    let rows = async || {
        library
            .get("/films?select=id")
            .await
            .json()
            .as_array()
            .unwrap()
            .len()
    };
    // There is no such function yet.
    assert_eq!(rows().await, 3);
    library
        .sql("create function library.configure() returns void language sql as $$ select set_config('pgrst.db_max_rows', '2', true) $$")
        .await;
    library.rest.reload().await.unwrap();
    assert_eq!(rows().await, 2);
    library
        .sql("create or replace function library.configure() returns void language sql as $$ select set_config('pgrst.db_max_rows', '1', true), 1 / 0 $$; ")
        .await;
    library.rest.reload().await.unwrap();
    let answer = library.get("/films?select=id").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_statements_of_a_request_are_told_without_being_run() {
    let library = Library::open().await;
    let told = async |method: &str, path: &str, body: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::from(body.to_owned())).unwrap();
        library.rest.rehearse(request).await
    };
    let read = told("GET", "/films?id=eq.1", "").await.unwrap();
    let texts: Vec<&str> = read.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(
        (texts.len(), texts[0], texts[3]),
        (4, "BEGIN READ ONLY", "COMMIT")
    );
    assert!(texts[1].starts_with("SELECT set_config("), "{texts:?}");
    assert!(read[1].params.contains(&Some("anon".to_owned())), "{read:?}");
    assert_eq!(read[2].params, [Some("1".to_owned())]);
    let write = told("POST", "/films", r#"{"title": "new"}"#).await.unwrap();
    assert_eq!(write[0].text, "BEGIN READ WRITE");
    let refused = told("GET", "/nowhere", "").await.unwrap_err();
    assert_eq!(refused.code, "PGRST205");
    let kept = library.get("/films?select=count()").await;
    assert_eq!(kept.json(), json!([{"count": 3}]));
}
