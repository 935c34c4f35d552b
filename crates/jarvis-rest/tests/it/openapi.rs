//! What the root tells of the schema.

use crate::library::{Answer, Library, bearer, person};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use jarvis_rest::OpenApiMode;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const COMMENTS: &str = r"
comment on schema library is E'The library\n\nFilms and those who made them';
comment on table library.films is E'Films\n\nAll of them';
comment on column library.films.title is 'As on the poster';
comment on column library.films.id is 'A number';
comment on function library.add(int, int) is E'Adds\nTwo numbers';
create type library.mood as enum ('gay', 'grave');
create table library.shelf (
  code varchar(7) default 'A1', mood library.mood not null default 'gay', size numeric default 1.5, sold boolean default false,
  made date default '1900-01-01', names text[], notes json, home library.mood[], primary key (code));
create function library.many(variadic words text[]) returns text language sql immutable as $$ select words[1] $$;
create function library.hidden() returns int language sql immutable as $$ select 1 $$;
revoke all on function library.hidden() from public;
grant select on library.shelf to anon;
create table library.vault (id int);
";

impl Library {
    async fn commented() -> Self {
        let library = Self::open().await;
        library.sql(COMMENTS).await;
        library.rest.reload().await.unwrap();
        library
    }

    async fn root(&self, headers: &[(&str, &str)]) -> Value {
        let answer: Answer = self.send("GET", "/", headers, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/openapi+json; charset=utf-8")
        );
        answer.json()
    }
}

#[tokio::test]
async fn the_root_describes_tables_with_their_comments_keys_and_defaults() {
    let root = Library::commented().await.root(&[]).await;
    assert_eq!(root["swagger"], "2.0");
    assert_eq!(root["info"]["title"], "The library");
    assert_eq!(root["info"]["description"], "Films and those who made them");
    let films = &root["definitions"]["films"];
    assert_eq!(films["required"], json!(["id", "title", "tags"]));
    assert_eq!(
        films["properties"]["id"],
        json!({"type": "integer", "format": "integer", "description": "A number\n\nNote:\nThis is a Primary Key.<pk/>"})
    );
    assert_eq!(
        films["properties"]["director"],
        json!({"type": "integer", "format": "integer",
            "description": "Note:\nThis is a Foreign Key to `people.id`.<fk table='people' column='id'/>"})
    );
    assert_eq!(
        films["properties"]["title"],
        json!({"type": "string", "format": "text", "description": "As on the poster"})
    );
    assert_eq!(films["properties"]["facts"], json!({"format": "jsonb"}));
    let likeness = films["properties"]["likeness"]["description"].as_str().unwrap();
    assert!(likeness.contains("ask for it by name"), "{likeness}");
    assert_eq!(
        root["definitions"]["shelf"]["properties"],
        json!({
            "code": {"type": "string", "format": "character varying", "maxLength": 7, "default": "A1",
                "description": "Note:\nThis is a Primary Key.<pk/>"},
            "mood": {"type": "string", "format": "library.mood", "enum": ["gay", "grave"], "default": "gay"},
            "size": {"type": "number", "format": "numeric", "default": 1.5},
            "sold": {"type": "boolean", "format": "boolean", "default": false},
            "made": {"type": "string", "format": "date", "default": "1900-01-01"},
            "names": {"type": "array", "format": "text[]", "items": {"type": "string"}},
            "notes": {"format": "json"},
            "home": {"type": "array", "format": "library.mood[]", "items": {"type": "string"}},
        })
    );
}

