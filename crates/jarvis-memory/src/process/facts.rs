//! Storing what was read out of a conversation: facts stored, confirmed and retired.

use super::Material;
use crate::{MemoryError, extract};
use chrono::{DateTime, Utc};
use jarvis_core::{Category, Fact, FactDraft, FactId};
use jarvis_db::queries::fact::{self, FactFilter, NewFact, forgetting};
use jarvis_db::{DbError, ScopedTx};

/// Retires what an earlier try read out of this session and this one does not: a late turn corrected it. Facts of
/// other writers, who cite no event, and facts that were confirmed since stay. So does all that `reader` did not read
/// itself: that rules find less than a model did corrects nothing.
pub(super) async fn retire_unsaid(
    tx: &mut ScopedTx,
    material: &Material,
    drafts: &[FactDraft],
    reader: &str,
) -> Result<(), MemoryError> {
    if material
        .session
        .extractor
        .as_deref()
        .is_some_and(|read| read != reader)
    {
        return Ok(());
    }
    let (gym, session) = (material.session.gym_id, &material.session.session_id);
    for fact in fact::list_of_session(tx, gym, session).await? {
        let ours = fact.is_active && fact.source_event_id.is_some() && fact.times_confirmed == 0;
        let said = drafts
            .iter()
            .any(|d| d.category == fact.category && d.fact_key == fact.fact_key);
        if ours && !said {
            fact::retire(tx, gym, fact.id, Some(session)).await?;
        }
    }
    Ok(())
}

/// Stores, or retires, one fact. False when a guard of the database refused it; the others are not touched,
/// since each fact has its own savepoint.
pub(super) async fn write_fact(
    tx: &mut ScopedTx,
    material: &Material,
    draft: &FactDraft,
    now: DateTime<Utc>,
) -> Result<bool, MemoryError> {
    let gym = material.session.gym_id;
    let session = &material.session.session_id;
    if !draft.still_true {
        let known = fact::list(tx, gym, material.member.id, FactFilter::default(), now).await?;
        let slot = forgetting::slot_of(tx, draft.category, &draft.fact_key, &draft.fact_value).await?;
        // By the key of our own facts, and by the slot of those that others wrote under keys of theirs.
        let ended = |old: &&Fact| {
            let by_slot = slot.as_deref().zip(old.slot.as_deref());
            old.category == draft.category
                && (extract::ends(draft, &old.fact_key, &old.fact_value)
                    || by_slot.is_some_and(|(ended, slot)| is_within(slot, ended)))
        };
        let mut accepted = true;
        for old in known.iter().filter(ended) {
            accepted &= fact::retire(tx, gym, old.id, Some(session)).await?;
        }
        return Ok(accepted);
    }
    let event = material.turns.get(draft.turn).and_then(|t| t.event_id);
    let value = stored_value(draft);
    let said_at = material.said_at.get(draft.turn).copied();
    let what = (draft.category, draft.fact_key.as_str(), &value);
    let whose = material.member.id;
    if forgetting::is_forgotten(
        tx,
        gym,
        whose,
        what,
        said_at.unwrap_or(material.session.started_at),
    )
    .await?
    {
        return Ok(false);
    }
    let new = NewFact {
        id: FactId::new(now),
        member: material.member.id,
        category: draft.category,
        fact_key: &draft.fact_key,
        fact_value: &value,
        confidence: draft.confidence,
        session,
        event,
        quote: &draft.source_quote,
    };
    match fact::upsert_in_savepoint(tx, gym, &new).await {
        Ok(stored) => Ok(stored.is_active && stored.fact_value == value),
        // The consent was withdrawn while we worked; the next try sees it.
        Err(DbError::Refused { code, .. }) if code == "JC001" => Err(MemoryError::Changed),
        Err(DbError::Refused { .. } | DbError::Invalid { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether `slot` is `whole` or a part of it: `injury.knee.right` of `injury.knee`.
fn is_within(slot: &str, whole: &str) -> bool {
    slot.strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A fact about health outside of the category of injuries says so, so that the policies of the database treat it
/// as one.
fn stored_value(draft: &FactDraft) -> serde_json::Value {
    let mut value = draft.fact_value.clone();
    let fields = value
        .as_object_mut()
        .filter(|_| draft.health && draft.category != Category::Injury);
    if let Some(fields) = fields {
        fields.insert("sensitivity".to_owned(), "health".into());
    }
    value
}
