//! Few events of many requests, stored together.
//!
//! A kiosk sends most events one by one. Each would cost a transaction of its own, with its flush to disk. Here those of
//! one gym that arrive while its last ones are written are written next, in one transaction. Whoever comes when nothing
//! is written does not wait. A request is answered after the commit, on its own: what is unusual about one, such as a
//! session that has ended, is looked at apart from the others.

use super::record::{Batch, Recorded, Submitted, record_alone};
use super::{KioskIdentity, is_sealed};
use crate::{Memory, MemoryError, jobs};
use chrono::{DateTime, Utc};
use jarvis_core::{Actor, ConsentSet, EventId, GymId, MemberId, Purpose, Scope, SessionId, SessionState};
use jarvis_db::queries::consent;
use jarvis_db::queries::event::{self, PlacedEvent};
use jarvis_db::queries::session::{self, Heard};
use jarvis_db::{DbError, ScopedTx};
use jarvis_observe::cost::{self, Bill};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Requests that are stored in one transaction, at most.
const TOGETHER: usize = 64;
/// The most events of a request that is stored with others.
const FEW: usize = 4;
/// The most bytes of text of such a request: looking for words about health takes time, during which sessions are held.
const SHORT: usize = 4 * 1024;

/// The requests that wait until those before them are stored, by gym. A gym has an entry while its events are written.
/// Clones share it.
#[derive(Clone, Default)]
pub struct Intake(Arc<Mutex<HashMap<GymId, Vec<Waiting>>>>);

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Intake")
    }
}

/// A request that waits.
struct Waiting {
    kiosk: KioskIdentity,
    session: SessionId,
    submitted: Arc<Vec<Submitted>>,
    answer: oneshot::Sender<Result<Recorded, MemoryError>>,
    bill: Option<Bill>,
}

impl Intake {
    fn queues(&self) -> MutexGuard<'_, HashMap<GymId, Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request wait. True when nobody writes the events of its gym: the caller must see to it.
    fn join(&self, waiting: Waiting) -> bool {
        let mut queues = self.queues();
        let idle = !queues.contains_key(&waiting.kiosk.gym);
        queues.entry(waiting.kiosk.gym).or_default().push(waiting);
        idle
    }

    /// The requests of a gym that are written next, in the order in which they came; `None` when there are none, and
    /// then nobody writes any more. Whoever left before their turn was never answered, and is not stored.
    fn next(&self, gym: GymId) -> Option<Vec<Waiting>> {
        let mut queues = self.queues();
        let queue = queues.get_mut(&gym)?;
        queue.retain(|waiting| !waiting.answer.is_closed());
        if queue.is_empty() {
            queues.remove(&gym);
            return None;
        }
        let count = queue.len().min(TOGETHER);
        Some(queue.drain(..count).collect())
    }
}

/// Whether a request is small enough to be stored with others.
pub(super) fn is_few(submitted: &[Submitted]) -> bool {
    let bytes = |event: &Submitted| match event {
        Ok(event) if event.tool_args.is_none() && event.tool_result.is_none() => {
            event.transcript.as_ref().map_or(0, String::len)
        }
        Ok(_) => SHORT,
        Err(_) => 0,
    };
    submitted.len() <= FEW && submitted.iter().map(bytes).sum::<usize>() < SHORT
}

/// Stores a small request with others of its gym. When the caller leaves meanwhile, the request is stored completely or
/// not at all.
pub(super) async fn record_together(
    memory: &Memory,
    kiosk: &KioskIdentity,
    id: &SessionId,
    submitted: Arc<Vec<Submitted>>,
) -> Result<Recorded, MemoryError> {
    let (answer, answered) = oneshot::channel();
    let waiting = Waiting {
        kiosk: *kiosk,
        session: id.clone(),
        submitted,
        answer,
        bill: cost::bill(),
    };
    if memory.intake.join(waiting) {
        // A task of its own: the others must not lose their writer when this caller leaves.
        tokio::spawn(write(memory.clone(), kiosk.gym));
    }
    answered
        .await
        .map_err(|_| MemoryError::Bug("storing events panicked"))?
}

