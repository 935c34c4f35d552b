//! People sign in.

use crate::world::{Answer, PASSWORD, World, answer};
use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::json;

async fn sign_in(world: &World, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    answer(world.request(Method::POST, "/api/v1/auth/sign-in").json(&body)).await
}

#[tokio::test]
async fn a_manager_signs_in_and_is_known() {
    let world = World::new().await;
    world.person("marie", "gym_manager", &[world.gym_a], true).await;
    let token = sign_in(&world, " Marie@Example.org ", PASSWORD).await;
    assert_eq!(token.status, StatusCode::OK, "{}", token.body);
    assert_eq!(token.body["expires_in"], 3600);
    let bearer = token.body["access_token"].as_str().unwrap();
    let me = answer(world.request(Method::GET, "/api/v1/me").bearer_auth(bearer)).await;
    assert_eq!(me.body["account"]["email"], "marie@example.org");
    assert_eq!(me.body["account"]["role"], "gym_manager");
    assert_eq!(me.body["account"]["gym_access"], json!([world.gym_a]));
    let noted = world
        .count("select count(*) from auth.users where last_sign_in_at is not null")
        .await;
    assert_eq!(noted, 1);
    world.clock.advance(TimeDelta::minutes(61));
    answer(world.request(Method::GET, "/api/v1/me").bearer_auth(bearer))
        .await
        .is_problem(401, "token_expired");
}

#[tokio::test]
async fn unknown_inactive_and_mistaken_people_get_the_same_answer() {
    let world = World::new().await;
    world.person("marie", "gym_manager", &[world.gym_a], true).await;
    world.person("paul", "gym_manager", &[world.gym_a], false).await;
    let mut bodies = Vec::new();
    for (email, password) in [
        ("marie@example.org", "faux"),
        ("paul@example.org", PASSWORD),
        ("x@example.org", "x"),
    ] {
        let refused = sign_in(&world, email, password).await;
        refused.is_problem(401, "credentials_invalid");
        let mut body = refused.body;
        body["request_id"] = json!("");
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0], bodies[2]);
}

#[tokio::test]
async fn the_sixth_try_at_an_account_waits() {
    let world = World::new().await;
    world.person("marie", "gym_manager", &[world.gym_a], true).await;
    for _ in 0..5 {
        sign_in(&world, "marie@example.org", "faux")
            .await
            .is_problem(401, "credentials_invalid");
    }
    let limited = sign_in(&world, "MARIE@example.org", PASSWORD).await;
    limited.is_problem(429, "rate_limited");
    assert!(limited.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_person_made_inactive_is_nobody_at_once() {
    let world = World::new().await;
    let user = world.person("marie", "gym_manager", &[world.gym_a], true).await;
    let token = world.token_of(user);
    let me = || answer(world.request(Method::GET, "/api/v1/me").bearer_auth(&token));
    assert_eq!(me().await.status, StatusCode::OK);
    sqlx::query("update public.users set is_active = false")
        .execute(world.db.admin_pool())
        .await
        .unwrap();
    me().await.is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_request_that_is_refused_never_repeats_a_password() {
    let world = World::new().await;
    let secret = "tres-secret-4711";
    for (body, code) in [
        (json!({"email": 7, "password": secret}), "invalid_request"),
        (
            json!({"email": "a@b.fr", "password": [secret]}),
            "invalid_request",
        ),
        (
            json!({"email": "a@b.fr", "password": secret, secret: 1}),
            "invalid_request",
        ),
        (json!({"email": "a@b.fr\0", "password": secret}), "invalid_utf8"),
        (json!([secret]), "invalid_request"),
    ] {
        let refused = answer(world.request(Method::POST, "/api/v1/auth/sign-in").json(&body)).await;
        refused.is_problem(400, code);
        assert!(!refused.body.to_string().contains(secret), "{}", refused.body);
    }
    let broken = format!("{{\"email\": \"a@b.fr\", \"password\": \"{secret}");
    let request = world
        .request(Method::POST, "/api/v1/auth/sign-in")
        .header("content-type", "application/json");
    let refused = answer(request.body(broken)).await;
    refused.is_problem(400, "invalid_json");
    assert!(!refused.body.to_string().contains(secret));
}
