//! The data API inside the server: which key and which token may do what.

use crate::device::client;
use crate::gyms;
use crate::program::{Program, text};
use crate::server::Server;
use jarvis_testkit::TestDb;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A key of ours that nobody made: shaped rightly, and unknown.
const NOBODYS: &str = "sb_secret_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_00000000";

struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    fn at(server: &Server) -> Self {
        Self {
            base: format!("http://{}", server.address),
            client: client(),
        }
    }

    fn ask(&self, path: &str, key: &str, bearer: &str) -> RequestBuilder {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if !key.is_empty() {
            request = request.header("apikey", key);
        }
        if !bearer.is_empty() {
            request = request.bearer_auth(bearer);
        }
        request
    }

    async fn get(&self, path: &str, key: &str, bearer: &str) -> (StatusCode, Value) {
        answer(self.ask(path, key, bearer)).await
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("the server answers");
    let status = response.status();
    let body = response.text().await.expect("the answer is complete");
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// A token signed by nobody, and ours with another role in it.
fn forged(token: &str) -> [String; 2] {
    let mut parts = token.split('.');
    let (header, payload, signature) = (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    );
    // {"alg":"none","typ":"JWT"} and {"role":"service_role"}
    let (none, service) = (
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0",
        "eyJyb2xlIjoic2VydmljZV9yb2xlIn0",
    );
    [
        format!("{none}.{payload}."),
        format!("{header}.{service}.{signature}"),
    ]
}

#[tokio::test]
async fn a_key_or_a_token_gives_its_own_rights_and_nothing_else_gives_any() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    gyms::gym(&program, "lyon").await;
    gyms::gym(&program, "paris").await;
    gyms::member(&program, "lyon", "BADGE_001", "Sophie", gyms::EVERYTHING).await;
    gyms::member(&program, "paris", "BADGE_001", "Paul", gyms::EVERYTHING).await;
    gyms::person(&program, "claire@example.org", "gym_manager", &["lyon"]).await;
    let server = Server::serve(&program).await;
    let api = Api::at(&server);
    let keys = program.json(&["keys"]).await;
    let (anon, service) = (text(&keys, "/anon_key"), text(&keys, "/service_role_key"));
    let minted = program
        .json(&["token", "mint", "--user", "claire@example.org"])
        .await;
    let claire = text(&minted, "/access_token");
    let kiosk = gyms::kiosk(&program, &server, "lyon", "entree").await;
    let members = "/rest/v1/gym_members_v2?select=first_name&order=first_name";

    let (status, rows) = api.get(members, &anon, &claire).await;
    assert_eq!(
        (status, &rows),
        (StatusCode::OK, &json!([{"first_name": "Sophie"}]))
    );
    let (status, rows) = api.get(members, &service, &service).await;
    let all = json!([{"first_name": "Paul"}, {"first_name": "Sophie"}]);
    assert_eq!((status, &rows), (StatusCode::OK, &all));
    // A person's token decides, whatever key comes with it.
    let (_, rows) = api.get(members, &service, &claire).await;
    assert_eq!(rows, json!([{"first_name": "Sophie"}]));
    let (status, refused) = api.get(members, &anon, "").await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::UNAUTHORIZED, &json!("42501"))
    );

    let [unsigned, altered] = forged(&claire);
    let [unsigned_key, altered_key] = forged(&anon);
    let cut = &service[..service.len() - 4];
    for (key, bearer) in [
        ("", ""),
        ("nonsense", ""),
        (NOBODYS, ""),
        (cut, ""),
        (&unsigned_key, ""),
        (&altered_key, ""),
        // A person's and a kiosk's token are no keys, and a wrong key spoils a right token.
        (&claire, ""),
        (&kiosk.caller.token, ""),
        (NOBODYS, &claire),
        (&anon, "nonsense"),
        (&anon, NOBODYS),
        (&anon, cut),
        (&anon, &unsigned),
        (&anon, &altered),
        (&service, &altered),
        (&anon, &kiosk.caller.token),
        (&service, &kiosk.caller.token),
    ] {
        let (status, body) = api.get(members, key, bearer).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{key} {bearer}: {body}");
        assert!(body["message"].is_string() && body["code"].is_string(), "{body}");
    }

    let log = server.log.so_far();
    for secret in [&anon, &service, &claire, NOBODYS] {
        assert!(!log.contains(secret), "a key or a token is in the log");
    }
}

