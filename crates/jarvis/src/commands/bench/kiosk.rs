//! A kiosk that calls the measured server.

use crate::serving::Serving;
use anyhow::{Context as _, bail};
use jarvis_db::bench::ground::Place;
use jarvis_memory::sessions::KioskIdentity;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than anything that is measured.
const PATIENCE: Duration = Duration::from_mins(1);

/// A kiosk with a valid token.
#[derive(Clone)]
pub struct Kiosk {
    http: reqwest::Client,
    base: String,
    token: SecretString,
}

/// What came back.
pub struct Answer {
    /// Whether the answer was a success.
    pub ok: bool,
    body: Vec<u8>,
}

impl Answer {
    /// The answer's JSON, when it was a success.
    pub fn value(&self) -> anyhow::Result<Value> {
        let value: Value = serde_json::from_slice(&self.body).context("the server answered without JSON")?;
        if !self.ok {
            bail!("the server refused: {}", value["code"]);
        }
        Ok(value)
    }
}

impl Kiosk {
    /// The kiosk of a place. Its token lasts for a quarter of an hour.
    pub fn at(serving: &Serving, place: &Place) -> anyhow::Result<Self> {
        let identity = KioskIdentity {
            kiosk: place.kiosk,
            gym: place.gym,
        };
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?,
            base: format!("http://{}/api/v1", serving.address),
            token: serving.tokens.mint_kiosk(&identity)?.token,
        })
    }

    /// Posts JSON text.
    pub async fn post(&self, path: &str, body: String) -> anyhow::Result<Answer> {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(self.token.expose_secret())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .build()?;
        self.send(request).await
    }

    /// Asks what the member of a session said before.
    pub async fn recall(&self, session: &str, question: &str, memories: u16) -> anyhow::Result<Answer> {
        let mut url = reqwest::Url::parse(&format!("{}/sessions/{session}/recall", self.base))?;
        url.query_pairs_mut()
            .append_pair("q", question)
            .append_pair("k", &memories.to_string());
        let request = self
            .http
            .get(url)
            .bearer_auth(self.token.expose_secret())
            .build()?;
        self.send(request).await
    }

    async fn send(&self, request: reqwest::Request) -> anyhow::Result<Answer> {
        let answer = self.http.execute(request).await?;
        let ok = answer.status().is_success();
        let body = answer.bytes().await?.to_vec();
        Ok(Answer { ok, body })
    }

    /// Reads a badge. Returns the session's id with the answer.
    pub async fn open(&self, badge: &str) -> anyhow::Result<(String, Answer)> {
        let answer = self
            .post(
                "/sessions",
                json!({"badge_id": badge, "channel": "voice"}).to_string(),
            )
            .await?;
        let id = answer.value()?["session_id"].as_str().map(str::to_owned);
        Ok((id.context("an open session has an id")?, answer))
    }
}