#[tokio::test]
async fn paths_say_what_may_be_done_and_every_reference_leads_somewhere() {
    let root = Library::commented().await.root(&[]).await;
    let films = &root["paths"]["/films"];
    assert_eq!(films["get"]["summary"], "Films");
    assert_eq!(films["get"]["description"], "All of them");
    assert_eq!(
        films["get"]["responses"]["200"]["schema"],
        json!({"type": "array", "items": {"$ref": "#/definitions/films"}})
    );
    assert_eq!(
        films["post"]["parameters"],
        json!([{"$ref": "#/parameters/body.films"}, {"$ref": "#/parameters/select"}, {"$ref": "#/parameters/preferPost"}])
    );
    assert!(films["patch"].is_object() && films["delete"].is_object());
    assert!(root["paths"]["/"]["get"].is_object());
    assert!(root["parameters"]["preferParams"].get("enum").is_none());
    let mut references = Vec::new();
    collect(&root, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        assert!(root.pointer(&reference[1..]).is_some(), "{reference}");
    }
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.push(reference.clone());
            }
            members.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn functions_are_called_by_get_unless_they_may_write() {
    let root = Library::commented().await.root(&[]).await;
    let paths = &root["paths"];
    let add = &paths["/rpc/add"];
    assert_eq!(add["get"]["summary"], "Adds");
    assert_eq!(add["get"]["description"], "Two numbers");
    assert_eq!(
        add["get"]["parameters"],
        json!([
            {"name": "a", "in": "query", "required": true, "type": "integer", "format": "integer"},
            {"name": "b", "in": "query", "required": true, "type": "integer", "format": "integer"},
        ])
    );
    let posted = &paths["/rpc/films_since"]["post"]["parameters"];
    assert_eq!(posted[0]["name"], "args");
    assert_eq!(posted[0]["schema"]["required"], json!(["since"]));
    assert_eq!(
        posted[0]["schema"]["properties"]["most"],
        json!({"type": "integer", "format": "integer"})
    );
    assert_eq!(posted[1], json!({"$ref": "#/parameters/preferParams"}));
    assert_eq!(
        paths["/rpc/many"]["get"]["parameters"],
        json!([{"name": "words", "in": "query", "required": true, "type": "array", "collectionFormat": "multi",
            "items": {"type": "string", "format": "text"}}])
    );
    assert!(paths["/rpc/rename"].get("get").is_none());
    assert!(paths["/rpc/rename"]["post"].is_object());
}

#[tokio::test]
async fn a_role_sees_what_it_may_use_unless_everything_is_shown() {
    let library = Library::commented().await;
    let names =
        |root: &Value| -> Vec<String> { root["paths"].as_object().unwrap().keys().cloned().collect() };
    let anonymous = names(&library.root(&[]).await);
    let signed_in = names(&library.root(&[("authorization", &person("agnès"))]).await);
    let has = |all: &[String], name: &str| all.iter().any(|known| known == name);
    assert!(
        has(&anonymous, "/films") && !has(&anonymous, "/diary"),
        "{anonymous:?}"
    );
    assert!(
        has(&signed_in, "/diary") && !has(&signed_in, "/vault"),
        "{signed_in:?}"
    );
    assert!(!has(&signed_in, "/rpc/hidden"), "{signed_in:?}");
    let open = Library::with(|settings| settings.openapi_mode = OpenApiMode::IgnorePrivileges).await;
    open.sql(COMMENTS).await;
    open.rest.reload().await.unwrap();
    let everything = names(&open.root(&[]).await);
    assert!(has(&everything, "/diary") && has(&everything, "/vault") && has(&everything, "/rpc/hidden"));
    let closed = Library::with(|settings| settings.openapi_mode = OpenApiMode::Disabled).await;
    let refused = closed.get("/").await;
    let disabled = json!({"code": "PGRST126", "message": "Root endpoint metadata is disabled", "details": null, "hint": null});
    assert_eq!(
        (refused.status, refused.json()),
        (StatusCode::NOT_FOUND, disabled)
    );
    // A role that the login may not become learns nothing.
    let stranger = bearer(&json!({"role": "nobody_knows_it"}));
    let stranger = library
        .send("GET", "/", &[("authorization", &stranger)], "")
        .await;
    assert!(stranger.status.is_client_error(), "{stranger:?}");
}

#[tokio::test]
async fn head_accept_and_profile_are_heeded() {
    let library = Library::with(|settings| {
        settings.schemas.push("public".to_owned());
        settings.openapi_security = true;
        settings.openapi_proxy = Some("https://films.example/openapi".parse().unwrap());
    })
    .await;
    let head = library
        .send("HEAD", "/", &[("accept", "application/openapi+json")], "")
        .await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(head.header("content-length"), None);
    assert_eq!(head.header("content-profile"), Some("library"));
    let root = library.root(&[("accept", "application/json")]).await;
    assert_eq!(root["host"], "films.example:443");
    assert_eq!(root["schemes"], json!(["https"]));
    assert_eq!(root["basePath"], "/openapi");
    assert_eq!(root["security"], json!([{"JWT": []}]));
    let other = library.root(&[("accept-profile", "public")]).await;
    assert!(other["paths"].get("/films").is_none(), "{other}");
    let media = library.send("GET", "/", &[("accept", "text/csv")], "").await;
    assert_eq!(
        (media.status, media.code().as_str()),
        (StatusCode::NOT_ACCEPTABLE, "PGRST107")
    );
}

#[tokio::test]
async fn the_base_path_is_where_it_was_asked() {
    let library = Library::open().await;
    for asked in ["/rest/v1/", "/rest/v1"] {
        let request = Request::get(asked).body(Body::empty()).unwrap();
        let response = library.rest.router_at("/rest/v1").oneshot(request).await.unwrap();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let root: Value = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{asked}: {error}"));
        assert_eq!(root["basePath"], "/rest/v1");
    }
}
