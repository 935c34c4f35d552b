//! From a closed session to memory: transcript, facts, summary, embedding, one transaction.

use crate::extract::{self, ExtractionInput, Speaker, Turn, passes_evidence_gate};
use crate::jobs::ProcessSession;
use crate::{Memory, MemoryError, sentiment, summary};
use chrono::{DateTime, Utc};
use jarvis_core::embedding::UNKNOWN_MODEL;
use jarvis_core::{
    Actor, ConsentSet, EventType, Fact, FactDraft, FactId, GymId, Purpose, Scope, SessionId, SessionState,
    SummaryId,
};
use jarvis_db::queries::consent;
use jarvis_db::queries::event::{self, TranscriptRow};
use jarvis_db::queries::fact::{self, FactFilter, NewFact};
use jarvis_db::queries::member::{self, Member};
use jarvis_db::queries::session::{self, Outcome, Session};
use jarvis_db::queries::summary::NewSummary;
use jarvis_db::{DbError, ScopedTx};
use jarvis_jobs::JobError;

/// Tries after which a session ends `failed`. Crashes count: a try is counted before it starts.
pub const MAX_ATTEMPTS: i32 = 8;

/// The stable notes that processing leaves on a session.
pub mod note {
    /// Spans about health were not stored, for want of consent.
    pub const HEALTH_WITHHELD: &str = "health_withheld";
    /// No embedding model was there; the summary is found by words only.
    pub const EMBEDDING_UNAVAILABLE: &str = "embedding_unavailable";
    /// Facts did not pass the evidence gate or a guard.
    pub const FACTS_REJECTED: &str = "facts_rejected";
    /// Another application had written the summary; it was kept.
    pub const FOREIGN_SUMMARY_KEPT: &str = "foreign_summary_kept";
}

/// Runs the job of one session.
///
/// # Errors
/// Try again; the reason names tables, constraints and codes, never what was said.
pub async fn run(memory: &Memory, job: ProcessSession) -> Result<(), JobError> {
    let done = process_session(memory, job.gym, &job.session).await;
    done.map_err(|error| JobError::retry(error.chain()))
}

/// Makes the memory of a session. Safe to run any number of times: a session that is not waiting is left alone,
/// and everything is written in one transaction with the new state.
pub async fn process_session(memory: &Memory, gym: GymId, id: &SessionId) -> Result<(), MemoryError> {
    let scope = Scope::gym(gym, Actor::Server);
    let mut tx = memory.db.begin(&scope).await?;
    let attempts = session::count_attempt(&mut tx, gym, id).await?;
    tx.commit().await?;
    let Some(attempts) = attempts else { return Ok(()) };
    let result = try_process(memory, gym, &scope, id).await;
    if let Err(error) = &result {
        let give_up = (attempts >= MAX_ATTEMPTS).then_some("attempts_exhausted");
        let mut tx = memory.db.begin(&scope).await?;
        session::note_failure(&mut tx, gym, id, &error.chain(), give_up).await?;
        tx.commit().await?;
        if give_up.is_some() {
            return Ok(());
        }
    }
    result
}

async fn try_process(memory: &Memory, gym: GymId, scope: &Scope, id: &SessionId) -> Result<(), MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let Some(material) = read_material(&mut tx, gym, id).await? else {
        return Ok(());
    };
    tx.commit().await?;
    let now = memory.clock.now();
    let plan = match reason_for_nothing(&material) {
        Some(reason) => Plan::Nothing(reason),
        None => Plan::Remember(Box::new(digest(memory, &material).await?)),
    };
    store(memory, scope, &material, plan, now).await
}

/// What one session is made into memory from.
struct Material {
    session: Session,
    member: Member,
    consents: ConsentSet,
    turns: Vec<Turn>,
}

