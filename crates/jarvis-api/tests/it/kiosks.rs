//! A device becomes a kiosk, and stops being one.

use crate::world::{World, answer};
use chrono::TimeDelta;
use jarvis_api::{Tokens, pairing};
use jarvis_core::{Clock, FixedClock, KioskId, Scope};
use jarvis_db::queries::kiosk;
use jarvis_memory::sessions::KioskIdentity;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::sync::Arc;

/// The key that a device makes for itself.
struct Device(EncodingKey);

impl Device {
    fn new() -> Self {
        let pem = Tokens::generate_pem().unwrap();
        Self(EncodingKey::from_ec_pem(pem.expose_secret().as_bytes()).unwrap())
    }

    fn jwk(&self) -> Value {
        serde_json::to_value(Jwk::from_encoding_key(&self.0, Algorithm::ES256).unwrap()).unwrap()
    }

    fn assertion(&self, kiosk: &str, exp: i64, jti: &str) -> String {
        let claims = json!({"iss": kiosk, "sub": kiosk, "aud": "jarvis", "exp": exp, "jti": jti});
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.0).unwrap()
    }
}

async fn new_code(world: &World, kiosk: &KioskIdentity) -> String {
    let (code, hash) = pairing::new_code(&mut rand::rng());
    let mut tx = world.memory.db.begin(&Scope::System).await.unwrap();
    let expires = world.clock.now() + pairing::LIFETIME;
    kiosk::insert_pairing_code(&mut tx, kiosk.gym, kiosk.kiosk, &hash, expires)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    code
}

async fn pair(world: &World, code: &str, device: &Device) -> crate::world::Answer {
    let body = json!({"code": code, "public_key": device.jwk()});
    answer(world.request(Method::POST, "/api/v1/kiosks/pair").json(&body)).await
}

async fn exchange(world: &World, assertion: &str) -> crate::world::Answer {
    let body = json!({"assertion": assertion});
    answer(world.request(Method::POST, "/api/v1/kiosks/token").json(&body)).await
}

