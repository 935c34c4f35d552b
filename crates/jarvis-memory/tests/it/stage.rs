//! A gym with a kiosk, and a clock that the test owns.

use chrono::{DateTime, Utc};
use jarvis_core::{Channel, EventType, FixedClock, GymId, KioskId, MemberId, NewEvent, Purpose, SessionId};
use jarvis_embed::{LocalEmbedder, WeightPaths};
use jarvis_memory::sessions::{self, KioskIdentity, OpenSession, Opened, Recorded};
use jarvis_memory::{Embedder, Memory, MemoryError, process};
use jarvis_testkit::TestDb;
use std::sync::{Arc, OnceLock};

pub const EVERYTHING: &[Purpose] = &[Purpose::Voice, Purpose::Memory, Purpose::HealthMemory];

pub struct Stage {
    pub test: TestDb,
    pub memory: Memory,
    pub clock: Arc<FixedClock>,
}

pub struct Gym {
    pub id: GymId,
    pub kiosk: KioskIdentity,
}

/// The moment at which every test begins: a Wednesday afternoon in Paris.
pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_625_600, 0).unwrap()
}

/// The real model when its weights are there; else the tests run by words and say so.
pub fn embedder() -> Embedder {
    static MODEL: OnceLock<Option<Arc<LocalEmbedder>>> = OnceLock::new();
    let model = MODEL.get_or_init(|| {
        let paths = WeightPaths {
            e5: std::env::var_os("JARVIS_E5_WEIGHTS")?.into(),
            universal: std::env::var_os("JARVIS_USE_WEIGHTS")?.into(),
        };
        let model = LocalEmbedder::load(&paths).expect("JARVIS_E5_WEIGHTS names the weights");
        assert!(model.missing().is_none(), "{:?}", model.missing());
        Some(Arc::new(model))
    });
    match model {
        Some(model) => Embedder::Local(Arc::clone(model)),
        None => Embedder::Unavailable("JARVIS_E5_WEIGHTS and JARVIS_USE_WEIGHTS are not set".to_owned()),
    }
}

impl Stage {
    pub async fn with(embedder: Embedder) -> Self {
        let test = TestDb::new().await;
        let clock = Arc::new(FixedClock::new(noon()));
        let memory = Memory {
            db: test.db().await,
            clock: clock.clone(),
            embedder,
            reader: None,
            intake: sessions::Intake::default(),
        };
        Self { test, memory, clock }
    }

    pub async fn new() -> Self {
        Self::with(Embedder::Unavailable("this test needs no model".to_owned())).await
    }

    pub async fn gym(&self, name: &str) -> Gym {
        let id = self.test.seed_gym(name).await;
        let kiosk = self.kiosk(id, "entree").await;
        Gym { id, kiosk }
    }

    pub async fn kiosk(&self, gym: GymId, slug: &str) -> KioskIdentity {
        let kiosk = KioskId::new(noon());
        sqlx::query(
            "insert into public.kiosks (id, gym_id, name, slug, status) values ($1, $2, $3, $3, 'active')",
        )
        .bind(kiosk.as_uuid())
        .bind(gym.as_uuid())
        .bind(slug)
        .execute(self.test.admin_pool())
        .await
        .unwrap();
        KioskIdentity { kiosk, gym }
    }

    pub async fn member(&self, gym: &Gym, badge: &str, consents: &[Purpose]) -> MemberId {
        self.test.seed_member(gym.id, badge, "Sophie", consents).await
    }

    pub async fn open(&self, gym: &Gym, badge: &str) -> Opened {
        self.try_open(&gym.kiosk, badge, Channel::Text).await.unwrap()
    }

    pub async fn try_open(
        &self,
        kiosk: &KioskIdentity,
        badge: &str,
        channel: Channel,
    ) -> Result<Opened, MemoryError> {
        let ask = OpenSession {
            badge_id: badge.to_owned(),
            language: None,
            channel,
        };
        sessions::open(&self.memory, kiosk, &ask).await
    }

    pub async fn say(&self, gym: &Gym, session: &SessionId, turns: &[&str]) -> Recorded {
        let events = turns
            .iter()
            .enumerate()
            .map(|(n, text)| Ok(said(text, n)))
            .collect();
        sessions::record(&self.memory, &gym.kiosk, session, events)
            .await
            .unwrap()
    }

    /// Closes a session and processes it, as the worker would.
    pub async fn end(&self, gym: &Gym, session: &SessionId) {
        sessions::close(&self.memory, &gym.kiosk, session, None)
            .await
            .unwrap();
        process::process_session(&self.memory, gym.id, session)
            .await
            .unwrap();
    }

    /// A whole conversation.
    pub async fn talk(&self, gym: &Gym, badge: &str, turns: &[&str]) -> SessionId {
        let session = self.open(gym, badge).await.session_id;
        self.say(gym, &session, turns).await;
        self.end(gym, &session).await;
        session
    }

    /// Lets every session's row look, by the database's clock, as if it had been written so long ago.
    pub async fn written_ago(&self, ago: &str) {
        let mut tx = self.test.admin_pool().begin().await.unwrap();
        // The trigger that keeps that date must not.
        sqlx::query("set local session_replication_role = replica")
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query(
            "update public.conversation_sessions set updated_at = clock_timestamp() - $1::text::interval",
        )
        .bind(ago.to_owned())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// Lets models of a provider read a gym's conversations, or not.
    pub async fn allow_external_models(&self, gym: &Gym, may: bool) {
        sqlx::query("update public.gyms set external_models = $2 where id = $1")
            .bind(gym.id.as_uuid())
            .bind(may)
            .execute(self.test.admin_pool())
            .await
            .unwrap();
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.test.admin_pool())
            .await
            .unwrap()
    }
}

/// A turn; what begins with "JARVIS: " is the assistant's.
pub fn said(text: &str, number: usize) -> NewEvent {
    let (event_type, text) = match text.strip_prefix("JARVIS: ") {
        Some(text) => (EventType::AiTranscript, text),
        None => (EventType::UserTranscript, text),
    };
    NewEvent {
        event_type,
        transcript: Some(text.to_owned()),
        tool_name: None,
        tool_args: None,
        tool_result: None,
        turn_number: i32::try_from(number).ok(),
        audio_duration_ms: None,
        confidence_score: None,
        timestamp: None,
        provider_event_id: Some(format!("turn-{number}")),
    }
}
