//! From a closed session to memory: transcript, facts, summary, embedding, one transaction.

mod facts;
pub mod note;
pub(crate) mod turns;
mod unworked;

use crate::extract::{self, ExtractionInput, Speaker, Turn, mask_health, passes_evidence_gate};
use crate::facts::FORGOTTEN_MASK;
use crate::heads::{Judge, WITH_HEADS};
use crate::jobs::ProcessSession;
use crate::measure::{self, Facts};
use crate::windows::TurnVectors;
use crate::{Memory, MemoryError, category, quarantine, reader, reembed, sentiment, summary};
use chrono::{DateTime, Utc};
use jarvis_core::embedding::UNKNOWN_MODEL;
use jarvis_core::{
    Actor, ConsentSet, EventType, FactDraft, GymId, Purpose, Scope, SessionId, SessionState, SummaryId,
};
use jarvis_db::queries::consent;
use jarvis_db::queries::event::{self, TranscriptRow};
use jarvis_db::queries::gym::{self as gym_row, EmbeddingModel};
use jarvis_db::queries::member::{self, Member};
use jarvis_db::queries::privacy;
use jarvis_db::queries::session::{self, Outcome, Session};
use jarvis_db::queries::summary::NewSummary;
use jarvis_db::queries::window;
use jarvis_db::{DbError, ScopedTx};
use jarvis_jobs::JobError;
use tokio::time::Instant;

/// Tries after which a session ends `failed`. Crashes count: a try is counted before it starts.
pub const MAX_ATTEMPTS: i32 = 8;

/// What a conversation is worked with at most, in characters: some six hours of talk. All of it stays stored.
const MAX_WORKED_CHARS: usize = 200_000;

/// Runs the job of one session.
///
/// # Errors
/// Try again; the reason names tables, constraints and codes, never what was said.
pub async fn run(memory: &Memory, job: ProcessSession) -> Result<(), JobError> {
    let done = process_session(memory, job.gym, &job.session).await;
    done.map_err(|error| match error.outage() {
        Some(pause) => JobError::wait(error.coded_chain(), pause),
        None => JobError::retry(error.coded_chain()),
    })
}

/// Makes the memory of a session. Safe to run any number of times: a session that is not waiting is left alone,
/// and everything is written in one transaction with the new state.
pub async fn process_session(memory: &Memory, gym: GymId, id: &SessionId) -> Result<(), MemoryError> {
    let scope = Scope::gym(gym, Actor::Server);
    let mut tx = memory.db.begin(&scope).await?;
    if privacy::is_restricted_session(&mut tx, gym, id).await? {
        // Kept, and not worked with; lifting the restriction enqueues it again.
        return Ok(());
    }
    let attempts = session::count_attempt(&mut tx, gym, id).await?;
    tx.commit().await?;
    let Some(attempts) = attempts else { return Ok(()) };
    if attempts > MAX_ATTEMPTS {
        // The tries before this one ended without an answer: killed, timed out or panicked.
        return note_failure(memory, &scope, id, "no try came to its end", attempts).await;
    }
    match try_process(memory, gym, &scope, id).await {
        Ok(()) => Ok(()),
        Err(error) if error.outage().is_some() => {
            let mut tx = memory.db.begin(&scope).await?;
            session::note_waiting(&mut tx, gym, id, &error.chain(), attempts).await?;
            tx.commit().await?;
            Err(error)
        }
        Err(error) => {
            note_failure(memory, &scope, id, &error.chain(), attempts).await?;
            if attempts >= MAX_ATTEMPTS {
                Ok(())
            } else {
                Err(error)
            }
        }
    }
}

