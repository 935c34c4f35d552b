//! A throw-away gym on an embedded PostgreSQL, in which recall answers as it does for everybody.

use crate::commands::consent::{self, Answer as ConsentAnswer};
use crate::commands::up::{self, House};
use crate::connection;
use crate::wiring;
use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_core::{
    Actor, Channel, Clock as _, EndReason, EventId, GymId, KioskId, Language, MemberId, Purpose, Scope,
    SessionId, SessionState, SummaryId, SystemClock,
};
use jarvis_db::provision;
use jarvis_db::queries::gym::{EmbeddingModel, Gym};
use jarvis_db::queries::member::{self, NewMember};
use jarvis_db::queries::session::{self, NewSession, Outcome};
use jarvis_db::queries::summary::{self, NewSummary};
use jarvis_db::queries::{kiosk, window};
use jarvis_embed::Kind;
use jarvis_memory::Memory;
use jarvis_memory::eval::recall::{Answer, Asked, Corpus, DEPTH, Unit};
use jarvis_memory::extract::{Speaker, Turn};
use jarvis_memory::recall::{self, RecallMethod, RecallQuery};
use jarvis_memory::windows::{self, Spoken};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use uuid::Uuid;

/// A memory of everybody's summaries together.
const EVERYBODY: &str = "";

/// A gym that lasts as long as the measurement.
pub struct ThrowAway {
    house: House,
    folder: PathBuf,
    memory: Memory,
    gym: GymId,
    kiosk: KioskId,
    model: String,
    members: HashMap<String, MemberId>,
    /// Whose the rows of recall are.
    units: HashMap<(MemberId, Uuid), usize>,
}

