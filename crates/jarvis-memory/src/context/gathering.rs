//! Reads what is known of a member, as far as they agreed, by a deadline: a member stands before the kiosk.

use super::fitting::{Known, Relevant, build};
use super::{BY_WORDS_ALONE, Context, KnownAlert, KnownConversation, KnownTurn, OUT_OF_TIME};
use crate::recall::{self, DEFAULT_THRESHOLD, MAX_QUERY_CHARS, RecallMethod, Recalled, WEIGHTS};
use crate::sessions::KioskIdentity;
use crate::{Memory, MemoryError};
use chrono::{DateTime, Utc};
use jarvis_core::{
    Category, ConsentSet, ErrorCode, EventId, Fact, Language, MemberId, NewEvent, Purpose, Scope, SessionId,
};
use jarvis_db::ScopedTx;
use jarvis_db::queries::audit::{self, Read};
use jarvis_db::queries::fact::{self, FactFilter};
use jarvis_db::queries::member::{self, Member};
use jarvis_db::queries::summary::{self, Summary};
use jarvis_db::queries::window::{self, Near, Question};
use jarvis_db::queries::{alert, consent, gym};
use jarvis_observe::METRICS;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The longest words a context is made for, in characters: those of the longest turn that is recorded. Of longer ones than
/// a question may have, the last count.
pub const MAX_WORDS_CHARS: usize = NewEvent::MAX_TRANSCRIPT_CHARS;

/// How long the words may take to be embedded; then the words alone are looked for. The local models take some 30 ms.
const MEANING_WITHIN: Duration = Duration::from_millis(400);
/// How long the search may take, by meaning or by words. Facts are there already.
const SEARCH_WITHIN: Duration = Duration::from_millis(500);
/// Memories offered at most.
const MAX_MEMORIES: usize = 3;
/// Turns offered at most.
const MAX_TURNS: usize = 3;
/// Alerts offered at most.
const MAX_ALERTS: i64 = 3;
/// Turns and summaries that are looked at; a fact is as near as the turn that it was said in.
const LOOKED_AT: i32 = 50;
/// Facts beside the injuries that are looked at; more would not fit.
const MAX_OTHER_FACTS: i64 = 40;
/// From here on a fact or a turn has to do with what the member says. A memory may have less: the best are offered.
const FITS: f64 = 0.3;

/// Reads what is known of a member, as far as they agreed, and builds the context. No model is asked: opening a
/// session waits for nothing but the database.
///
/// Before the first word nobody knows what the member will say. The last conversation and those nearest to it are
/// the best guess; once they speak, [`in_session`] takes their words.
pub(crate) async fn read(
    tx: &mut ScopedTx,
    member: &Member,
    consents: &ConsentSet,
    language: Language,
    now: DateTime<Utc>,
) -> Result<Context, MemoryError> {
    if !consents.allows(Purpose::Memory) {
        return Ok(build(member, consents, language, Known::default(), now));
    }
    let facts = list_facts(tx, member, now).await?;
    let last = summary::list_newest(tx, member.gym_id, member.id, 1)
        .await?
        .into_iter()
        .next();
    let (near, complete) = before_the_first_word(tx, member, &facts, last.as_ref()).await?;
    let told = |at, summary| KnownConversation {
        date: member.day_of(at),
        summary,
    };
    let mut memories: Vec<_> = last
        .into_iter()
        .map(|s| told(s.created_at, s.summary_text))
        .collect();
    memories.extend(near.into_iter().filter_map(|m| Some(told(m.at, m.summary_text?))));
    dedup(&mut memories);
    memories.truncate(MAX_MEMORIES);
    let known = Known {
        facts,
        memories,
        alerts: list_alerts(tx, member, now).await?,
        notes: if complete { Vec::new() } else { vec![OUT_OF_TIME] },
        ..Known::default()
    };
    Ok(build(member, consents, language, known, now))
}

/// The conversations nearest to the open goals and to the last one, by words and by the direction that is stored.
async fn before_the_first_word(
    tx: &mut ScopedTx,
    member: &Member,
    facts: &[Fact],
    last: Option<&Summary>,
) -> Result<(Vec<Near>, bool), MemoryError> {
    let Some(last) = last else {
        return Ok((Vec::new(), true));
    };
    let goals = facts.iter().filter(|f| f.category == Category::Goal);
    let mut words: Vec<&str> = goals.filter_map(|f| f.source_quote.as_deref()).collect();
    words.push(&last.summary_text);
    let words = words.join(" ");
    let model = gym::embedding_model(tx, member.gym_id).await?;
    let vector = window::last_direction(tx, member.gym_id, member.id, &model.name).await?;
    let question = Question {
        text: first_chars(&words, MAX_QUERY_CHARS),
        // By many goals and a whole summary everything would be meant.
        concepts: &[],
        vector: vector.as_deref(),
        with_turns: false,
        with_health: false,
        weights: WEIGHTS,
        k: 1 + i32::try_from(MAX_MEMORIES).unwrap_or(1),
    };
    let (mut near, complete) =
        window::recall_by(tx, member.gym_id, member.id, &question, SEARCH_WITHIN).await?;
    near.retain(|near| near.similarity >= DEFAULT_THRESHOLD);
    Ok((near, complete))
}

