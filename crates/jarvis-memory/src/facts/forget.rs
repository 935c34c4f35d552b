//! Forgetting a fact: its value, its quote, its history, the words it was read out of, and what was made of them.

use super::words::{FORGOTTEN_MASK, by_quotation, overlap, telling_words, without_echoes, without_quote};
use super::{MemoryError, not_found};
use crate::extract::{self, ExtractionInput};
use crate::process::turn;
use crate::{Memory, jobs};
use chrono::{DateTime, Utc};
use jarvis_core::{EventId, EventType, FactId, GymId, Scope, SessionId, SessionState};
use jarvis_db::queries::event::{self, TranscriptRow};
use jarvis_db::queries::fact::person::{self, OwnedFact};
use jarvis_db::queries::fact::{self, forgetting};
use jarvis_db::queries::session::{self, Session};
use jarvis_db::queries::{member, summary, window};
use jarvis_db::{DbError, ScopedTx};
use std::collections::BTreeSet;

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Forgotten {
    /// The fact.
    pub fact_id: FactId,
    /// Facts that are gone: it, and those that were read out of the same words.
    pub facts: usize,
    /// Turns of conversations that lost words.
    pub turns: usize,
    /// Conversations whose memory is made again without it.
    pub sessions: Vec<SessionId>,
}

/// Rounds of reading the same conversation again: each takes the next words that say the same.
const MOST_ROUNDS: usize = 5;

/// Forgets a fact. `scope` must be the server's for `gym`, on behalf of the person who asks.
///
/// In one transaction: the fact goes with its history and with the facts that were read out of the same words; the
/// sentences in which the member said it go (where they tell something else that is known, only these words); sentences
/// of the assistant and calls of tools that repeat a telling word of it go; our summaries of those conversations go with their vectors, and jobs make them again without it. What
/// another application wrote is kept without the sentences that repeat it; alerts and rows of the operator's tables that
/// quote it go.
///
/// # Errors
/// [`jarvis_core::ErrorCode::FactNotFound`] when the gym has no such fact.
pub async fn forget(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    id: FactId,
) -> Result<Forgotten, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(scope).await?;
    let owned = person::find(&mut tx, id).await?.filter(|f| f.gym_id == gym);
    let owned = owned.ok_or_else(not_found)?;
    let mut quotes = forgetting::quotes(&mut tx, gym, id).await?;
    let (sessions, turns) = reword_all(&mut tx, &owned, &mut quotes).await?;
    forgetting::leave_mark(&mut tx, gym, owned.member_id, &owned.fact, now).await?;
    let mut gone: BTreeSet<FactId> = forgetting::facts_of_same_words(&mut tx, gym, owned.member_id, &quotes)
        .await?
        .into_iter()
        .collect();
    gone.insert(id);
    let mut again = sessions.clone();
    for fact in &gone {
        // What was said in other words elsewhere is read again there.
        again.extend(forgetting::conversations(&mut tx, gym, owned.member_id, *fact, &[], &[]).await?);
        forgetting::forget(&mut tx, gym, *fact).await?;
    }
    // Turns outlive their events: those of conversations whose events are gone, too.
    window::erase_saying(&mut tx, gym, owned.member_id, &quotes, &telling(&quotes)).await?;
    forgetting::forget_words(&mut tx, gym, owned.member_id, &quotes).await?;
    let mut made_again = Vec::new();
    for session in again {
        // Of a conversation whose words are gone, what was made stays, without what is forgotten.
        let readable = session::remains(&mut tx, gym, &session).await?.words;
        if sessions.contains(&session) {
            reword_summary(&mut tx, gym, &session, &quotes, !readable).await?;
        }
        if readable && make_again(&mut tx, gym, &session, now).await? {
            made_again.push(session);
        }
    }
    tx.commit().await?;
    Ok(Forgotten {
        fact_id: id,
        facts: gone.len(),
        turns,
        sessions: made_again,
    })
}

/// Takes the words out of every conversation in which they, or others that say the same, were said, or that the assistant
/// brought up again: what one conversation adds to `quotes` is looked for in all. Returns the conversations, and how many turns changed.
async fn reword_all(
    tx: &mut ScopedTx,
    owned: &OwnedFact,
    quotes: &mut Vec<String>,
) -> Result<(BTreeSet<SessionId>, usize), MemoryError> {
    let (gym, member, fact) = (owned.gym_id, owned.member_id, owned.fact.id);
    let mut sessions = BTreeSet::new();
    let mut turns = BTreeSet::new();
    loop {
        let known = quotes.len();
        let words = telling(quotes);
        sessions.extend(forgetting::conversations(tx, gym, member, fact, quotes, &words).await?);
        for session in &sessions {
            turns.extend(reword(tx, owned, session, quotes).await?);
        }
        if quotes.len() == known {
            return Ok((sessions, turns.len()));
        }
    }
}