/// Notes why a try failed; the last one ends the session as `failed`.
async fn note_failure(
    memory: &Memory,
    scope: &Scope,
    id: &SessionId,
    error: &str,
    attempts: i32,
) -> Result<(), MemoryError> {
    let give_up = (attempts >= MAX_ATTEMPTS).then_some("attempts_exhausted");
    let mut tx = memory.db.begin(scope).await?;
    let gym = tx.gym().ok_or(MemoryError::Bug("processing works for one gym"))?;
    session::note_failure(&mut tx, gym, id, error, attempts, give_up).await?;
    tx.commit().await?;
    if give_up.is_some() {
        measure::gave_up();
    }
    Ok(())
}

async fn try_process(memory: &Memory, gym: GymId, scope: &Scope, id: &SessionId) -> Result<(), MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let Some(material) = read_material(&mut tx, gym, id).await? else {
        return Ok(());
    };
    // Asked after the consents were read: a restriction hides them, and what it keeps must not pass for refused. One that
    // is lifted in between is noticed before anything is written, for the consents have changed then.
    if privacy::is_restricted_session(&mut tx, gym, id).await? {
        return Ok(());
    }
    tx.commit().await?;
    let now = memory.clock.now();
    let (material, plan) = read_out(memory, material).await?;
    store(memory, scope, &material, plan, now).await
}

/// What one session is made into memory from.
struct Material {
    session: Session,
    member: Member,
    consents: ConsentSet,
    /// What the gym's memory is embedded with, and whether models of a provider may read its conversations.
    model: EmbeddingModel,
    /// How many turns are stored with their words.
    stored_turns: i64,
    /// What may be worked with.
    turns: Vec<Turn>,
    /// Turns that tried to steer the assistant.
    quarantined: u64,
    /// When each of them was.
    said_at: Vec<DateTime<Utc>>,
    /// What to know about the turns: stable codes.
    notes: Vec<&'static str>,
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
    let model = gym_row::embedding_model(tx, gym).await?;
    let transcript = event::list_transcript(tx, gym, id).await?;
    let said_at = transcript.iter().map(|row| row.timestamp).collect();
    let mut turns: Vec<Turn> = transcript.into_iter().map(turn).collect();
    let stored_turns = i64::try_from(turns.len()).unwrap_or(i64::MAX);
    let mut notes = Vec::new();
    if session.withheld_health_spans > 0 {
        notes.push(note::HEALTH_WITHHELD);
    }
    if truncate(&mut turns) {
        notes.push(note::TRANSCRIPT_TRUNCATED);
    }
    Ok(Some(Material {
        session,
        member,
        consents,
        model,
        stored_turns,
        turns,
        quarantined: 0,
        said_at,
        notes,
    }))
}