async fn read_material(
    tx: &mut ScopedTx,
    gym: GymId,
    id: &SessionId,
) -> Result<Option<Material>, MemoryError> {
    let Some(session) = session::find(tx, id).await? else {
        return Ok(None);
    };
    let member = member::find(tx, session.member_id)
        .await?
        .ok_or(DbError::NotFound)?;
    let consents = consent::in_force(tx, gym, member.id).await?;
    let turns = event::list_transcript(tx, gym, id)
        .await?
        .into_iter()
        .map(turn)
        .collect();
    Ok(Some(Material {
        session,
        member,
        consents,
        turns,
    }))
}

fn turn(row: TranscriptRow) -> Turn {
    let speaker = if row.event_type == EventType::UserTranscript {
        Speaker::Member
    } else {
        Speaker::Assistant
    };
    Turn {
        speaker,
        text: row.transcript,
        confidence: row.confidence_score,
        event_id: Some(row.id),
    }
}

impl Material {
    /// The day of the session in the gym's zone: what "hier" and "depuis janvier" are relative to.
    fn session_date(&self) -> chrono::NaiveDate {
        self.member.day_of(self.session.started_at)
    }

    fn duration_seconds(&self) -> Option<i32> {
        let ended = self.session.ended_at?;
        i32::try_from((ended - self.session.started_at).num_seconds()).ok()
    }
}

/// Why there is nothing to remember, if so.
fn reason_for_nothing(material: &Material) -> Option<&'static str> {
    if !material.consents.allows(Purpose::Memory) {
        return Some("no_consent");
    }
    let said = |t: &Turn| t.speaker == Speaker::Member && has_words(&t.text);
    if material.turns.iter().any(said) {
        None
    } else if material.session.withheld_health_spans > 0 {
        Some("no_consent")
    } else {
        Some("no_user_turn")
    }
}

/// Whether anything is left of a turn beside masks and punctuation.
fn has_words(text: &str) -> bool {
    text.replace(extract::HEALTH_MASK, "")
        .chars()
        .any(char::is_alphanumeric)
}

/// What a session is turned into before anything is written.
struct Digest {
    drafts: Vec<FactDraft>,
    rejected: i32,
    summary: summary::Summary,
    sentiment: jarvis_core::Sentiment,
    sentiment_score: f64,
    embedding: Option<Vec<f32>>,
}