/// Takes the words out of one conversation. Returns the turns that changed; what else says the same joins `quotes`.
async fn reword(
    tx: &mut ScopedTx,
    owned: &OwnedFact,
    id: &SessionId,
    quotes: &mut Vec<String>,
) -> Result<Vec<EventId>, MemoryError> {
    let gym = owned.gym_id;
    let Some(session) = session::find(tx, id).await? else {
        return Ok(Vec::new());
    };
    let told: Vec<String> = fact::list_of_session(tx, gym, id)
        .await?
        .into_iter()
        .filter_map(|f| f.source_quote.filter(|_| f.id != owned.fact.id))
        .collect();
    let before = event::list_transcript(tx, gym, id).await?;
    let mut after = before.clone();
    for _ in 0..MOST_ROUNDS {
        let kept: Vec<String> = told
            .iter()
            .filter(|told| !quotes.iter().any(|quote| overlap(quote, told)))
            .cloned()
            .collect();
        for row in &mut after {
            take_out(row, quotes, &kept);
        }
        let more = still_said(tx, owned, &session, &after).await?;
        let more: Vec<String> = more.into_iter().filter(|q| !quotes.contains(q)).collect();
        if more.is_empty() {
            break;
        }
        quotes.extend(more);
    }
    let mut changed = Vec::new();
    for (old, new) in before.iter().zip(&after) {
        if old.transcript != new.transcript {
            forgetting::reword_turn(tx, gym, new.id, &new.transcript).await?;
            changed.push(new.id);
        }
    }
    forgetting::clear_tools(tx, gym, id, &telling(quotes)).await?;
    Ok(changed)
}

fn telling(quotes: &[String]) -> Vec<String> {
    telling_words(quotes).into_iter().collect()
}

fn take_out(row: &mut TranscriptRow, quotes: &[String], kept: &[String]) {
    for quote in quotes {
        if let Some(text) = without_quote(&row.transcript, quote, kept) {
            row.transcript = text;
        }
    }
    if row.event_type == EventType::AiTranscript
        && let Some(text) = without_echoes(&row.transcript, quotes)
    {
        row.transcript = text;
    }
}

/// What of a conversation would still be read as the same fact: the same key, or the same slot.
async fn still_said(
    tx: &mut ScopedTx,
    owned: &OwnedFact,
    session: &Session,
    rows: &[TranscriptRow],
) -> Result<Vec<String>, MemoryError> {
    let whose = member::find(tx, owned.member_id)
        .await?
        .ok_or(DbError::NotFound)?;
    let turns: Vec<_> = rows.iter().cloned().map(turn).collect();
    let input = ExtractionInput {
        turns: &turns,
        language: session.language,
        session_date: whose.day_of(session.started_at),
    };
    let mut quotes = Vec::new();
    for draft in extract::extract(&input) {
        if draft.category != owned.fact.category || draft.source_quote.contains(FORGOTTEN_MASK) {
            continue;
        }
        let slot = forgetting::slot_of(tx, draft.category, &draft.fact_key, &draft.fact_value).await?;
        let same_slot = slot.is_some() && slot == owned.fact.slot;
        if same_slot || draft.fact_key == owned.fact.fact_key {
            quotes.push(draft.source_quote);
        }
    }
    Ok(quotes)
}

/// A summary that is not made again loses the sentences that repeat what is forgotten: that of another application, and
/// ours where the conversation is not stored any more.
async fn reword_summary(
    tx: &mut ScopedTx,
    gym: GymId,
    session: &SessionId,
    quotes: &[String],
    with_ours: bool,
) -> Result<(), MemoryError> {
    let Some(kept) = forgetting::kept_summary(tx, gym, session, with_ours).await? else {
        return Ok(());
    };
    let text = by_quotation(&kept.text, |piece| without_echoes(piece, quotes));
    if text.is_none() && without_echoes(&kept.topics, quotes).is_none() {
        return Ok(());
    }
    let text = text.unwrap_or(kept.text);
    // The database knows whether it may stay: of a restricted member it may, of one who refuses memory it may not.
    if !forgetting::reword_summary(tx, gym, kept.id, &text, false).await? {
        forgetting::delete_summary(tx, gym, kept.id).await?;
    }
    Ok(())
}

/// Removes what we made of a conversation and enqueues making it again. One that still goes on is made into memory when
/// it ends.
async fn make_again(
    tx: &mut ScopedTx,
    gym: GymId,
    id: &SessionId,
    now: DateTime<Utc>,
) -> Result<bool, MemoryError> {
    let state = session::find(tx, id).await?.map(|s| s.state);
    if state.is_none_or(|s| s == SessionState::Open) {
        return Ok(false);
    }
    summary::erase_ours(tx, gym, id).await?;
    window::erase_of_session(tx, gym, id).await?;
    session::reprocess(tx, gym, id).await?;
    jobs::enqueue_processing(tx, gym, id, now).await?;
    Ok(true)
}