/// The context that the next session of a member would be given. `None` when the scope sees no such member.
pub async fn preview(
    memory: &Memory,
    scope: Scope,
    member: MemberId,
) -> Result<Option<Context>, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(&scope).await?;
    let Some(member) = member::find(&mut tx, member).await? else {
        return Ok(None);
    };
    let consents = consent::in_force(&mut tx, member.gym_id, member.id).await?;
    let language = member.language;
    let context = read(&mut tx, &member, &consents, language, now).await?;
    audit::note_read(&mut tx, member.gym_id, member.id, Read::Context, None).await?;
    tx.commit().await?;
    Ok(Some(context))
}

/// The context for what the member of a kiosk's open session says now. Facts are read whatever it takes; what fits the
/// words is looked for by a deadline, and [`Context::notes`] say what was left out.
pub async fn in_session(
    memory: &Memory,
    kiosk: &KioskIdentity,
    id: &SessionId,
    words: &str,
) -> Result<Context, MemoryError> {
    check(words)?;
    let session = recall::open_session(memory, kiosk, id).await?;
    let asked = Asked {
        member: session.member_id,
        language: Some(session.language),
        session: Some(id),
        words,
    };
    for_words(memory, kiosk.scope(), &asked).await
}

/// As [`in_session`], for a member who is not there: what the assistant would be given if they said this.
pub async fn preview_for_words(
    memory: &Memory,
    scope: Scope,
    member: MemberId,
    words: &str,
) -> Result<Context, MemoryError> {
    check(words)?;
    let asked = Asked {
        member,
        language: None,
        session: None,
        words,
    };
    for_words(memory, scope, &asked).await
}

fn check(words: &str) -> Result<(), MemoryError> {
    if words.trim().is_empty() || words.chars().count() > MAX_WORDS_CHARS || words.contains('\0') {
        let detail = format!("words: 1 to {MAX_WORDS_CHARS} characters");
        return Err(MemoryError::refused_because(ErrorCode::InvalidRequest, detail));
    }
    Ok(())
}

/// What a member says, and where.
struct Asked<'a> {
    member: MemberId,
    /// The member's own when absent.
    language: Option<Language>,
    /// The conversation, for the audit.
    session: Option<&'a SessionId>,
    words: &'a str,
}

async fn for_words(memory: &Memory, scope: Scope, asked: &Asked<'_>) -> Result<Context, MemoryError> {
    let now = memory.clock.now();
    let words = last_chars(asked.words.trim(), MAX_QUERY_CHARS);
    let (member, consents, model) = {
        let mut tx = memory.db.begin(&scope).await?;
        let member = find(&mut tx, asked.member).await?;
        let consents = consent::in_force(&mut tx, member.gym_id, member.id).await?;
        let model = gym::embedding_model(&mut tx, member.gym_id).await?;
        tx.commit().await?;
        (member, consents, model)
    };
    let language = asked.language.unwrap_or(member.language);
    // Without the consent the words are shown to no provider either.
    let vector = if consents.allows(Purpose::Memory) {
        embedded_in_time(memory, &member, model, words).await?
    } else {
        None
    };
    let mut tx = memory.db.begin(&scope).await?;
    // They may have withdrawn meanwhile.
    let consents = consent::in_force(&mut tx, member.gym_id, member.id).await?;
    if !consents.allows(Purpose::Memory) {
        return Ok(build(&member, &consents, language, Known::default(), now));
    }
    let started = Instant::now();
    let with_health = recall::may_hear_health(&scope, &consents);
    let concepts = recall::named_in(words);
    let question = Question {
        text: words,
        concepts: &concepts,
        vector: vector.as_deref(),
        with_turns: true,
        with_health,
        weights: WEIGHTS,
        k: LOOKED_AT,
    };
    let facts = list_facts(&mut tx, &member, now).await?;
    let shared = fact::sharing_words(&mut tx, member.gym_id, member.id, language.as_str(), words).await?;
    let shared = shared.into_iter().map(|s| (s.fact, s.share)).collect();
    let alerts = list_alerts(&mut tx, &member, now).await?;
    let (near, complete) =
        window::recall_by(&mut tx, member.gym_id, member.id, &question, SEARCH_WITHIN).await?;
    let said_in = near
        .iter()
        .map(|row| (EventId::from(row.id), row.similarity))
        .collect();
    let recalled =
        recall::ranked(near, &question, complete, DEFAULT_THRESHOLD).told(with_health, member.language);
    METRICS
        .recall_duration
        .observe_as(&[recalled.method.as_str()], started.elapsed());
    let relevant = Relevant { shared, said_in };
    let known = known_for_words(&member, facts, alerts, recalled, &relevant);
    let context = build(&member, &consents, language, known, now);
    if context.facts.iter().any(|f| f.category == Category::Injury) {
        let of = asked.session.map(SessionId::as_str);
        audit::note_read(&mut tx, member.gym_id, member.id, Read::Context, of).await?;
        tx.commit().await?;
    }
    Ok(context)
}

