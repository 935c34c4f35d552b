//! Events as they happen. What is acknowledged is on disk.

use super::{KioskIdentity, end_revoked, intake, is_sealed, own_session};
use crate::extract::mask_health;
use crate::{Memory, MemoryError, jobs, measure};
use chrono::{DateTime, TimeDelta, Utc};
use jarvis_core::{ConsentSet, ErrorCode, EventId, Language, NewEvent, Purpose, SessionId, SessionState};
use jarvis_db::queries::event::{self, EventRow};
use jarvis_db::queries::session::Heard;
use jarvis_db::queries::{consent, kiosk, session};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// A kiosk may buffer events while its network is down, for this long before its session started by our clock.
const EARLIEST_BEFORE_START: TimeDelta = TimeDelta::hours(24);
/// A kiosk's clock may be ahead of ours by this much.
const LATEST_AHEAD: TimeDelta = TimeDelta::minutes(5);
/// The most events of one request.
pub const MAX_EVENTS: usize = 5_000;
/// The longest name or id inside an event, in characters.
pub const MAX_NAME_CHARS: usize = 256;
/// The largest `tool_args` or `tool_result`, in bytes of JSON.
pub const MAX_JSON_BYTES: usize = 64 * 1024;

/// One item of a request: an event, or why it is none.
pub type Submitted = Result<NewEvent, String>;

/// An event that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedEvent {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Its id; none when it was there already.
    pub id: Option<EventId>,
    /// The same `provider_event_id` had been stored before.
    pub duplicate: bool,
    /// Its time was impossible, and the time of arrival was kept instead.
    pub timestamp_adjusted: bool,
}

/// An event that was not stored, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedEvent {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The field and what it must be; never the value.
    pub detail: String,
}

/// What became of every event of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// On disk.
    pub accepted: Vec<AcceptedEvent>,
    /// Not stored; the others are.
    pub rejected: Vec<RejectedEvent>,
    /// Spans about health that were not stored, for want of consent.
    pub withheld_health_spans: usize,
}

/// Stores events of one of the kiosk's own sessions, if the kiosk is still paired. One invalid or repeated event never
/// loses the others.
///
/// Text is left out without the consent `memory`, and spans about health without `health_memory`. Within ten
/// minutes of the end, late events send the session to processing again; later they are refused.
pub async fn record(
    memory: &Memory,
    kiosk: &KioskIdentity,
    id: &SessionId,
    submitted: Vec<Submitted>,
) -> Result<Recorded, MemoryError> {
    if submitted.is_empty() || submitted.len() > MAX_EVENTS {
        let detail = format!("1 to {MAX_EVENTS} events in one request");
        return Err(MemoryError::refused_because(ErrorCode::InvalidRequest, detail));
    }
    let submitted = Arc::new(submitted);
    let recorded = if intake::is_few(&submitted) {
        intake::record_together(memory, kiosk, id, submitted).await?
    } else {
        record_alone(memory, kiosk, id, submitted).await?
    };
    measure::recorded(&recorded);
    Ok(recorded)
}

/// Tries until the consents stand still between reading and storing.
const ATTEMPTS: u8 = 3;

/// Stores a request in a transaction of its own.
pub(super) async fn record_alone(
    memory: &Memory,
    kiosk: &KioskIdentity,
    id: &SessionId,
    submitted: Arc<Vec<Submitted>>,
) -> Result<Recorded, MemoryError> {
    for _ in 0..ATTEMPTS {
        let batch = prepare(memory, kiosk, id, Arc::clone(&submitted)).await?;
        if let Some(recorded) = store(memory, kiosk, id, batch).await? {
            return Ok(recorded);
        }
    }
    Err(MemoryError::Changed)
}

