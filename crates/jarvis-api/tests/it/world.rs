//! Two gyms with equal badges, their kiosks, their people, and a server.

use jarvis_api::{ApiState, Readiness, Tokens};
use jarvis_core::{Clock, FixedClock, GymId, KioskId, MemberId, Purpose, SessionId, SystemClock, UserId};
use jarvis_memory::sessions::KioskIdentity;
use jarvis_memory::{Embedder, Memory};
use jarvis_testkit::TestDb;
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

pub const EVERYTHING: [Purpose; 5] = Purpose::ALL;
pub const PASSWORD: &str = "un mot de passe de test";

/// A served API and the world behind it.
pub struct World {
    pub db: TestDb,
    pub memory: Memory,
    pub clock: Arc<FixedClock>,
    pub tokens: Tokens,
    pub readiness: Readiness,
    pub gym_a: GymId,
    pub gym_b: GymId,
    /// Camille of gym A, badge `BADGE_001`, agreed to everything.
    pub camille: MemberId,
    /// A kiosk of gym A.
    pub kiosk_a: KioskIdentity,
    /// Another kiosk of gym A.
    pub kiosk_a2: KioskIdentity,
    /// A kiosk of gym B.
    pub kiosk_b: KioskIdentity,
    address: SocketAddr,
    client: reqwest::Client,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Embedder::Unavailable("tests run without weights".to_owned())).await
    }

    pub async fn with(embedder: Embedder) -> Self {
        // Shown for tests that fail. A subscriber that is there already stays.
        drop(tracing_subscriber::fmt().with_test_writer().try_init());
        let db = TestDb::new().await;
        let clock = Arc::new(FixedClock::new(SystemClock.now()));
        let gym_a = db.seed_gym("Salle A").await;
        let gym_b = db.seed_gym("Salle B").await;
        let camille = db.seed_member(gym_a, "BADGE_001", "Camille", &EVERYTHING).await;
        db.seed_member(gym_b, "BADGE_001", "Camille", &EVERYTHING).await;
        let kiosk_a = seed_kiosk(&db, gym_a, "accueil", "active").await;
        let kiosk_a2 = seed_kiosk(&db, gym_a, "etage", "active").await;
        let kiosk_b = seed_kiosk(&db, gym_b, "accueil", "active").await;
        let memory = Memory {
            db: db.db().await,
            clock: clock.clone(),
            embedder,
            reader: None,
            intake: jarvis_memory::sessions::Intake::default(),
        };
        let tokens = Tokens::from_pem(&Tokens::generate_pem().unwrap(), clock.clone()).unwrap();
        let readiness = Readiness::new();
        let state = ApiState::new(memory.clone(), tokens.clone(), readiness.clone())
            .behind("127.0.0.1".parse().unwrap());
        let service = jarvis_api::router(state).into_make_service_with_connect_info::<SocketAddr>();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            db,
            memory,
            clock,
            tokens,
            readiness,
            gym_a,
            gym_b,
            camille,
            kiosk_a,
            kiosk_a2,
            kiosk_b,
            address,
            client,
        }
    }

    /// A kiosk of gym A that was revoked.
    pub async fn revoked_kiosk(&self) -> KioskIdentity {
        seed_kiosk(&self.db, self.gym_a, "ancienne", "revoked").await
    }

    pub async fn kiosk(&self, gym: GymId, slug: &str, status: &str) -> KioskIdentity {
        seed_kiosk(&self.db, gym, slug, status).await
    }

    /// A person with [`PASSWORD`] and an address after their name.
    pub async fn person(&self, name: &str, role: &str, gyms: &[GymId], active: bool) -> UserId {
        let id = UserId::new(SystemClock.now());
        let gyms: Vec<_> = gyms.iter().map(|g| g.as_uuid()).collect();
        let email = format!("{name}@example.org");
        let hash = jarvis_api::password::hash(&SecretString::from(PASSWORD)).unwrap();
        sqlx::query("insert into auth.users (id, email, encrypted_password) values ($1, $2, $3)")
            .bind(id.as_uuid())
            .bind(&email)
            .bind(hash)
            .execute(self.db.admin_pool())
            .await
            .unwrap();
        sqlx::query(
            "insert into public.users (id, email, role, gym_access, is_active) values ($1, $2, $3, $4, $5)",
        )
        .bind(id.as_uuid())
        .bind(&email)
        .bind(role)
        .bind(gyms)
        .bind(active)
        .execute(self.db.admin_pool())
        .await
        .unwrap();
        id
    }

    pub async fn manager_a(&self) -> String {
        self.token_of(self.person("manager-a", "gym_manager", &[self.gym_a], true).await)
    }

    pub fn token_of(&self, user: UserId) -> String {
        self.tokens
            .mint_person(user)
            .unwrap()
            .token
            .expose_secret()
            .to_owned()
    }

    pub fn kiosk_token(&self, kiosk: &KioskIdentity) -> String {
        self.tokens
            .mint_kiosk(kiosk)
            .unwrap()
            .token
            .expose_secret()
            .to_owned()
    }

    /// A request without a token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    /// A request of gym A's kiosk.
    pub fn by_kiosk(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path)
            .bearer_auth(self.kiosk_token(&self.kiosk_a))
    }

    /// Opens a session for the badge at gym A's kiosk, by text.
    pub async fn open(&self, badge: &str) -> Opened {
        self.open_at(&self.kiosk_a, badge).await
    }

    pub async fn open_at(&self, kiosk: &KioskIdentity, badge: &str) -> Opened {
        let request = self
            .request(Method::POST, "/api/v1/sessions")
            .bearer_auth(self.kiosk_token(kiosk))
            .json(&json!({"badge_id": badge}));
        let answer = answer(request).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let id = answer.body["session_id"].as_str().unwrap().to_owned();
        Opened {
            id,
            body: answer.body,
        }
    }

    /// Posts events to a session as gym A's kiosk.
    pub async fn record(&self, session: &str, events: &Value) -> Answer {
        answer(
            self.by_kiosk(Method::POST, &format!("/api/v1/sessions/{session}/events"))
                .json(events),
        )
        .await
    }

    pub async fn close(&self, session: &str) -> Answer {
        answer(self.by_kiosk(Method::POST, &format!("/api/v1/sessions/{session}/close"))).await
    }

    /// Makes the memory of a session of gym A, as the worker would.
    pub async fn process(&self, session: &str) {
        let id: SessionId = session.parse().unwrap();
        jarvis_memory::process::process_session(&self.memory, self.gym_a, &id)
            .await
            .unwrap();
    }

    /// Opens, says, closes, processes.
    pub async fn conversation(&self, said: &[&str]) -> String {
        let session = self.open("BADGE_001").await.id;
        let events: Vec<_> = said
            .iter()
            .map(|text| json!({"event_type": "user_transcript", "transcript": text}))
            .collect();
        let answer = self.record(&session, &json!(events)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        self.close(&session).await;
        self.process(&session).await;
        session
    }

    /// One number of the database, as the superuser sees it.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.db.admin_pool())
            .await
            .unwrap()
    }
}

pub struct Opened {
    pub id: String,
    pub body: Value,
}

/// An answer whose body is JSON.
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| panic!("{status}: not JSON: {}", String::from_utf8_lossy(&bytes)));
    Answer {
        status,
        headers,
        body,
    }
}

impl Answer {
    /// Asserts that this is a complete problem with `code`.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], format!("/api/docs#{code}"));
        assert_eq!(
            self.body["request_id"].as_str(),
            self.headers["x-request-id"].to_str().ok()
        );
        for part in ["title", "hint"] {
            assert!(
                self.body[part].as_str().is_some_and(|text| !text.is_empty()),
                "{part}: {}",
                self.body
            );
        }
    }
}

async fn seed_kiosk(db: &TestDb, gym: GymId, slug: &str, status: &str) -> KioskIdentity {
    let kiosk = KioskId::new(SystemClock.now());
    sqlx::query("insert into public.kiosks (id, gym_id, name, slug, status) values ($1, $2, $3, $3, $4)")
        .bind(kiosk.as_uuid())
        .bind(gym.as_uuid())
        .bind(slug)
        .bind(status)
        .execute(db.admin_pool())
        .await
        .unwrap();
    KioskIdentity { kiosk, gym }
}