/// What is told for some words: of the facts those first that have to do with them.
fn known_for_words(
    member: &Member,
    facts: Vec<Fact>,
    alerts: Vec<KnownAlert>,
    recalled: Recalled,
    relevant: &Relevant,
) -> Known {
    let (facts, fitting) = relevant.first(facts, FITS);
    let mut notes = Vec::new();
    if recalled.method == RecallMethod::FullText {
        notes.push(BY_WORDS_ALONE);
    }
    if !recalled.complete {
        notes.push(OUT_OF_TIME);
    }
    // Who did not look at everything cannot say that there is nothing.
    let nothing_noted = recalled.nothing_noted && fitting.is_empty() && recalled.complete;
    let mut memories: Vec<_> = recalled
        .memories
        .into_iter()
        .map(|m| KnownConversation {
            date: member.day_of(m.created_at),
            summary: m.summary_text,
        })
        .collect();
    dedup(&mut memories);
    memories.truncate(MAX_MEMORIES);
    // Not twice.
    let quotes = || facts.iter().filter_map(|f| f.source_quote.as_deref());
    let told = |words: &str| {
        memories.iter().any(|m| m.summary.contains(words)) || quotes().any(|quote| quote.contains(words))
    };
    let said = recalled
        .turns
        .into_iter()
        .filter(|t| t.speaker == "member" && t.similarity >= FITS && !told(&t.said))
        .map(|t| KnownTurn {
            date: member.day_of(t.said_at),
            said: t.said,
        })
        .take(MAX_TURNS)
        .collect();
    Known {
        facts,
        fitting: Some(fitting),
        memories,
        said,
        alerts,
        nothing_noted,
        notes,
    }
}

async fn find(tx: &mut ScopedTx, member: MemberId) -> Result<Member, MemoryError> {
    let found = member::find(tx, member).await?;
    found.ok_or_else(|| MemoryError::refused(ErrorCode::MemberNotFound))
}

async fn list_facts(
    tx: &mut ScopedTx,
    member: &Member,
    now: DateTime<Utc>,
) -> Result<Vec<Fact>, MemoryError> {
    let filter = FactFilter {
        most_others: Some(MAX_OTHER_FACTS),
        ..FactFilter::default()
    };
    Ok(fact::list(tx, member.gym_id, member.id, filter, now).await?)
}

async fn list_alerts(
    tx: &mut ScopedTx,
    member: &Member,
    now: DateTime<Utc>,
) -> Result<Vec<KnownAlert>, MemoryError> {
    let alerts = alert::list_mentionable(tx, member.gym_id, member.id, now, MAX_ALERTS).await?;
    let known = alerts.into_iter().map(|alert| KnownAlert {
        about: alert.alert_type,
        title: alert.title,
        date: member.day_of(alert.created_at),
    });
    Ok(known.collect())
}

/// The vector of the words, if it is there in time. What a provider counts is entered in the ledger even when nobody
/// waits for its answer any more.
async fn embedded_in_time(
    memory: &Memory,
    member: &Member,
    model: gym::EmbeddingModel,
    words: &str,
) -> Result<Option<Vec<f32>>, MemoryError> {
    let (owned, gym, words) = (memory.clone(), member.gym_id, words.to_owned());
    let mut embedding = Box::pin(async move { recall::embedded(&owned, gym, &model, &words).await });
    if let Ok(vector) = tokio::time::timeout(MEANING_WITHIN, &mut embedding).await {
        return vector;
    }
    tokio::spawn(embedding);
    tracing::warn!("the words of a turn were not embedded in time: its context is by words");
    Ok(None)
}

fn dedup(memories: &mut Vec<KnownConversation>) {
    let mut seen = HashSet::new();
    memories.retain(|m| seen.insert((m.date, m.summary.clone())));
}

/// At most so many characters from the beginning.
fn first_chars(text: &str, most: usize) -> &str {
    text.char_indices()
        .nth(most)
        .map_or(text, |(end, _)| &text[..end])
}

/// At most so many characters from the end: what was said last is what is asked.
fn last_chars(text: &str, most: usize) -> &str {
    let too_many = text.chars().count().saturating_sub(most);
    text.char_indices()
        .nth(too_many)
        .map_or("", |(start, _)| &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_words_the_last_count() {
        assert_eq!(last_chars("été", 2), "té");
        assert_eq!(last_chars("été", 3), "été");
        assert_eq!(last_chars("", 3), "");
        assert_eq!(first_chars("été", 2), "ét");
        assert_eq!(first_chars("été", 9), "été");
    }

    #[test]
    fn words_out_of_bounds_are_refused() {
        for bad in ["", "  ", "a\0b", &"x".repeat(MAX_WORDS_CHARS + 1)] {
            assert_eq!(check(bad).unwrap_err().code(), ErrorCode::InvalidRequest);
        }
        assert!(check(&"é".repeat(MAX_WORDS_CHARS)).is_ok());
    }
}