#[tokio::test]
async fn a_device_is_paired_once_and_lives_on_its_own_key() {
    let world = World::new().await;
    let kiosk = world.kiosk(world.gym_a, "neuve", "unpaired").await;
    let id = kiosk.kiosk.to_string();
    let code = new_code(&world, &kiosk).await;
    let device = Device::new();

    let careless = code.to_lowercase().replace('-', " ");
    let paired = pair(&world, &careless, &device).await;
    assert_eq!(paired.status, StatusCode::OK, "{}", paired.body);
    assert_eq!(paired.body["kiosk"]["id"], id);
    assert_eq!(paired.body["kiosk"]["gym_id"], world.gym_a.to_string());
    assert_eq!(paired.body["kiosk"]["name"], "neuve");
    assert_eq!(paired.body["kiosk"]["language"], "fr");
    pair(&world, &code, &Device::new())
        .await
        .is_problem(400, "pairing_code_invalid");

    let exp = world.clock.now().timestamp() + 60;
    let assertion = device.assertion(&id, exp, "1");
    let token = exchange(&world, &assertion).await;
    assert_eq!(token.status, StatusCode::OK, "{}", token.body);
    assert_eq!(
        (&token.body["token_type"], &token.body["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    exchange(&world, &assertion)
        .await
        .is_problem(401, "unauthenticated");

    let bearer = token.body["access_token"].as_str().unwrap();
    let me = answer(world.request(Method::GET, "/api/v1/me").bearer_auth(bearer)).await;
    assert_eq!(me.body["kiosk"]["id"], id);
    world.clock.advance(TimeDelta::minutes(3));
    let beat = answer(
        world
            .request(Method::POST, "/api/v1/kiosks/heartbeat")
            .bearer_auth(bearer),
    )
    .await;
    assert_eq!(beat.status, StatusCode::OK);
    let seen = world
        .count("select count(*) from public.kiosks where slug = 'neuve' and last_seen_at > paired_at")
        .await;
    assert_eq!(seen, 1);
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes_and_five_tries() {
    let world = World::new().await;
    let kiosk = world.kiosk(world.gym_a, "neuve", "unpaired").await;
    let code = new_code(&world, &kiosk).await;
    world.clock.advance(TimeDelta::minutes(10));
    pair(&world, &code, &Device::new())
        .await
        .is_problem(400, "pairing_code_invalid");
    for _ in 0..4 {
        pair(&world, "ABCD-EFGH", &Device::new())
            .await
            .is_problem(400, "pairing_code_invalid");
    }
    let fresh = new_code(&world, &kiosk).await;
    let limited = pair(&world, &fresh, &Device::new()).await;
    limited.is_problem(429, "rate_limited");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_key_that_is_none_does_not_use_the_code_up() {
    let world = World::new().await;
    let kiosk = world.kiosk(world.gym_a, "neuve", "unpaired").await;
    let code = new_code(&world, &kiosk).await;
    let bad = json!({"code": code, "public_key": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}});
    let refused = answer(world.request(Method::POST, "/api/v1/kiosks/pair").json(&bad)).await;
    refused.is_problem(400, "invalid_request");
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .starts_with("public_key: ")
    );
    assert_eq!(pair(&world, &code, &Device::new()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_the_paired_device_gets_tokens() {
    let world = World::new().await;
    let kiosk = world.kiosk(world.gym_a, "neuve", "unpaired").await;
    let id = kiosk.kiosk.to_string();
    let exp = world.clock.now().timestamp() + 60;
    let device = Device::new();
    exchange(&world, &device.assertion(&id, exp, "0"))
        .await
        .is_problem(403, "kiosk_revoked");
    let code = new_code(&world, &kiosk).await;
    assert_eq!(pair(&world, &code, &device).await.status, StatusCode::OK);

    let stranger = Device::new();
    let unknown = KioskId::new(world.clock.now()).to_string();
    let wrong_signature = exchange(&world, &stranger.assertion(&id, exp, "1")).await;
    let unknown_kiosk = exchange(&world, &stranger.assertion(&unknown, exp, "1")).await;
    wrong_signature.is_problem(401, "unauthenticated");
    unknown_kiosk.is_problem(401, "unauthenticated");
    exchange(&world, &device.assertion(&id, exp + 120, "2"))
        .await
        .is_problem(401, "unauthenticated");
    exchange(&world, &device.assertion(&id, exp - 120, "3"))
        .await
        .is_problem(401, "unauthenticated");
    exchange(&world, "nonsense")
        .await
        .is_problem(401, "unauthenticated");
    assert_eq!(
        exchange(&world, &device.assertion(&id, exp, "4")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_revoked_kiosk_is_out_at_once_and_its_session_ends() {
    let world = World::new().await;
    let session = world.open("BADGE_001").await.id;
    let other = world.open_at(&world.kiosk_a2, "BADGE_001").await.id;
    let mut tx = world.memory.db.begin(&world.kiosk_a.scope()).await.unwrap();
    assert!(
        kiosk::revoke(&mut tx, world.gym_a, world.kiosk_a.kiosk, world.clock.now())
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();

    let event = json!({"event_type": "user_transcript", "transcript": "encore là ?"});
    world
        .record(&session, &event)
        .await
        .is_problem(403, "kiosk_revoked");
    let state_of = "select state from public.conversation_sessions where session_id = $1";
    let state = async |id: &str| -> String {
        sqlx::query_scalar(state_of)
            .bind(id)
            .fetch_one(world.db.admin_pool())
            .await
            .unwrap()
    };
    assert_eq!(state(&session).await, "closing");
    assert_eq!(state(&other).await, "open", "another kiosk's session goes on");
    assert_eq!(
        world
            .count("select count(*) from public.conversation_events")
            .await,
        0
    );
    let open = world
        .by_kiosk(Method::POST, "/api/v1/sessions")
        .json(&json!({"badge_id": "BADGE_001"}));
    answer(open).await.is_problem(403, "kiosk_revoked");
}

#[tokio::test]
async fn tokens_that_are_not_ours_or_too_old_are_refused() {
    let world = World::new().await;
    let me = |token: String| answer(world.request(Method::GET, "/api/v1/me").bearer_auth(token));
    let bare = answer(world.request(Method::GET, "/api/v1/me")).await;
    bare.is_problem(401, "unauthenticated");
    assert_eq!(bare.headers["www-authenticate"], "Bearer");

    let foreign_clock = Arc::new(FixedClock::new(world.clock.now()));
    let foreign = Tokens::from_pem(&Tokens::generate_pem().unwrap(), foreign_clock).unwrap();
    let theirs = foreign.mint_kiosk(&world.kiosk_a).unwrap().token;
    me(theirs.expose_secret().to_owned())
        .await
        .is_problem(401, "unauthenticated");

    let ours = world.kiosk_token(&world.kiosk_a);
    let payload = ours.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    me(format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."))
        .await
        .is_problem(401, "unauthenticated");

    let moved = KioskIdentity {
        kiosk: world.kiosk_a.kiosk,
        gym: world.gym_b,
    };
    me(world.kiosk_token(&moved))
        .await
        .is_problem(401, "unauthenticated");

    assert_eq!(me(ours.clone()).await.status, StatusCode::OK);
    world.clock.advance(TimeDelta::minutes(16));
    me(ours).await.is_problem(401, "token_expired");
}

#[tokio::test]
async fn the_key_set_verifies_our_tokens() {
    let world = World::new().await;
    let set = answer(world.request(Method::GET, "/auth/v1/.well-known/jwks.json")).await;
    let key: Jwk = serde_json::from_value(set.body["keys"][0].clone()).unwrap();
    let token = world.kiosk_token(&world.kiosk_a);
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.kid, key.common.key_id);
    let mut rules = jsonwebtoken::Validation::new(Algorithm::ES256);
    rules.set_audience(&["kiosk"]);
    rules.set_issuer(&["jarvis"]);
    let verifying = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
    let data = jsonwebtoken::decode::<Value>(&token, &verifying, &rules).unwrap();
    assert_eq!(data.claims["gym"], world.gym_a.to_string());
}