#[tokio::test]
async fn other_schemas_stay_hidden_and_pages_of_other_origins_are_told_why() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    let api = Api::at(&server);
    let keys = program.json(&["keys"]).await;
    let (anon, service) = (text(&keys, "/anon_key"), text(&keys, "/service_role_key"));
    let members = "/rest/v1/gym_members_v2?select=first_name";
    for schema in ["jarvis", "auth", "pg_catalog"] {
        let asked = api
            .ask("/rest/v1/users", &service, "")
            .header("accept-profile", schema);
        let (status, body) = answer(asked).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::NOT_ACCEPTABLE, &json!("PGRST106")),
            "{body}"
        );
    }
    let (status, body) = api.get("/storage/v1/object/x", &anon, "").await;
    assert!(
        status == StatusCode::NOT_IMPLEMENTED && body["hint"].is_string(),
        "{body}"
    );
    let preflight = api
        .client
        .request(Method::OPTIONS, format!("{}{members}", api.base))
        .header("origin", "https://app.example.org")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "apikey");
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), StatusCode::OK);
    let refused = api
        .ask(members, "", "")
        .header("origin", "https://app.example.org");
    assert_eq!(
        refused.send().await.unwrap().headers()["access-control-allow-origin"],
        "*"
    );
}

#[tokio::test]
async fn an_opaque_key_is_shown_once_and_refused_soon_after_it_is_replaced_or_revoked() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    gyms::gym(&program, "lyon").await;
    let server = Server::serve(&program).await;
    let api = Api::at(&server);
    let page = program
        .json(&["keys", "create", "--publishable", "--name", "page"])
        .await;
    let jobs = program
        .json(&["keys", "create", "--secret", "--name", "jobs"])
        .await;
    let (page, secret) = (text(&page, "/key"), text(&jobs, "/key"));
    let gyms = "/rest/v1/gyms?select=slug";

    assert_eq!(api.get(gyms, &page, "").await.1["code"], "42501");
    for (key, bearer) in [
        (secret.as_str(), ""),
        ("", &secret),
        (&secret, &secret),
        (&page, &secret),
    ] {
        let (status, rows) = api.get(gyms, key, bearer).await;
        assert_eq!((status, rows), (StatusCode::OK, json!([{"slug": "lyon"}])));
    }
    let next = program.json(&["keys", "rotate", &text(&jobs, "/id")]).await;
    assert_eq!(api.get(gyms, &text(&next, "/key"), "").await.0, StatusCode::OK);
    program.json(&["keys", "revoke", &text(&next, "/id")]).await;
    let again = program.run(&["keys", "revoke", &text(&next, "/id")]).await;
    assert_eq!(again.code, 2, "{again:?}");
    let revoked = Instant::now();
    while api.get(gyms, &secret, "").await.0 != StatusCode::UNAUTHORIZED {
        assert!(
            revoked.elapsed() < Duration::from_secs(15),
            "a replaced key still opens"
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let listed = program.run(&["keys", "list", "--json"]).await;
    assert!(
        !listed.stdout.contains(&secret) && listed.stdout.contains("jobs"),
        "{listed:?}"
    );
    let dump: i64 =
        sqlx::query_scalar("select count(*) from jarvis.api_keys k where k::text like '%' || $1 || '%'")
            .bind(&secret)
            .fetch_one(db.admin_pool())
            .await
            .unwrap();
    assert_eq!(dump, 0, "the key itself is stored");
}

#[tokio::test]
async fn vectors_leave_by_name_and_for_the_service_alone_and_a_changed_schema_is_heard_of() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    gyms::gym(&program, "lyon").await;
    let member = gyms::member(&program, "lyon", "BADGE_001", "Sophie", gyms::EVERYTHING).await;
    gyms::person(&program, "claire@example.org", "gym_manager", &["lyon"]).await;
    let server = Server::serve(&program).await;
    let api = Api::at(&server);
    let keys = program.json(&["keys"]).await;
    let (anon, service) = (text(&keys, "/anon_key"), text(&keys, "/service_role_key"));
    let minted = program
        .json(&["token", "mint", "--user", "claire@example.org"])
        .await;
    let claire = text(&minted, "/access_token");
    let url = format!("{}/rest/v1/conversation_summaries", api.base);
    let mut vector = vec![0.0; 1536];
    vector[0] = 1.0;
    let row = json!({"member_id": member, "session_id": "app-1", "summary_text": "Veut courir.", "embedding": vector});
    let made = api
        .client
        .post(url)
        .header("apikey", &service)
        .header("prefer", "return=representation");
    let (status, made) = answer(made.json(&row)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert!(
        made[0]["summary_text"] == "Veut courir." && made[0].get("embedding").is_none(),
        "{made}"
    );

    for bearer in [&claire, &service] {
        let (status, rows) = api
            .get("/rest/v1/conversation_summaries?select=*", &anon, bearer)
            .await;
        assert_eq!(status, StatusCode::OK, "{rows}");
        assert!(
            rows[0]["summary_text"] == "Veut courir." && rows[0].get("embedding").is_none(),
            "{rows}"
        );
        let through = "/rest/v1/gym_members_v2?select=first_name,conversation_summaries(*)";
        let (_, rows) = api.get(through, &anon, bearer).await;
        let inner = &rows[0]["conversation_summaries"][0];
        assert!(
            inner["summary_text"] == "Veut courir." && inner.get("embedding").is_none(),
            "{rows}"
        );
    }
    let by_name = "/rest/v1/conversation_summaries?select=embedding";
    let (status, rows) = api.get(by_name, &anon, &service).await;
    assert!(
        status == StatusCode::OK && rows[0]["embedding"].is_string(),
        "{rows}"
    );
    let (status, refused) = api.get(by_name, &anon, &claire).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::FORBIDDEN, &json!("42501"))
    );

    let (status, _) = api.get("/rest/v1/lockers", &service, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    sqlx::raw_sql(
        "create table public.lockers (id int); grant select on public.lockers to service_role;
         notify pgrst, 'reload schema'",
    )
    .execute(db.admin_pool())
    .await
    .unwrap();
    let told = Instant::now();
    while api.get("/rest/v1/lockers", &service, "").await.0 != StatusCode::OK {
        assert!(
            told.elapsed() < Duration::from_secs(10),
            "the changed schema is not heard of"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_root_describes_what_the_key_may_use() {
    let db = TestDb::new().await;
    let program = Program::on(&db);
    let server = Server::serve(&program).await;
    let api = Api::at(&server);
    let keys = program.json(&["keys"]).await;
    let (anon, service) = (text(&keys, "/anon_key"), text(&keys, "/service_role_key"));
    let (status, root) = api.get("/rest/v1/", &service, "").await;
    assert_eq!(
        (status, &root["basePath"]),
        (StatusCode::OK, &json!("/rest/v1")),
        "{root}"
    );
    let described = &root["definitions"]["conversation_summaries"]["properties"]["embedding"]["description"];
    assert!(
        described
            .as_str()
            .is_some_and(|told| told.contains("ask for it by name")),
        "{described}"
    );
    let (status, root) = api.get("/rest/v1/", &anon, "").await;
    assert_eq!(
        (status, &root["definitions"]),
        (StatusCode::OK, &json!({})),
        "{root}"
    );
}
