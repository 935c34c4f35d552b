//! What a consent carried goes when it is withdrawn; restrictions; retention.

use crate::extract::{HEALTH_MASK, mask_health};
use crate::facts::{FORGOTTEN_MASK, by_quotation};
use crate::{Memory, MemoryError, jobs, purging};
use chrono::{DateTime, Utc};
use jarvis_core::{Actor, GymId, Language, MemberId, Purpose, Scope};
use jarvis_db::ScopedTx;
use jarvis_db::queries::audit;
pub use jarvis_db::queries::audit::Read;
use jarvis_db::queries::fact::forgetting;
use jarvis_db::queries::member;
use jarvis_db::queries::privacy::{self, Derived, HealthWithdrawal};
use jarvis_db::queries::retention::{self, Expired};
use jarvis_jobs::{Backoff, Job, JobError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// Removes what rests on a consent that is not given any more. The database enqueues it, in the transaction of the
/// answer, whoever wrote that. Safe to run any number of times, and without effect when the consent is given again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WithdrawConsent {
    /// The gym.
    pub gym: GymId,
    /// The member.
    pub member: MemberId,
    /// What was withdrawn: `memory` or `health_memory`.
    pub purpose: Purpose,
}

impl Job for WithdrawConsent {
    const KIND: &'static str = "privacy.withdraw";
    // A promise to a member: it is tried for days before somebody must look.
    const MAX_ATTEMPTS: i16 = 100;
    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(2),
        cap: Duration::from_mins(30),
    };
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn unique_key(&self) -> Option<String> {
        Some(format!("{}:{}", self.member, self.purpose))
    }

    fn gym_id(&self) -> Option<Uuid> {
        Some(self.gym.as_uuid())
    }
}

/// Runs the job.
///
/// # Errors
/// Try again; the reason names tables and codes, never what was said.
pub async fn run(memory: &Memory, job: WithdrawConsent) -> Result<(), JobError> {
    let done = withdraw(memory, job.gym, job.member, job.purpose).await;
    done.map_err(|error| match error.outage() {
        Some(pause) => JobError::wait(error.coded_chain(), pause),
        None => JobError::retry(error.coded_chain()),
    })
}

/// Removes what rests on `purpose`, in one transaction, unless the member agrees to it.
pub async fn withdraw(
    memory: &Memory,
    gym: GymId,
    member: MemberId,
    purpose: Purpose,
) -> Result<(), MemoryError> {
    let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Server)).await?;
    match purpose {
        Purpose::Memory => {
            privacy::withdraw_memory(&mut tx, gym, member).await?;
        }
        Purpose::HealthMemory => withdraw_health(memory, &mut tx, gym, member).await?,
        // Nothing is derived from the others: they are asked whenever something is shown.
        Purpose::Voice | Purpose::Profiling | Purpose::ShareWithStaff => {}
    }
    tx.commit().await?;
    Ok(())
}

async fn withdraw_health(
    memory: &Memory,
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
) -> Result<(), MemoryError> {
    if !privacy::begin_health_withdrawal(tx, gym, member).await? {
        return Ok(());
    }
    let words = privacy::stored_words(tx, gym, member).await?;
    let facts = privacy::facts(tx, gym, member).await?;
    let changes = privacy::changes(tx, gym, member).await?;
    let summaries = privacy::summaries(tx, gym, member).await?;
    let mut sessions = BTreeSet::new();
    let mut what = HealthWithdrawal::default();
    sessions.extend(privacy::sessions_with_turns_of_health(tx, gym, member).await?);
    let readable: BTreeSet<&String> = words
        .iter()
        .filter(|event| event.transcript.is_some())
        .map(|event| &event.session)
        .collect();
    for event in &words {
        let masked = event
            .transcript
            .as_deref()
            .map(|t| mask_health(t, event.language));
        if let Some(masked) = masked.filter(|m| m.spans > 0) {
            what.masked.push((event.id, masked.text));
            sessions.insert(event.session.clone());
        }
        if tells(&event.tools, event.language) {
            what.tools.push(event.id);
            sessions.insert(event.session.clone());
        }
    }
    for summary in summaries {
        if summary.health || tells(&summary.text, summary.language) {
            let kept = summary.session.as_ref().is_some_and(|id| !readable.contains(id));
            if kept {
                keep_without_health(tx, gym, &summary).await?;
            }
            sessions.extend(summary.session);
        }
    }
    what.facts
        .extend(facts.iter().filter(|f| tells(&f.text, f.language)).map(|f| f.id));
    what.changes.extend(
        changes
            .iter()
            .filter(|c| tells(&c.text, c.language))
            .map(|c| c.id),
    );
    what.sessions.extend(sessions);
    let again = privacy::withdraw_health(tx, gym, member, &what).await?;
    let now = memory.clock.now();
    for session in &again {
        jobs::enqueue_processing(tx, gym, session, now).await?;
    }
    Ok(())
}