/// Gives a gym back that its writer left in a panic: those who wait are told, and the next request has a writer again.
struct Writing {
    intake: Intake,
    gym: GymId,
    done: bool,
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.done {
            self.intake.queues().remove(&self.gym);
        }
    }
}

/// Writes the events of a gym until none wait.
async fn write(memory: Memory, gym: GymId) {
    let mut writing = Writing {
        intake: memory.intake.clone(),
        gym,
        done: false,
    };
    while let Some(group) = memory.intake.next(gym) {
        // Who came first pays: the sum over all requests is what was spent.
        let bill = group.first().and_then(|first| first.bill.clone());
        charged(bill, store_group(&memory, gym, group)).await;
    }
    writing.done = true;
}

async fn charged(bill: Option<Bill>, work: impl Future<Output = ()>) {
    match bill {
        Some(bill) => bill.charge(work).await,
        None => work.await,
    }
}

/// Stores a group and answers everybody in it.
async fn store_group(memory: &Memory, gym: GymId, group: Vec<Waiting>) {
    match store_together(memory, gym, &group).await {
        Ok(results) => {
            for (waiting, result) in group.into_iter().zip(results) {
                match result {
                    Some(recorded) => answer(waiting.answer, Ok(recorded)),
                    None => apart(memory, waiting),
                }
            }
        }
        // Whether it was stored may be unknown: only the callers may try again, with the ids of their events.
        Err(MemoryError::Db(error)) if error.is_transient() && !matches!(error, DbError::Contended) => {
            for waiting in group {
                answer(waiting.answer, Err(MemoryError::Db(error.clone())));
            }
        }
        // Nothing was stored, and one of them may be the cause.
        Err(_) => {
            for waiting in group {
                apart(memory, waiting);
            }
        }
    }
}

fn answer(to: oneshot::Sender<Result<Recorded, MemoryError>>, result: Result<Recorded, MemoryError>) {
    // Whoever left is not answered; what was stored stays.
    drop(to.send(result));
}

/// Stores a request by itself, in a task of its own: it may wait for its session, and the others of the gym do not.
fn apart(memory: &Memory, waiting: Waiting) {
    let memory = memory.clone();
    tokio::spawn(async move {
        let Waiting {
            kiosk,
            session,
            submitted,
            answer: to,
            bill,
        } = waiting;
        let work = async {
            answer(to, record_alone(&memory, &kiosk, &session, submitted).await);
        };
        charged(bill, Box::pin(work)).await;
    });
}

/// One transaction for a group. `None` for a request that must be looked at by itself: its kiosk, its session or the
/// consents are not as usual, or somebody else holds the session.
async fn store_together(
    memory: &Memory,
    gym: GymId,
    group: &[Waiting],
) -> Result<Vec<Option<Recorded>>, MemoryError> {
    let now = memory.clock.now();
    let mut tx = memory.db.begin(&scope(gym, group)).await?;
    let asked: Vec<_> = group.iter().map(|w| (w.kiosk.kiosk, &w.session)).collect();
    let mut heard = session::lock_heard(&mut tx, gym, &asked).await?;
    for session in &mut heard {
        *session = session.filter(|s| !is_sealed(s.ended_at, now));
    }
    let consents = consents_of(&mut tx, gym, &heard).await?;
    let batches = judge(group, &heard, &consents, now).await?;
    let new = insert(&mut tx, gym, group, &heard, &batches, now).await?;
    let touched: Vec<_> = (0..group.len())
        .filter_map(|n| Some((n, heard[n]?, batches[n].as_ref()?)))
        .filter(|(_, _, batch)| batch.rows.iter().any(|row| new.contains(&row.id)))
        .collect();
    if !touched.is_empty() {
        let noted: Vec<_> = touched
            .iter()
            .map(|(n, _, b)| (&group[*n].session, b.withheld()))
            .collect();
        session::note_heard(&mut tx, gym, &noted, now).await?;
    }
    for (n, session, _) in &touched {
        if session.state != SessionState::Open {
            jobs::enqueue_processing(&mut tx, gym, &group[*n].session, now).await?;
        }
    }
    tx.commit().await?;
    Ok(batches.into_iter().map(|b| b.map(|b| b.stored(&new))).collect())
}