enum Plan {
    Nothing(&'static str),
    Remember(Box<Digest>),
}

async fn digest(memory: &Memory, material: &Material) -> Result<Digest, MemoryError> {
    let language = material.session.language;
    let input = ExtractionInput {
        turns: &material.turns,
        language,
        session_date: material.session_date(),
    };
    let (kept, rejected): (Vec<_>, Vec<_>) = extract::extract(&input)
        .into_iter()
        .filter(|d| !d.health || material.consents.allows(Purpose::HealthMemory))
        .partition(|d| passes_evidence_gate(d, &material.turns));
    let (sentiment, sentiment_score) = sentiment::sentiment(&material.turns);
    let summary = summary::summarise(&material.turns, &kept, &material.member.first_name, language);
    let embedding = memory.embedder.passage(&summary.text).await?;
    let rejected = i32::try_from(rejected.len()).unwrap_or(i32::MAX);
    Ok(Digest {
        drafts: kept,
        rejected,
        summary,
        sentiment,
        sentiment_score,
        embedding,
    })
}

/// Writes everything in one transaction. The session's row is locked, so two workers never both write it; when
/// turns arrived while we worked, nothing is written and the session is tried again.
async fn store(
    memory: &Memory,
    scope: &Scope,
    material: &Material,
    plan: Plan,
    now: DateTime<Utc>,
) -> Result<(), MemoryError> {
    let (gym, id) = (material.session.gym_id, &material.session.session_id);
    let mut tx = memory.db.begin(scope).await?;
    let current = session::find_for_update(&mut tx, gym, id).await?;
    let Some(current) = current.filter(|s| s.state == SessionState::Closing) else {
        return Ok(());
    };
    let turns = event::list_transcript(&mut tx, gym, id).await?.len();
    let consents = consent::in_force(&mut tx, gym, material.member.id).await?;
    if turns != material.turns.len() || consents != material.consents {
        return Err(MemoryError::Changed);
    }
    let mut notes = Vec::new();
    if current.withheld_health_spans > 0 {
        notes.push(note::HEALTH_WITHHELD.to_owned());
    }
    let (state, reason, rejected) = match plan {
        Plan::Nothing(reason) => {
            jarvis_db::queries::summary::erase_ours(&mut tx, gym, id).await?;
            (SessionState::Empty, Some(reason), 0)
        }
        Plan::Remember(digest) => {
            let rejected = write_digest(memory, &mut tx, material, *digest, &mut notes, now).await?;
            (SessionState::Processed, None, rejected)
        }
    };
    if rejected > 0 {
        notes.push(note::FACTS_REJECTED.to_owned());
    }
    let extractor = extract::EXTRACTOR;
    let outcome = Outcome {
        state,
        reason,
        notes: &notes,
        facts_rejected: rejected,
        extractor,
        at: now,
    };
    session::finish(&mut tx, gym, id, &outcome).await?;
    tx.commit().await?;
    Ok(())
}

async fn write_digest(
    memory: &Memory,
    tx: &mut ScopedTx,
    material: &Material,
    digest: Digest,
    notes: &mut Vec<String>,
    now: DateTime<Utc>,
) -> Result<i32, MemoryError> {
    let gym = material.session.gym_id;
    let mut rejected = digest.rejected;
    for draft in &digest.drafts {
        if !write_fact(tx, material, draft, now).await? {
            rejected += 1;
        }
    }
    let model = memory.embedder.model().filter(|_| digest.embedding.is_some());
    if model.is_none() {
        notes.push(note::EMBEDDING_UNAVAILABLE.to_owned());
    }
    let summary = NewSummary {
        id: SummaryId::new(now),
        session: &material.session.session_id,
        member: material.member.id,
        text: &digest.summary.text,
        key_topics: &digest.summary.key_topics,
        sentiment: digest.sentiment.as_str(),
        sentiment_score: digest.sentiment_score,
        embedding: digest.embedding,
        embedding_model: model.unwrap_or(UNKNOWN_MODEL),
        language: material.session.language.as_str(),
        duration_seconds: material.duration_seconds(),
        turn_count: i32::try_from(material.turns.len()).unwrap_or(i32::MAX),
        created_at: material.session.ended_at.unwrap_or(now),
    };
    if !jarvis_db::queries::summary::upsert(tx, gym, &summary).await? {
        notes.push(note::FOREIGN_SUMMARY_KEPT.to_owned());
    }
    Ok(rejected)
}

/// Stores, or retires, one fact. False when a guard of the database refused it; the others are not touched,
/// since each fact has its own savepoint.
async fn write_fact(
    tx: &mut ScopedTx,
    material: &Material,
    draft: &FactDraft,
    now: DateTime<Utc>,
) -> Result<bool, MemoryError> {
    let gym = material.session.gym_id;
    let session = &material.session.session_id;
    if !draft.still_true {
        let known = fact::list(tx, gym, material.member.id, FactFilter::default(), now).await?;
        let ended = |old: &&Fact| {
            old.category == draft.category && extract::ends(draft, &old.fact_key, &old.fact_value)
        };
        for old in known.iter().filter(ended) {
            fact::retire(tx, gym, old.id, Some(session)).await?;
        }
        return Ok(true);
    }
    let event = material.turns.get(draft.turn).and_then(|t| t.event_id);
    let new = NewFact {
        id: FactId::new(now),
        member: material.member.id,
        category: draft.category,
        fact_key: &draft.fact_key,
        fact_value: &draft.fact_value,
        confidence: draft.confidence,
        session,
        event,
        quote: &draft.source_quote,
    };
    match fact::upsert_in_savepoint(tx, gym, &new).await {
        Ok(stored) => Ok(stored.is_active && stored.fact_value == draft.fact_value),
        Err(DbError::Refused { .. } | DbError::Invalid { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
