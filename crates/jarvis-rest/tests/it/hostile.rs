//! Requests that try to get into the statement.

use crate::library::{Library, bearer};
use jarvis_rest::request::query::escape;
use serde_json::json;

/// What breaks out of quotes, comments, casts and calls.
const ATTACKS: &[&str] = &[
    "'; drop table library.films; --",
    "\"; drop table library.films; --",
    "\"\"; delete from library.films; --",
    "id); delete from library.films; --",
    "int); delete from library.films; select (1",
    "text) from library.films; drop table library.films; --",
    "$1",
    "$$; drop table library.films; $$",
    "\\'; drop table library.films; --",
    "\u{0}",
    "films.*, (select current_user)",
    "pg_sleep(10)",
    "1 union select usename from pg_user",
    "\u{202e}\u{feff}",
    "E'\\x27'",
    "/**/",
    "*/ drop table library.films /*",
];

/// As a name or a value in quotes.
fn in_quotes(attack: &str) -> String {
    let inner = attack.replace('\\', "\\\\").replace('"', "\\\"");
    escape(&format!("\"{inner}\""))
}

#[tokio::test]
async fn no_attack_changes_a_row_or_reaches_an_internal_error() {
    let library = Library::open().await;
    for attack in ATTACKS {
        let plain = escape(attack);
        for text in [&plain, &in_quotes(attack)] {
            let paths = [
                format!("/films?select={text}"),
                format!("/films?select=id::{text}"),
                format!("/films?select=a:{text}"),
                format!("/films?select={text}:id"),
                format!("/films?select=facts-%3E{text}"),
                format!("/films?select=facts-%3E%3E{text}"),
                format!("/films?select=people!{text}(*)"),
                format!("/films?select={text}(*)"),
                format!("/films?select=people(*)&people.{text}=eq.1"),
                format!("/films?select=id.sum()::{text}"),
                format!("/films?order={text}"),
                format!("/films?order=facts-%3E{text}.desc"),
                format!("/films?order=people({text})&select=*,people(*)"),
                format!("/films?{text}=eq.1"),
                format!("/films?title=eq.{text}"),
                format!("/films?title=in.({text})"),
                format!("/films?title=fts({text}).x"),
                format!("/films?tags=cs.{{{text}}}"),
                format!("/films?or=(title.eq.{text},{text}.eq.1)"),
                format!("/films?limit={text}&offset={text}"),
                format!("/{text}?select=id"),
                format!("/rpc/{text}"),
                format!("/rpc/films_since?since={text}"),
                format!("/rpc/films_since?{text}=1"),
            ];
            for path in paths {
                let answer = library.get(&path).await;
                assert!(answer.status.as_u16() < 500, "{path}: {answer:?}");
                assert!(!answer.is_malformed(), "{path}: {answer:?}");
            }
        }
    }
    assert_eq!(
        library.get("/films?select=count()").await.json(),
        json!([{"count": 3}])
    );
}