impl ThrowAway {
    /// Starts PostgreSQL in a new folder, and makes a gym.
    pub async fn start() -> anyhow::Result<Self> {
        let now = SystemClock.now();
        let folder = std::env::temp_dir().join(format!("jarvis-eval-{}", jarvis_core::ids::uuid_v7(now)));
        let house = up::start_postgres(&folder, None).await?;
        let db = connection::db(&house.urls).await?;
        let memory = wiring::memory(db).await?;
        let model = memory
            .embedder
            .model()
            .unwrap_or(jarvis_embed::LocalModel::DEFAULT.name());
        let (gym, kiosk, model) = (GymId::new(now), KioskId::new(now), model.to_owned());
        let row = Gym {
            id: gym,
            name: "Evaluation".to_owned(),
            slug: "evaluation".to_owned(),
            timezone: "UTC".to_owned(),
            locale: "fr".to_owned(),
            embedding_model: model.clone(),
            // Whoever measures chose the provider for these texts.
            external_models: true,
        };
        let mut admin = connection::admin(&house.urls).await?;
        provision::insert_gym(&mut admin, &row).await?;
        let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Operator)).await?;
        kiosk::insert(&mut tx, gym, kiosk, "Evaluation", "evaluation", "fr").await?;
        tx.commit().await?;
        Ok(Self {
            house,
            folder,
            memory,
            gym,
            kiosk,
            model,
            members: HashMap::new(),
            units: HashMap::new(),
        })
    }

    /// Stops PostgreSQL and removes the folder.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.memory.db.close().await;
        self.house.stop().await?;
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }

    /// Remembers everything of a corpus; `told` hears how far it is.
    pub async fn remember(&mut self, corpus: &Corpus, told: &dyn Fn(String)) -> anyhow::Result<()> {
        if corpus.turns {
            let mut sessions: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
            let mut begun: HashMap<(&str, &str), usize> = HashMap::new();
            for (place, unit) in corpus.units.iter().enumerate() {
                let first = *begun.entry((&unit.owner, &unit.session)).or_insert(place);
                sessions.entry((&unit.owner, first)).or_default().push(place);
            }
            let count = sessions.len();
            for (number, ((owner, _), places)) in sessions.into_iter().enumerate() {
                told(format!("conversation {} of {count}", number + 1));
                self.remember_conversation(corpus, owner, &places).await?;
            }
            return Ok(());
        }
        for (place, unit) in corpus.units.iter().enumerate() {
            told(format!("summary {} of {}", place + 1, corpus.units.len()));
            let embedded = self.vectors(std::slice::from_ref(&unit.text)).await?;
            let vector = embedded.into_iter().next().flatten();
            for owner in [EVERYBODY, unit.owner.as_str()] {
                self.remember_summary(corpus.language, owner, place, unit, vector.clone())
                    .await?;
            }
        }
        Ok(())
    }

    /// The vectors of texts; without a model there are none.
    async fn vectors(&self, texts: &[String]) -> anyhow::Result<Vec<Option<Vec<f32>>>> {
        let model = EmbeddingModel {
            name: self.model.clone(),
            external: true,
        };
        let embedder = &self.memory.embedder;
        let asked = embedder.embed(&model, Kind::Passage, texts, None).await;
        Ok(asked.outcome?.map(|made| made.vectors).unwrap_or_default())
    }

    async fn member(&mut self, name: &str, language: Language) -> anyhow::Result<MemberId> {
        if let Some(member) = self.members.get(name) {
            return Ok(*member);
        }
        let id = MemberId::new(SystemClock.now());
        let badge = format!("EVAL_{}", self.members.len());
        let new = NewMember {
            id,
            badge_id: &badge,
            first_name: "Eval",
            last_name: "Uation",
            language,
            date_of_birth: None,
        };
        let consent = ConsentAnswer {
            grant: vec![Purpose::Memory, Purpose::HealthMemory],
            refuse: Vec::new(),
            by_guardian: false,
            statement: "consent-1",
            source: "cli",
        };
        let mut tx = self
            .memory
            .db
            .begin(&Scope::gym(self.gym, Actor::Operator))
            .await?;
        member::insert(&mut tx, self.gym, &new).await?;
        consent::record(&mut tx, self.gym, id, &consent).await?;
        tx.commit().await?;
        self.members.insert(name.to_owned(), id);
        Ok(id)
    }

    async fn remember_summary(
        &mut self,
        language: Language,
        owner: &str,
        place: usize,
        unit: &Unit,
        embedding: Option<Vec<f32>>,
    ) -> anyhow::Result<()> {
        let member = self.member(owner, language).await?;
        let now = SystemClock.now();
        let (id, session) = (SummaryId::new(now), SessionId::new(now));
        let model = if embedding.is_some() {
            &self.model
        } else {
            jarvis_core::embedding::UNKNOWN_MODEL
        };
        let new = NewSummary {
            id,
            session: &session,
            member,
            text: &unit.text,
            key_topics: &[],
            sentiment: "neutral",
            sentiment_score: 0.0,
            embedding,
            embedding_model: model,
            language: language.as_str(),
            duration_seconds: None,
            turn_count: 0,
            created_at: now,
            tells_health: true,
        };
        let mut tx = self.memory.db.begin(&self.scope()).await?;
        summary::upsert(&mut tx, self.gym, &new).await?;
        tx.commit().await?;
        self.units.insert((member, id.as_uuid()), place);
        Ok(())
    }

    async fn remember_conversation(
        &mut self,
        corpus: &Corpus,
        owner: &str,
        places: &[usize],
    ) -> anyhow::Result<()> {
        let member = self.member(owner, corpus.language).await?;
        let now = SystemClock.now();
        let units = || places.iter().filter_map(|place| corpus.units.get(*place));
        let at = units().find_map(|unit| unit.at).unwrap_or(now);
        let turns: Vec<Turn> = units().map(turn).collect();
        let texts = windows::texts(&turns);
        let vectors = self.vectors(&texts).await?;
        let spoken: Vec<Spoken<'_>> = turns
            .iter()
            .zip(0..)
            .map(|(turn, second)| Spoken {
                turn,
                at: at + TimeDelta::seconds(second),
            })
            .collect();
        let rows = windows::build(&spoken, &vectors, corpus.language, at.date_naive());
        let session = self.session(member, corpus.language, at).await?;
        let mut tx = self.memory.db.begin(&self.scope()).await?;
        let (whose, how) = (
            (member, &session),
            (corpus.language.as_str(), self.model.as_str()),
        );
        window::replace(&mut tx, self.gym, whose, how, &rows).await?;
        tx.commit().await?;
        for (turn, place) in turns.iter().zip(places) {
            if let Some(event) = turn.event_id {
                self.units.insert((member, event.as_uuid()), *place);
            }
        }
        Ok(())
    }

    /// A session that is over: its turns are what is remembered.
    async fn session(
        &self,
        member: MemberId,
        language: Language,
        at: DateTime<Utc>,
    ) -> anyhow::Result<SessionId> {
        let id = SessionId::new(SystemClock.now());
        let new = NewSession {
            session_id: &id,
            kiosk: self.kiosk,
            member,
            channel: Channel::Text,
            language,
            disclosure_version: "evaluation",
            started_at: at,
        };
        let outcome = Outcome {
            state: SessionState::Processed,
            reason: None,
            degraded_reason: None,
            notes: &[],
            facts_rejected: 0,
            extractor: "evaluation",
            at: SystemClock.now(),
        };
        let mut tx = self.memory.db.begin(&self.scope()).await?;
        session::insert(&mut tx, self.gym, &new).await?;
        session::close(&mut tx, self.gym, &id, EndReason::Client, at).await?;
        session::finish(&mut tx, self.gym, &id, &outcome).await?;
        tx.commit().await?;
        Ok(id)
    }

    fn scope(&self) -> Scope {
        Scope::gym(self.gym, Actor::Server)
    }

    /// Asks in the memory of a member, or in that of everybody together. None when the corpus knows no such member.
    pub async fn ask(
        &self,
        question: &Asked,
        owner: Option<&str>,
    ) -> anyhow::Result<Option<(Answer, RecallMethod)>> {
        let Some(member) = self.members.get(owner.unwrap_or(EVERYBODY)) else {
            return Ok(None);
        };
        let query = RecallQuery {
            text: question.text.clone(),
            k: i32::try_from(DEPTH).unwrap_or(recall::MAX_K),
            threshold: 0.0,
        };
        let recalled = recall::recall(&self.memory, self.scope(), *member, &query).await?;
        anyhow::ensure!(
            recalled.complete,
            "recall ran out of time: measure on a machine that is less busy"
        );
        let turns = recalled.turns.iter().map(|turn| turn.event_id.as_uuid());
        let found = recalled
            .memories
            .iter()
            .map(|memory| memory.id.as_uuid())
            .chain(turns);
        let ranked = found
            .filter_map(|id| self.units.get(&(*member, id)).copied())
            .collect();
        let answer = Answer {
            ranked,
            nothing_noted: recalled.nothing_noted,
        };
        Ok(Some((answer, recalled.method)))
    }
}

fn turn(unit: &Unit) -> Turn {
    Turn {
        speaker: if unit.by_member {
            Speaker::Member
        } else {
            Speaker::Assistant
        },
        text: unit.text.clone(),
        confidence: None,
        event_id: Some(EventId::new(SystemClock.now())),
    }
}
