//! How facts end by themselves: what expired is told to the gym, and purged when it may go.

use crate::jobs::TendFacts;
use crate::{Memory, MemoryError, purging};
use jarvis_core::ids::uuid_v7;
use jarvis_core::{Actor, Language, Scope};
use jarvis_db::queries::fact::ending::{self, EndingAlert};
use jarvis_db::queries::fact::forgetting;
use jarvis_db::queries::gym::{self, Gym};
use jarvis_jobs::JobError;

/// Days between an end and what follows from it: from the expiry to the alert of a member who does not come, and from
/// the alert to the purge.
pub const GRACE_DAYS: i32 = 30;
/// Facts of one gym in one transaction.
const BATCH: i64 = 200;

/// What a night did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tended {
    /// Gyms were told of so many facts.
    pub alerted: usize,
    /// So many alerts had settled themselves.
    pub settled: u64,
    /// So many facts were purged with their history.
    pub purged: usize,
}

/// Runs the night as a job, unless the clocks differ by more than a day.
///
/// # Errors
/// Try again.
pub async fn run(memory: &Memory, _job: TendFacts) -> Result<(), JobError> {
    let retry = |error: MemoryError| JobError::retry(error.coded_chain());
    if !purging::may_purge(memory).await.map_err(retry)? {
        return Ok(());
    }
    let done = tend(memory).await.map_err(retry)?;
    tracing::info!(
        alerted = done.alerted,
        settled = done.settled,
        purged = done.purged,
        "facts were tended"
    );
    Ok(())
}

/// Tends the facts of every gym. Safe to run any number of times.
pub async fn tend(memory: &Memory) -> Result<Tended, MemoryError> {
    let mut tx = memory.db.begin(&Scope::System).await?;
    let gyms = gym::list(&mut tx).await?;
    tx.commit().await?;
    let mut done = Tended::default();
    for gym in &gyms {
        tend_gym(memory, gym, &mut done).await?;
    }
    Ok(done)
}

async fn tend_gym(memory: &Memory, gym: &Gym, done: &mut Tended) -> Result<(), MemoryError> {
    let now = memory.clock.now();
    let scope = Scope::gym(gym.id, Actor::Server);
    let mut tx = memory.db.begin(&scope).await?;
    done.settled += ending::settle_alerts(&mut tx, gym.id, now).await?;
    tx.commit().await?;
    loop {
        let mut tx = memory.db.begin(&scope).await?;
        let due = ending::due_for_alert(&mut tx, gym.id, now, GRACE_DAYS, BATCH).await?;
        for overdue in &due {
            let (title, description) = words(gym, overdue.said_at.date_naive());
            let alert = EndingAlert {
                id: uuid_v7(now),
                overdue,
                title,
                description: &description,
            };
            ending::alert(&mut tx, gym.id, &alert, now).await?;
        }
        tx.commit().await?;
        done.alerted += due.len();
        if is_last(due.len()) {
            break;
        }
    }
    loop {
        let mut tx = memory.db.begin(&scope).await?;
        let due = ending::due_for_purge(&mut tx, gym.id, now, GRACE_DAYS, BATCH).await?;
        for fact in &due {
            forgetting::forget(&mut tx, gym.id, *fact).await?;
        }
        tx.commit().await?;
        done.purged += due.len();
        if is_last(due.len()) {
            return Ok(());
        }
    }
}

/// Whether no further facts are due after a transaction that took so many.
fn is_last(taken: usize) -> bool {
    i64::try_from(taken).is_ok_and(|taken| taken < BATCH)
}

/// What the gym reads: that there is a caution, not what was said nor where it hurts.
fn words(gym: &Gym, said_on: chrono::NaiveDate) -> (&'static str, String) {
    let language: Language = gym.locale.parse().unwrap_or_default();
    match language.message_language() {
        Language::Fr => (
            "Précaution à vérifier avec le membre",
            format!(
                "Une précaution notée ou confirmée le {} n'a pas été redite depuis. Demandez au membre si elle vaut \
                 toujours, puis confirmez-la ou retirez-la. Sans réponse, elle sera effacée dans {GRACE_DAYS} jours.",
                said_on.format("%d/%m/%Y")
            ),
        ),
        _ => (
            "Caution to check with the member",
            format!(
                "A caution that was noted or confirmed on {said_on} has not been said again. Ask the member whether it \
                 still holds, then confirm or retire it. Without an answer it is erased in {GRACE_DAYS} days."
            ),
        ),
    }
}