#[tokio::test]
async fn no_attack_through_bodies_and_headers_does_either() {
    let library = Library::open().await;
    for attack in ATTACKS {
        let text = escape(attack);
        let body = json!([{"title": attack, *attack: 1}]).to_string();
        let quiet = "tx=rollback, return=representation";
        let requests = [
            ("POST", format!("/films?columns={text}"), body.clone()),
            ("POST", format!("/films?on_conflict={text}"), body.clone()),
            ("POST", "/films".to_owned(), body.clone()),
            ("POST", "/films?columns=title".to_owned(), body.clone()),
            (
                "PATCH",
                format!("/films?title=eq.{text}&{text}=eq.1"),
                body.clone(),
            ),
            ("PUT", format!("/films?id=eq.{text}"), body.clone()),
            ("DELETE", format!("/films?title=eq.{text}"), String::new()),
            (
                "POST",
                "/rpc/add".to_owned(),
                json!({"a": attack, "b": 1}).to_string(),
            ),
            ("POST", "/rpc/add".to_owned(), json!({*attack: 1}).to_string()),
        ];
        for (method, path, body) in requests {
            let answer = library.send(method, &path, &[("prefer", quiet)], &body).await;
            assert!(answer.status.as_u16() < 500, "{method} {path}: {answer:?}");
            assert!(!answer.is_malformed(), "{method} {path}: {answer:?}");
        }
        let header = attack
            .replace('\u{0}', "")
            .chars()
            .filter(char::is_ascii)
            .collect::<String>();
        for name in [
            "accept",
            "prefer",
            "range",
            "accept-profile",
            "content-type",
            "authorization",
            "cookie",
            "x-any",
        ] {
            for value in [
                header.clone(),
                format!("timezone={header}"),
                format!("application/vnd.pgrst.plan; for=\"{header}\"; options={header}"),
            ] {
                let answer = library
                    .send("GET", "/films?select=id", &[(name, &value)], "")
                    .await;
                assert!(answer.status.as_u16() < 500, "{name}: {value}: {answer:?}");
                assert!(!answer.is_malformed(), "{name}: {value}: {answer:?}");
            }
        }
    }
    assert_eq!(
        library.get("/films?select=count()").await.json(),
        json!([{"count": 3}])
    );
}

#[tokio::test]
async fn no_attack_through_claims_profiles_and_what_is_embedded_does_either() {
    let library = Library::with(|settings| settings.schemas.push("public".to_owned())).await;
    for attack in ATTACKS {
        let tokens = [
            bearer(&json!({"role": attack})),
            bearer(&json!({"role": "authenticated", "sub": attack, *attack: attack})),
        ];
        for token in &tokens {
            for path in ["/", "/films?select=id", "/rpc/who", "/diary"] {
                let answer = library.send("GET", path, &[("authorization", token)], "").await;
                assert!(answer.status.as_u16() < 500, "{path}: {attack}: {answer:?}");
                assert!(!answer.is_malformed(), "{path}: {attack}: {answer:?}");
            }
        }
        let header: String = attack.chars().filter(char::is_ascii_graphic).collect();
        let name: String = attack.chars().filter(char::is_ascii_alphanumeric).collect();
        for text in [escape(attack), in_quotes(attack)] {
            let requests = [
                ("GET", "/".to_owned(), "accept-profile"),
                ("HEAD", "/".to_owned(), "accept"),
                ("POST", "/films".to_owned(), "content-profile"),
                ("DELETE", "/films?id=eq.0".to_owned(), "content-profile"),
                ("OPTIONS", format!("/{text}"), "origin"),
                ("OPTIONS", "/films".to_owned(), "access-control-request-headers"),
                ("HEAD", format!("/films?select=*,people!{text}(*)"), "prefer"),
                (
                    "GET",
                    format!("/films?select=*,people(*)&people.or=(name.eq.{text},{text}.eq.1)"),
                    "accept",
                ),
                (
                    "GET",
                    format!("/films?select=*,people(*)&people.order={text}"),
                    "accept",
                ),
                (
                    "GET",
                    format!("/films?select=*,people(*)&people.limit={text}"),
                    "accept",
                ),
                (
                    "GET",
                    format!("/films?select=*,people(name::{text},...{text}(*))"),
                    "accept",
                ),
                (
                    "GET",
                    format!("/films?select=facts-%3Elength-%3E{text}::{text}"),
                    "accept",
                ),
                (
                    "GET",
                    format!("/films?order=facts-%3Elength-%3E%3E{text}.{text}"),
                    "range-unit",
                ),
                ("PATCH", format!("/films?id=eq.0&order={text}&limit=1"), "prefer"),
                (
                    "POST",
                    format!("/films?columns=title,{text}&on_conflict=id,{text}"),
                    "prefer",
                ),
            ];
            for (method, path, with) in requests {
                let body = json!({"title": attack}).to_string();
                let mut headers = vec![(with, header.as_str())];
                if !name.is_empty() {
                    headers.push((name.as_str(), header.as_str()));
                }
                // Nothing is kept, unless the attack stands where this wish would.
                if with != "prefer" {
                    headers.push(("prefer", "tx=rollback"));
                }
                let answer = library.send(method, &path, &headers, &body).await;
                assert!(answer.status.as_u16() < 500, "{method} {path}: {answer:?}");
                assert!(!answer.is_malformed(), "{method} {path}: {answer:?}");
            }
        }
    }
    assert_eq!(
        library.get("/films?select=count()").await.json(),
        json!([{"count": 3}])
    );
}