/// For whom a group is stored: its kiosk, or the server when there are several.
fn scope(gym: GymId, group: &[Waiting]) -> Scope {
    let kiosks: HashSet<_> = group.iter().map(|w| w.kiosk.kiosk).collect();
    let only = kiosks.iter().next().filter(|_| kiosks.len() == 1);
    Scope::gym(gym, only.map_or(Actor::Server, |kiosk| Actor::Kiosk(*kiosk)))
}

/// What the members of these sessions agreed to. Read once the sessions are locked, so nothing older is believed.
async fn consents_of(
    tx: &mut ScopedTx,
    gym: GymId,
    heard: &[Option<Heard>],
) -> Result<HashMap<MemberId, ConsentSet>, MemoryError> {
    let members: HashSet<_> = heard.iter().flatten().map(|s| s.member_id).collect();
    let members: Vec<_> = members.into_iter().collect();
    if members.is_empty() {
        return Ok(HashMap::new());
    }
    let consents = consent::in_force_of(tx, gym, &members).await?;
    Ok(members.into_iter().zip(consents).collect())
}

/// Checks and masks the events of every request whose session is known.
async fn judge(
    group: &[Waiting],
    heard: &[Option<Heard>],
    consents: &HashMap<MemberId, ConsentSet>,
    now: DateTime<Utc>,
) -> Result<Vec<Option<Batch>>, MemoryError> {
    let begin = |session: &Option<Heard>| {
        let session = session.as_ref()?;
        let consents = consents.get(&session.member_id)?;
        Some(Batch::new(session, consents.clone(), now))
    };
    let mut batches: Vec<_> = heard.iter().map(begin).collect();
    let submitted: Vec<_> = group.iter().map(|w| Arc::clone(&w.submitted)).collect();
    let masks = |set: &ConsentSet| set.allows(Purpose::Memory) && !set.allows(Purpose::HealthMemory);
    let work = move || {
        for (batch, submitted) in batches.iter_mut().zip(submitted) {
            if let Some(batch) = batch {
                batch.add_all(&submitted);
            }
        }
        batches
    };
    if !consents.values().any(masks) {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| MemoryError::Bug("masking events panicked"))
}

async fn insert(
    tx: &mut ScopedTx,
    gym: GymId,
    group: &[Waiting],
    heard: &[Option<Heard>],
    batches: &[Option<Batch>],
    now: DateTime<Utc>,
) -> Result<HashSet<EventId>, MemoryError> {
    let mut placed = Vec::new();
    for ((waiting, session), batch) in group.iter().zip(heard).zip(batches) {
        let (Some(session), Some(batch)) = (session, batch) else {
            continue;
        };
        placed.extend(batch.rows.iter().map(|row| PlacedEvent {
            session: &waiting.session,
            member: session.member_id,
            row,
        }));
    }
    if placed.is_empty() {
        return Ok(HashSet::new());
    }
    let new = event::insert_each(tx, gym, &placed, now).await?;
    Ok(new.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jarvis_core::{Clock as _, KioskId, SystemClock};

    #[tokio::test]
    async fn a_writer_that_panics_is_told_to_those_who_wait_and_has_a_successor() {
        let intake = Intake::default();
        let now = SystemClock.now();
        let kiosk = KioskIdentity {
            kiosk: KioskId::new(now),
            gym: GymId::new(now),
        };
        let join = || {
            let (answer, answered) = oneshot::channel();
            let waiting = Waiting {
                kiosk,
                session: SessionId::new(now),
                submitted: Arc::default(),
                answer,
                bill: None,
            };
            (intake.join(waiting), answered)
        };
        let (first, answered) = join();
        assert!(first && !join().0, "one writer at a time");
        drop(Writing {
            intake: intake.clone(),
            gym: kiosk.gym,
            done: false,
        });
        assert!(answered.await.is_err());
        assert!(join().0, "the next request has a writer again");
    }
}
