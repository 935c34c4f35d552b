//! Who asks, and that nothing of it is left for the next.

use crate::library::{Library, bearer, person};
use axum::http::StatusCode;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_person_sees_their_own_rows_and_nobody_elses() {
    let library = Library::open().await;
    let (anna, ben) = (person("anna"), person("ben"));
    for (token, entry) in [(&anna, "mine"), (&ben, "other")] {
        let body = json!({ "entry": entry }).to_string();
        let made = library
            .send("POST", "/diary", &[("authorization", token)], &body)
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    }
    let seen = library
        .send("GET", "/diary?select=entry", &[("authorization", &anna)], "")
        .await;
    assert_eq!(seen.json(), json!([{"entry": "mine"}]));
    let nobody = library.get("/diary").await;
    assert_eq!(
        (nobody.status, nobody.code().as_str()),
        (StatusCode::UNAUTHORIZED, "42501")
    );
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn role_and_claims_never_reach_the_next_request() {
    let library = Arc::new(Library::open().await);
    let tasks = (0..200).map(|number: usize| {
        let library = Arc::clone(&library);
        tokio::spawn(async move {
            if number.is_multiple_of(3) {
                let answer = library.get("/rpc/who").await.json();
                assert_eq!(
                    answer,
                    json!({"role": "anon", "claims": {"role": "anon"}, "method": "GET"})
                );
                return;
            }
            let name = format!("person-{number}");
            let answer = library
                .send("POST", "/rpc/who", &[("authorization", &person(&name))], "{}")
                .await
                .json();
            assert_eq!(answer["role"], "authenticated");
            assert_eq!(answer["claims"]["sub"], name);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_pool_whose_connections_are_all_cut_recovers_by_itself() {
    let library = Library::open().await;
    for _ in 0..3 {
        let asked: Vec<_> = (0..8).map(|_| library.get("/films?select=id")).collect();
        for one in asked {
            assert_eq!(one.await.status, StatusCode::OK);
        }
        library
            .sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
            .await;
        let after = library.get("/films?select=id&id=eq.1").await;
        assert_eq!(
            (after.status, after.json()),
            (StatusCode::OK, json!([{"id": 1}])),
            "{after:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_forged_expired_or_for_others_is_refused() {
    let library = Library::with(|settings| settings.jwt_audience = Some("films".to_owned())).await;
    let good = bearer(&json!({"role": "authenticated", "sub": "a", "aud": ["films", "books"]}));
    let refused = [
        ("Bearer ".to_owned(), "PGRST301"),
        ("Bearer x.y".to_owned(), "PGRST301"),
        (format!("{good}x"), "PGRST301"),
        // {"alg":"none"}
        (
            "Bearer eyJhbGciOiJub25lIn0.eyJyb2xlIjoicG9zdGdyZXMifQ.".to_owned(),
            "PGRST301",
        ),
        (bearer(&json!({"role": "authenticated", "exp": 1})), "PGRST303"),
        (
            bearer(&json!({"role": "authenticated", "nbf": 99_999_999_999_i64})),
            "PGRST303",
        ),
        (
            bearer(&json!({"role": "authenticated", "exp": "soon"})),
            "PGRST303",
        ),
        (
            bearer(&json!({"role": "authenticated", "aud": "books"})),
            "PGRST303",
        ),
    ];
    for (token, code) in refused {
        let answer = library
            .send("GET", "/films", &[("authorization", &token)], "")
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNAUTHORIZED, code),
            "{token} {answer:?}"
        );
    }
    let accepted = library
        .send("GET", "/films?select=id&limit=1", &[("authorization", &good)], "")
        .await;
    assert_eq!(accepted.status, StatusCode::OK, "{accepted:?}");
}

#[tokio::test]
async fn without_a_role_for_nobody_a_token_is_needed() {
    let library = Library::with(|settings| settings.anon_role = None).await;
    let answer = library.get("/films").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (StatusCode::UNAUTHORIZED, "PGRST302")
    );
}