/// Checks and masks the events, before anything is locked: a large batch takes seconds of computing.
async fn prepare(
    memory: &Memory,
    kiosk: &KioskIdentity,
    id: &SessionId,
    submitted: Arc<Vec<Submitted>>,
) -> Result<Batch, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(&kiosk.scope()).await?;
    let paired = kiosk::find(&mut tx, kiosk.kiosk).await?;
    let session = session::find(&mut tx, id)
        .await?
        .filter(|s| s.kiosk_id == Some(kiosk.kiosk));
    let consents = match &session {
        Some(session) => consent::in_force(&mut tx, kiosk.gym, session.member_id).await?,
        None => ConsentSet::default(),
    };
    tx.commit().await?;
    let paired = paired.ok_or_else(|| MemoryError::refused(ErrorCode::Unauthenticated))?;
    if !paired.is_active() {
        // Revoking may have raced with a badge being read.
        end_revoked(memory, kiosk, &kiosk.scope()).await?;
        return Err(MemoryError::refused(ErrorCode::KioskRevoked));
    }
    let session = session.ok_or_else(|| MemoryError::refused(ErrorCode::SessionNotFound))?;
    let heard = Heard {
        member_id: session.member_id,
        language: session.language,
        state: session.state,
        started_at: session.started_at,
        last_event_at: session.last_event_at,
        ended_at: session.ended_at,
    };
    let mut batch = Batch::new(&heard, consents, now);
    tokio::task::spawn_blocking(move || {
        batch.add_all(&submitted);
        batch
    })
    .await
    .map_err(|_| MemoryError::Bug("masking events panicked"))
}

/// Stores a batch in one transaction. `None` when the consents changed since it was prepared.
async fn store(
    memory: &Memory,
    kiosk: &KioskIdentity,
    id: &SessionId,
    batch: Batch,
) -> Result<Option<Recorded>, MemoryError> {
    let now = batch.now;
    let mut tx = memory.db.begin(&kiosk.scope()).await?;
    let session = own_session(&mut tx, kiosk, id).await?;
    if is_sealed(session.ended_at, now) {
        return Err(MemoryError::refused(ErrorCode::SessionClosed));
    }
    if consent::in_force(&mut tx, kiosk.gym, session.member_id).await? != batch.consents {
        return Ok(None);
    }
    if batch.rows.is_empty() {
        return Ok(Some(batch.recorded));
    }
    let new = event::insert_many(&mut tx, kiosk.gym, id, session.member_id, &batch.rows, now).await?;
    if !new.is_empty() {
        session::note_events(&mut tx, kiosk.gym, id, batch.withheld(), now).await?;
        if session.state != SessionState::Open {
            jobs::enqueue_processing(&mut tx, kiosk.gym, id, now).await?;
        }
    }
    tx.commit().await?;
    Ok(Some(batch.stored(&new.into_iter().collect())))
}

/// Events on their way to the database.
pub(super) struct Batch {
    language: Language,
    started_at: DateTime<Utc>,
    consents: ConsentSet,
    now: DateTime<Utc>,
    /// When the events count as said unless they know better: now, and never before the session's last event.
    arrived: DateTime<Utc>,
    pub(super) rows: Vec<EventRow>,
    recorded: Recorded,
}

impl Batch {
    pub(super) fn new(session: &Heard, consents: ConsentSet, now: DateTime<Utc>) -> Self {
        Self {
            language: session.language,
            started_at: session.started_at,
            consents,
            now,
            // Our clock may have been set back since the last event: what is said later stays later.
            arrived: session.last_event_at.map_or(now, |last| now.max(last)),
            rows: Vec::new(),
            recorded: Recorded::default(),
        }
    }

    pub(super) fn add_all(&mut self, submitted: &[Submitted]) {
        self.rows.reserve(submitted.len());
        self.recorded.accepted.reserve(submitted.len());
        for (index, item) in submitted.iter().enumerate() {
            match item {
                Ok(event) => self.add(index, event.clone()),
                Err(detail) => self.reject(index, detail.clone()),
            }
        }
    }

    /// Spans about health that were left out.
    pub(super) fn withheld(&self) -> i32 {
        i32::try_from(self.recorded.withheld_health_spans).unwrap_or(i32::MAX)
    }

    /// What became of it, now that these events of it are new.
    pub(super) fn stored(self, new: &HashSet<EventId>) -> Recorded {
        let mut recorded = self.recorded;
        for accepted in &mut recorded.accepted {
            accepted.id = accepted.id.filter(|id| new.contains(id));
            accepted.duplicate = accepted.id.is_none();
        }
        recorded
    }

