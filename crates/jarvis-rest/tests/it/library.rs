//! A small schema of its own, and a data API over it.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use jarvis_core::clock::SystemClock;
use jarvis_rest::{Rest, Settings, TxEnd};
use jarvis_testkit::TestDb;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use std::sync::Arc;
use tower::ServiceExt as _;

/// What signs the tokens of these tests.
pub const SECRET: &str = "a secret of the tests with thirty-two characters";

/// A database with films, and its data API.
pub struct Library {
    /// The database; dropped in the end.
    pub db: TestDb,
    /// The data API.
    pub rest: Rest,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Library {
    /// With the settings of these tests.
    pub async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let db = TestDb::new().await;
        db.admin_pool()
            .execute(include_str!("library.sql"))
            .await
            .unwrap();
        let mut settings = Settings {
            schemas: vec!["library".to_owned()],
            extra_search_path: vec!["public".to_owned()],
            anon_role: Some("anon".to_owned()),
            jwt_secret: Some(SECRET.to_owned().into()),
            aggregates: true,
            tx_end: TxEnd::CommitAllowOverride,
            private_types: vec!["vector".to_owned()],
            ..Settings::default()
        };
        change(&mut settings);
        let url = db.url().expose_secret().to_owned();
        let rest = Rest::start(&url, settings, 4, Arc::new(SystemClock))
            .await
            .unwrap();
        Self { db, rest }
    }

    /// Sends a request with these headers and this body.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(written(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.rest.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// Changes the database behind the data API's back.
    pub async fn sql(&self, sql: &str) {
        self.db
            .admin_pool()
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .unwrap();
    }
}

/// As a client writes it on the wire.
fn written(path: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"{}<>\\^`|".contains(&byte);
    path.bytes()
        .map(|byte| {
            if fits(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// `Bearer …` for these claims.
pub fn bearer(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    format!("Bearer {}", jsonwebtoken::encode(&header, claims, &key).unwrap())
}

/// `Bearer …` for a person.
pub fn person(name: &str) -> String {
    bearer(&json!({"role": "authenticated", "sub": name}))
}