/// A table, a column, a function and its argument under the name of each attack that can be one; the names.
async fn named_after_attacks(library: &Library) -> Vec<&'static str> {
    let names: Vec<&'static str> = ATTACKS
        .iter()
        .copied()
        .filter(|attack| !attack.contains('\u{0}') && attack.len() <= 60)
        .collect();
    for name in &names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        library
            .sql(&format!(
                "create table library.{quoted} (id integer primary key, {quoted} text);
                 insert into library.{quoted} values (1, 'kept'), (2, 'other');
                 grant select, insert, update, delete on library.{quoted} to anon;
                 create function library.{quoted}({quoted} text) returns text language sql immutable
                   as $body$ select {quoted} $body$"
            ))
            .await;
    }
    library.rest.reload().await.unwrap();
    names
}

/// Elsewhere an attack names nothing, and is refused before a statement is made. Here each is the name of a table, a column, an
/// argument and a function, so that it stands in the statement itself.
#[tokio::test]
async fn names_that_are_attacks_are_served_as_any_other() {
    let library = Library::open().await;
    let names = named_after_attacks(&library).await;
    for name in &names {
        let (table, column) = (escape(name), in_quotes(name));
        let expect = async |method: &str, path: String, body: serde_json::Value, told: serde_json::Value| {
            let wishes = [("prefer", "return=representation")];
            let answer = library.send(method, &path, &wishes, &body.to_string()).await;
            assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
            assert_eq!(answer.json(), told, "{method} {path}");
        };
        let none = json!({});
        let kept = json!([{*name: "kept"}]);
        expect(
            "GET",
            format!("/{table}?select={column}&{column}=eq.kept"),
            none.clone(),
            kept.clone(),
        )
        .await;
        let ordered = format!("/{table}?select={column}&order={column}.asc&limit=1");
        expect("GET", ordered, none.clone(), kept.clone()).await;
        let either = format!("/{table}?select={column}&or=({column}.eq.kept,{column}.is.null)");
        expect("GET", either, none.clone(), kept).await;
        let renamed = format!("/{table}?select={column}:id&id=eq.1");
        expect("GET", renamed, none.clone(), json!([{*name: 1}])).await;
        let new = json!([{"id": 3, *name: name}]);
        expect("POST", format!("/{table}?columns=id,{column}"), new.clone(), new).await;
        let said = json!([{"id": 3, *name: name}]);
        for among in [format!("eq.{}", escape(name)), format!("in.({column},nobody)")] {
            expect(
                "GET",
                format!("/{table}?{column}={among}"),
                none.clone(),
                said.clone(),
            )
            .await;
        }
        let again = json!([{"id": 3, *name: "again"}]);
        let merged = format!("/{table}?on_conflict=id&select=id,{column}");
        let wishes = [("prefer", "return=representation, resolution=merge-duplicates")];
        let answer = library.send("POST", &merged, &wishes, &again.to_string()).await;
        assert_eq!(answer.json(), again, "{merged}");
        let changed = json!([{"id": 3, *name: "changed"}]);
        expect(
            "PATCH",
            format!("/{table}?{column}=eq.again"),
            json!({*name: "changed"}),
            changed.clone(),
        )
        .await;
        expect("DELETE", format!("/{table}?{column}=eq.changed"), none, changed).await;
        let call = library
            .send(
                "POST",
                &format!("/rpc/{table}"),
                &[],
                &json!({*name: "said"}).to_string(),
            )
            .await;
        assert_eq!(
            (call.status.as_u16(), call.json()),
            (200, json!("said")),
            "/rpc/{table}"
        );
    }
    assert_eq!(
        library.get("/films?select=count()").await.json(),
        json!([{"count": 3}])
    );
}