/// Of a conversation whose words are gone no summary can be made again: it loses its words about health. Where that would
/// not do, because the member agrees to no memory or nothing else is told, it is left to go with the withdrawal.
async fn keep_without_health(
    tx: &mut ScopedTx,
    gym: GymId,
    summary: &Derived<Uuid>,
) -> Result<(), MemoryError> {
    let Some(kept) = privacy::summary_text(tx, gym, summary.id).await? else {
        return Ok(());
    };
    let left = by_quotation(&kept, |piece| {
        let masked = mask_health(piece, summary.language);
        (masked.spans > 0).then(|| masked.text.replace(HEALTH_MASK, FORGOTTEN_MASK))
    });
    let says = |text: &str| {
        text.replace(FORGOTTEN_MASK, "")
            .chars()
            .any(char::is_alphanumeric)
    };
    if let Some(left) = left.filter(|left| says(left) && !tells(left, summary.language)) {
        forgetting::reword_summary(tx, gym, summary.id, &left, true).await?;
    }
    Ok(())
}

fn tells(text: &str, language: Language) -> bool {
    mask_health(text, language).spans > 0
}

/// Lifts a restriction, and lets the conversations that waited for it be made into memory. False when there was none.
pub async fn lift(memory: &Memory, scope: &Scope, gym: GymId, member: MemberId) -> Result<bool, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(scope).await?;
    if !privacy::lift(&mut tx, gym, member).await? {
        return Ok(false);
    }
    tx.commit().await?;
    // People may not enqueue. A crash in between loses nothing: the sweep finds the sessions that wait.
    let mut tx = memory.db.begin(&Scope::gym(gym, Actor::Server)).await?;
    for session in privacy::waiting_sessions(&mut tx, gym, member).await? {
        jobs::enqueue_processing(&mut tx, gym, &session, now).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Takes away what is past its time, every night.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ApplyRetention {}

impl Job for ApplyRetention {
    const KIND: &'static str = "privacy.retention";
    const TIMEOUT: Duration = Duration::from_mins(30);

    fn unique_key(&self) -> Option<String> {
        Some("all".to_owned())
    }
}

/// Runs the retention as a job, unless the clocks differ by more than a day.
///
/// # Errors
/// Try again.
pub async fn run_retention(memory: &Memory, _job: ApplyRetention) -> Result<(), JobError> {
    let retry = |error: MemoryError| JobError::retry(error.coded_chain());
    if purging::may_purge(memory).await.map_err(retry)? {
        expire(memory, Retention::Daily).await.map_err(retry)?;
    }
    Ok(())
}

/// How retention is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Only counted: what [`Retention::Asked`] would take away.
    Counted,
    /// A person asked for it now.
    Asked,
    /// The daily job. It spares what was there already when retention began, until a whole period has passed.
    Daily,
}

/// Takes away what is past its time, subject by subject in bounded batches, and says how much that was. Each batch is a
/// transaction of its own: whoever stops in between goes on the next time.
pub async fn expire(memory: &Memory, how: Retention) -> Result<Vec<Expired>, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(&Scope::System).await?;
    if how == Retention::Counted {
        let counted = retention::count(&mut tx, now).await?;
        tx.rollback().await?;
        return Ok(counted);
    }
    let periods = retention::periods(&mut tx).await?;
    tx.commit().await?;
    let mut expired = Vec::with_capacity(periods.len());
    for (subject, days) in periods {
        let rows = retention::expire(&memory.db, &subject, now, how == Retention::Daily).await?;
        if rows > 0 {
            tracing::info!(subject, rows, "kept long enough");
        }
        expired.push(Expired { subject, days, rows });
    }
    Ok(expired)
}

/// Enters in the audit that somebody read something of a member. Who reads for somebody calls this before they show it.
pub async fn note_read(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    member: MemberId,
    read: Read,
    of: Option<&str>,
) -> Result<(), MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    audit::note_read(&mut tx, gym, member, read, of).await?;
    tx.commit().await?;
    Ok(())
}

/// The gym of a member, if `scope` sees them.
pub async fn gym_of(memory: &Memory, scope: &Scope, member: MemberId) -> Result<Option<GymId>, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    Ok(member::find(&mut tx, member).await?.map(|m| m.gym_id))
}

/// Everything that a member is handed out on request: tables by name, with their rows. None when `scope` sees no such
/// member. The export is entered in the audit.
pub async fn export(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    member: MemberId,
) -> Result<Option<Value>, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let exported = privacy::export(&mut tx, gym, member).await?;
    tx.commit().await?;
    Ok(exported)
}

/// Of exports, each by its member and when it was made, those that tell what was withdrawn, forgotten or erased since.
pub async fn outdated_exports(
    memory: &Memory,
    exports: &[(MemberId, DateTime<Utc>)],
) -> Result<Vec<(MemberId, DateTime<Utc>)>, MemoryError> {
    let mut tx = memory.db.begin(&Scope::System).await?;
    Ok(privacy::outdated_exports(&mut tx, exports).await?)
}

/// Restricts a member's data: it is kept, and used for nothing until that is lifted. False when it was already.
pub async fn restrict(
    memory: &Memory,
    scope: &Scope,
    gym: GymId,
    member: MemberId,
    reason: Option<&str>,
) -> Result<bool, MemoryError> {
    let mut tx = memory.db.begin(scope).await?;
    let done = privacy::restrict(&mut tx, gym, member, reason, memory.clock.now()).await?;
    tx.commit().await?;
    Ok(done)
}
