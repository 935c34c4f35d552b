//! A kiosk: its own key, its pairing, its tokens, its sessions.

use crate::program::text;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Somebody with a token: a kiosk or a person.
#[derive(Debug, Clone)]
pub struct Caller {
    pub client: Client,
    pub token: String,
    base: String,
}

/// A device that was paired.
pub struct Device {
    pub caller: Caller,
    pub kiosk_id: String,
    key: EncodingKey,
}

pub fn client() -> Client {
    Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client can be made")
}

impl Caller {
    /// `address` is `host:port`.
    pub fn new(address: &str, token: &str) -> Self {
        Self {
            client: client(),
            token: token.to_owned(),
            base: format!("http://{address}"),
        }
    }

    /// The same caller, of another server.
    pub fn at(&self, address: &str) -> Self {
        Self {
            base: format!("http://{address}"),
            ..self.clone()
        }
    }

    /// A person signs in.
    pub async fn sign_in(address: &str, email: &str, password: &str) -> Self {
        let nobody = Self::new(address, "");
        let (status, body) = nobody
            .post(
                "/api/v1/auth/sign-in",
                &json!({"email": email, "password": password}),
            )
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        Self::new(address, &text(&body, "/access_token"))
    }

    async fn send(&self, request: RequestBuilder) -> (StatusCode, Value) {
        let request = if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        };
        let response = request.send().await.expect("the server answers");
        let status = response.status();
        let body = response.text().await.expect("the answer is complete");
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(self.request(path, body)).await
    }

    /// A request that the caller sends by themselves.
    pub fn request(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.base)).json(body);
        if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        }
    }

    /// Opens a session with a badge; its whole answer.
    pub async fn open(&self, badge: &str) -> Value {
        let (status, body) = self.post("/api/v1/sessions", &json!({"badge_id": badge})).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body
    }

    /// The member says these sentences, each answered by the assistant.
    pub async fn say(&self, session: &str, sentences: &[&str]) -> Value {
        let turns = sentences.iter().enumerate().flat_map(|(i, sentence)| {
            [
                json!({"event_type": "user_transcript", "transcript": sentence, "turn_number": 2 * i,
                       "provider_event_id": format!("{session}-{i}-m")}),
                json!({"event_type": "ai_transcript", "transcript": "D'accord.", "turn_number": 2 * i + 1,
                       "provider_event_id": format!("{session}-{i}-a")}),
            ]
        });
        let body = Value::Array(turns.collect());
        let (status, answer) = self
            .post(&format!("/api/v1/sessions/{session}/events"), &body)
            .await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["rejected"], json!([]), "{answer}");
        answer
    }

    pub async fn close(&self, session: &str) {
        let (status, body) = self
            .post(&format!("/api/v1/sessions/{session}/close"), &json!({}))
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }

    /// The session, once its memory is made or given up.
    pub async fn processed(&self, session: &str) -> Value {
        for _ in 0..600 {
            let (status, body) = self.get(&format!("/api/v1/sessions/{session}")).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            if !["open", "closing"].contains(&text(&body, "/state").as_str()) {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("session {session} is not processed within a minute");
    }

    /// A whole conversation: badge, words, goodbye, memory. The session, as it is afterwards.
    pub async fn converse(&self, badge: &str, sentences: &[&str]) -> Value {
        let session = text(&self.open(badge).await, "/session_id");
        self.say(&session, sentences).await;
        self.close(&session).await;
        self.processed(&session).await
    }
}

impl Device {
    /// Makes a key on the device, pairs it with a code, and gets a first token with it.
    pub async fn pair(address: &str, code: &str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EncodingKey::from_ec_der(pkcs8.as_ref());
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("the key is on P-256");
        let nobody = Caller::new(address, "");
        let (status, body) = nobody
            .post("/api/v1/kiosks/pair", &json!({"code": code, "public_key": jwk}))
            .await;
        assert!(status.is_success(), "{status} {body}");
        let kiosk_id = body
            .pointer("/kiosk/id")
            .or_else(|| body.get("id"))
            .and_then(Value::as_str);
        let kiosk_id = kiosk_id
            .unwrap_or_else(|| panic!("no kiosk id in {body}"))
            .to_owned();
        let mut device = Self {
            caller: nobody,
            kiosk_id,
            key,
        };
        device.caller.token = device.new_token().await;
        device
    }

    /// Proves with the key that it is the kiosk, for a token of 15 minutes.
    async fn new_token(&self) -> String {
        let (status, body) = self.ask_for_token(get_current_timestamp()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        text(&body, "/access_token")
    }

    /// As a device whose clock shows `now` (seconds since 1970) asks for a token.
    pub async fn ask_for_token(&self, now: u64) -> (StatusCode, Value) {
        let claims = json!({
            "iss": self.kiosk_id, "sub": self.kiosk_id, "aud": "jarvis",
            "exp": now + 60, "jti": uuid::Uuid::now_v7(),
        });
        let assertion = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.key).unwrap();
        let nobody = Caller {
            token: String::new(),
            ..self.caller.clone()
        };
        nobody
            .post("/api/v1/kiosks/token", &json!({"assertion": assertion}))
            .await
    }
}