    fn reject(&mut self, index: usize, detail: String) {
        self.recorded.rejected.push(RejectedEvent { index, detail });
    }

    fn add(&mut self, index: usize, mut event: NewEvent) {
        // An empty id identifies nothing.
        event.provider_event_id = event.provider_event_id.filter(|id| !id.is_empty());
        if let Err(detail) = check(&event) {
            return self.reject(index, detail.to_owned());
        }
        self.withhold(&mut event);
        let (timestamp, timestamp_adjusted) = self.time_of(&event);
        let id = EventId::new(self.arrived);
        self.rows.push(EventRow { id, event, timestamp });
        self.recorded.accepted.push(AcceptedEvent {
            index,
            id: Some(id),
            duplicate: false,
            timestamp_adjusted,
        });
    }

    fn time_of(&self, event: &NewEvent) -> (DateTime<Utc>, bool) {
        let Some(at) = event.timestamp else {
            return (self.arrived, false);
        };
        let possible = self.started_at - EARLIEST_BEFORE_START <= at && at <= self.now + LATEST_AHEAD;
        if possible {
            (at, false)
        } else {
            (self.arrived, true)
        }
    }

    /// Takes out what may not be stored. The database drops text without `memory` again, should the consent be
    /// withdrawn in the same instant. What a tool was told or answered can spell health in more ways than words
    /// can be recognised in, so without `health_memory` none of it is kept.
    fn withhold(&mut self, event: &mut NewEvent) {
        if !self.consents.allows(Purpose::Memory) {
            event.transcript = None;
            event.tool_args = None;
            event.tool_result = None;
        } else if !self.consents.allows(Purpose::HealthMemory) {
            let language = self.language;
            let mut spans = event
                .transcript
                .as_mut()
                .map_or(0, |text| mask_text(text, language));
            for value in [event.tool_args.take(), event.tool_result.take()]
                .into_iter()
                .flatten()
            {
                spans += mask_health(&value.to_string(), language).spans;
            }
            self.recorded.withheld_health_spans += spans;
        }
    }
}

fn mask_text(text: &mut String, language: Language) -> usize {
    let masked = mask_health(text, language);
    if masked.spans > 0 {
        *text = masked.text;
    }
    masked.spans
}

/// Whether a text is an identifier, in which nobody can say anything.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:/-".contains(c);
    (1..=MAX_NAME_CHARS).contains(&text.len()) && text.chars().all(allowed)
}

fn check(event: &NewEvent) -> Result<(), &'static str> {
    if event
        .transcript
        .as_ref()
        .is_some_and(|t| t.chars().count() > NewEvent::MAX_TRANSCRIPT_CHARS)
    {
        return Err("transcript: at most 20000 characters");
    }
    if event.transcript.as_ref().is_some_and(|t| t.contains('\0')) {
        return Err("transcript: no NUL character");
    }
    if !event.tool_name.as_deref().is_none_or(is_name) {
        return Err("tool_name: 1 to 256 of A-Z a-z 0-9 _ . : / -");
    }
    if !event.provider_event_id.as_deref().is_none_or(is_name) {
        return Err("provider_event_id: 1 to 256 of A-Z a-z 0-9 _ . : / -");
    }
    if event.confidence_score.is_some_and(|c| !(0.0..=1.0).contains(&c)) {
        return Err("confidence_score: 0 to 1");
    }
    if event.turn_number.is_some_and(|n| n < 0) {
        return Err("turn_number: 0 or more");
    }
    if event.audio_duration_ms.is_some_and(|ms| ms < 0) {
        return Err("audio_duration_ms: 0 or more");
    }
    for (value, message) in [
        (
            &event.tool_args,
            "tool_args: at most 64 KiB of JSON, without the NUL character",
        ),
        (
            &event.tool_result,
            "tool_result: at most 64 KiB of JSON, without the NUL character",
        ),
    ] {
        let text = value.as_ref().map(Value::to_string).unwrap_or_default();
        if text.len() > MAX_JSON_BYTES || text.contains("\\u0000") {
            return Err(message);
        }
    }
    Ok(())
}