/// Keeps the first [`MAX_WORKED_CHARS`] characters of a conversation; true when there were more.
fn truncate(turns: &mut Vec<Turn>) -> bool {
    let mut left = MAX_WORKED_CHARS;
    let fits = turns.iter().take_while(|t| {
        let length = t.text.chars().count();
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    let kept = fits.count();
    let cut = kept < turns.len();
    turns.truncate(kept);
    cut
}

/// A stored turn, as the rules read it.
pub(crate) fn turn(row: TranscriptRow) -> Turn {
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
    } else if material.quarantined > 0 {
        Some("quarantined")
    } else if material.notes.contains(&note::HEALTH_WITHHELD) {
        Some("no_consent")
    } else {
        Some("no_user_turn")
    }
}

/// Whether anything is left of a turn beside masks and punctuation.
fn has_words(text: &str) -> bool {
    text.replace(extract::HEALTH_MASK, "")
        .replace(FORGOTTEN_MASK, "")
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
    /// What read the conversation.
    extractor: &'static str,
    embedding: Option<Vec<f32>>,
    turns: TurnVectors,
    /// The model that read the conversation; the rules did without one.
    read_by: Option<String>,
    /// Why the rules read it although a model should have.
    degraded: Option<&'static str>,
    /// What to know about vectors that are not there: stable codes.
    lacks: Vec<&'static str>,
    /// Vectors are to follow, since time ran out or the provider went away.
    incomplete: bool,
}

impl Digest {
    /// What read the conversation: the model, or the rules.
    fn reader(&self) -> &str {
        self.read_by.as_deref().unwrap_or(self.extractor)
    }
}

enum Plan {
    Nothing(&'static str),
    Remember(Box<Digest>),
}

/// Works out what to write, before anything is locked.
async fn read_out(memory: &Memory, mut material: Material) -> Result<(Material, Plan), MemoryError> {
    // A long conversation takes a second of computing, which must not hold up the requests of others.
    let judge = Judge::of_gym(&memory.embedder, &material.model.name);
    let compute = move || {
        unworked::quarantine_turns(&mut material);
        unworked::withhold_health(&mut material);
        let plan = match reason_for_nothing(&material) {
            Some(reason) => Plan::Nothing(reason),
            None => Plan::Remember(Box::new(digest(&material, judge.as_ref()))),
        };
        (material, plan)
    };
    let (material, mut plan) = tokio::task::spawn_blocking(compute)
        .await
        .map_err(|_| MemoryError::Bug("reading a conversation panicked"))?;
    if let Plan::Remember(digest) = &mut plan {
        turns::embed_and_read(memory, &material, digest).await?;
    }
    Ok((material, plan))
}

/// Replaces what the rules read by what a model reads before `until`, or notes why not.
async fn read_by_model(
    memory: &Memory,
    material: &Material,
    digest: &mut Digest,
    until: Instant,
) -> Result<(), MemoryError> {
    let conversation = reader::Conversation {
        gym: material.session.gym_id,
        session: &material.session.session_id,
        turns: &material.turns,
        language: material.session.language,
        day: material.session_date(),
        health: material.consents.allows(Purpose::HealthMemory),
    };
    match reader::read(memory, &conversation, until).await? {
        Ok(reading) if quarantine::steers(&reading.summary.text) => {
            tracing::warn!("the summary of a model tried to steer: the rules read the conversation");
            digest.degraded = Some(reader::degraded::STEERS);
        }
        Ok(reading) => {
            if reading.first_shown > 0 {
                digest.lacks.push(note::READING_CUT);
            }
            digest.rejected = reading.rejected;
            digest.summary = reading.summary.clone();
            digest.sentiment = reading.sentiment;
            digest.sentiment_score = reading.sentiment_score;
            digest.drafts = reading.with_those_before(&digest.drafts);
            digest.read_by = memory.reader.as_ref().map(|reader| reader.model.clone());
        }
        Err(reason) => {
            tracing::warn!(reason, "no model read a conversation: the rules did");
            digest.degraded = Some(reason);
        }
    }
    Ok(())
}

/// What a conversation says: facts, sentiment, summary.
fn digest(material: &Material, judge: Option<&Judge>) -> Digest {
    let language = material.session.language;
    let health = material.consents.allows(Purpose::HealthMemory);
    let session_date = material.session_date();
    let input = ExtractionInput {
        turns: &material.turns,
        language,
        session_date,
    };
    let (mut drafts, rejected): (Vec<_>, Vec<_>) = extract::extract(&input)
        .into_iter()
        .filter(|d| !d.health || health)
        .partition(|d| passes_evidence_gate(d, &material.turns));
    if let Some(judge) = judge {
        category::doubt(&mut drafts, judge);
    }
    let (sentiment, sentiment_score) = sentiment::read(&material.turns, judge);
    let mut spoken = material.turns.clone();
    for turn in &mut spoken {
        turn.text = turn
            .text
            .replace(extract::HEALTH_MASK, " ")
            .replace(FORGOTTEN_MASK, " ");
    }
    let summary = summary::summarise(&spoken, &drafts, &material.member.first_name, language);
    let rejected = i32::try_from(rejected.len()).unwrap_or(i32::MAX);
    Digest {
        drafts,
        rejected,
        summary,
        sentiment,
        sentiment_score,
        extractor: judge.map_or(extract::EXTRACTOR, |_| WITH_HEADS),
        embedding: None,
        read_by: None,
        degraded: None,
        turns: TurnVectors::new(),
        lacks: Vec::new(),
        incomplete: false,
    }
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
    if current.as_ref().is_none_or(|s| s.state != SessionState::Closing) {
        return Ok(());
    }
    let attempts = current.map(|s| s.attempts);
    let stored = event::count(&mut tx, gym, id).await?;
    let consents = consent::in_force(&mut tx, gym, material.member.id).await?;
    // Somebody had words forgotten while we worked with them: the tries are counted from zero again.
    if attempts != Some(material.session.attempts) {
        return Err(MemoryError::Changed);
    }
    if stored.user_turns + stored.assistant_turns != material.stored_turns || consents != material.consents {
        return Err(MemoryError::Changed);
    }
    // The gym switched to another model, or changed its mind about those of a provider.
    if gym_row::embedding_model_for_share(&mut tx, gym).await? != material.model {
        return Err(MemoryError::Changed);
    }
    let mut notes: Vec<String> = material.notes.iter().map(|&n| n.to_owned()).collect();
    let mut facts = Facts::default();
    let mut extractor = extract::EXTRACTOR.to_owned();
    let mut degraded_reason = None;
    let mut incomplete = false;
    let (state, reason, rejected) = match plan {
        Plan::Nothing(reason) => {
            jarvis_db::queries::summary::erase_ours(&mut tx, gym, id).await?;
            window::erase_of_session(&mut tx, gym, id).await?;
            (SessionState::Empty, Some(reason), 0)
        }
        Plan::Remember(digest) => {
            digest.reader().clone_into(&mut extractor);
            degraded_reason = digest.degraded;
            incomplete = digest.incomplete;
            (facts.read, facts.without_evidence) = (digest.drafts.len(), digest.rejected);
            let rejected = write_digest(&mut tx, material, *digest, &mut notes, now).await?;
            (SessionState::Processed, None, rejected)
        }
    };
    if rejected > 0 {
        notes.push(note::FACTS_REJECTED.to_owned());
    }
    let outcome = Outcome {
        state,
        reason,
        notes: &notes,
        facts_rejected: rejected,
        extractor: &extractor,
        degraded_reason,
        at: now,
    };
    session::finish(&mut tx, gym, id, &outcome).await?;
    if incomplete {
        reembed::enqueue_backfill(&mut tx, gym, now).await?;
    }
    tx.commit().await?;
    facts.rejected = rejected;
    measure::quarantined(material.quarantined);
    measure::processed(state, material.session.ended_at, now, facts);
    Ok(())
}

async fn write_digest(
    tx: &mut ScopedTx,
    material: &Material,
    digest: Digest,
    notes: &mut Vec<String>,
    now: DateTime<Utc>,
) -> Result<i32, MemoryError> {
    let gym = material.session.gym_id;
    let mut rejected = digest.rejected;
    for draft in &digest.drafts {
        if !facts::write_fact(tx, material, draft, now).await? {
            rejected += 1;
        }
    }
    if digest.degraded.is_none() {
        facts::retire_unsaid(tx, material, &digest.drafts, digest.reader()).await?;
    }
    let model = digest.embedding.as_ref().map(|_| material.model.name.as_str());
    notes.extend(digest.lacks.iter().map(|&code| code.to_owned()));
    if digest.incomplete {
        notes.push(note::EMBEDDING_FOLLOWS.to_owned());
    }
    turns::write(tx, material, &digest.turns).await?;
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
        tells_health: mask_health(&digest.summary.text, material.session.language).spans > 0,
    };
    if !jarvis_db::queries::summary::upsert(tx, gym, &summary).await? {
        notes.push(note::FOREIGN_SUMMARY_KEPT.to_owned());
    }
    Ok(rejected)
}
