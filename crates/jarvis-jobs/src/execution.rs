//! One try of one job: run it, watch it, write how it ended.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jarvis_observe::METRICS;
use jarvis_observe::cost::{Bill, Cost};
use jarvis_observe::log::millis;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::connect::{Chance, Clock, Connect};
use crate::handler::{Handler, JobContext};
use crate::inspect::JobState;
use crate::job::{JobError, stored_reason};
use crate::lease::{self, Claimed, End};

/// Longest wait for one write to the queue.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What an execution needs of its runner.
pub(crate) struct Surroundings<C> {
    pub(crate) connect: Arc<C>,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    /// Cancelled when the grace period is over: running jobs are handed back.
    pub(crate) hand_back: CancellationToken,
}

/// How a try went.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Error(JobError),
    HandedBack,
    LeaseLost,
}

/// Runs a claimed job to its end. `deadline` is the instant at which another runner may take the job.
pub(crate) async fn run<C: Connect>(
    around: Arc<Surroundings<C>>,
    handler: Arc<Handler>,
    claimed: Claimed,
    owner: String,
    deadline: watch::Receiver<Instant>,
) {
    let begun = Instant::now();
    let bill = Bill::default();
    let (word, error) = bill
        .charge(async {
            let outcome = watch_over(&around, &handler, &claimed, deadline, &bill).await;
            let error = error_code(&outcome);
            let now = (around.clock)();
            let word = match outcome_end(&around, &handler, &claimed, outcome, now) {
                Some((word, end)) if write_end(&around, &claimed, &owner, &end, now).await => word,
                _ => "lease_lost",
            };
            (word, error)
        })
        .await;
    finished(&claimed, begun.elapsed(), &bill.so_far(), word, error.as_deref());
}

/// The stable code that a reason begins with; the rest stays in the table.
fn error_code(outcome: &Outcome) -> Option<String> {
    let Outcome::Error(
        JobError::Retry { reason, .. } | JobError::Wait { reason, .. } | JobError::Fail { reason },
    ) = outcome
    else {
        return None;
    };
    let code = reason.split(':').next().unwrap_or_default();
    let stable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let known = (1..=64).contains(&code.len()) && code.chars().all(stable);
    Some(if known { code } else { "other" }.to_owned())
}

/// Runs the handler until it ends, or time, lease or runner end first. The handler has stopped on return.
async fn watch_over<C>(
    around: &Surroundings<C>,
    handler: &Handler,
    claimed: &Claimed,
    mut deadline: watch::Receiver<Instant>,
    bill: &Bill,
) -> Outcome {
    let ctx = JobContext {
        id: claimed.id,
        kind: claimed.kind.clone(),
        gym_id: claimed.gym_id,
        attempt: claimed.attempt,
        max_attempts: claimed.max_attempts,
    };
    let (bill, call) = (bill.clone(), handler.call(ctx, claimed.args.clone()));
    let mut work = AbortOnDropHandle::new(tokio::spawn(async move { bill.charge(call).await }));
    let stopped = tokio::select! {
        biased;
        ended = &mut work => return ended_by_itself(ended),
        () = around.hand_back.cancelled() => Outcome::HandedBack,
        () = sleep(handler.timeout) => Outcome::Error(JobError::retry("timeout")),
        () = lease_ran_out(&mut deadline) => Outcome::LeaseLost,
    };
    work.abort();
    match work.await {
        // It ended while it was being stopped: its own word counts.
        Ok(ended) => ended_by_itself(Ok(ended)),
        Err(error) if error.is_panic() => ended_by_itself(Err(error)),
        Err(_) => stopped,
    }
}

fn ended_by_itself(ended: Result<Result<(), JobError>, tokio::task::JoinError>) -> Outcome {
    match ended {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(error)) => Outcome::Error(error),
        // A panic's message can hold anything, so only the fact is kept.
        Err(error) if error.is_panic() => Outcome::Error(JobError::retry("panic")),
        Err(_) => Outcome::Error(JobError::retry("stopped")),
    }
}

async fn lease_ran_out(deadline: &mut watch::Receiver<Instant>) {
    loop {
        let at = *deadline.borrow_and_update();
        if at <= Instant::now() {
            return;
        }
        tokio::select! {
            () = sleep_until(at) => {}
            changed = deadline.changed() => if changed.is_err() { return sleep_until(at).await },
        }
    }
}

/// The word for the log and the end to write; `None` when the job is no longer ours.
fn outcome_end<C>(
    around: &Surroundings<C>,
    handler: &Handler,
    claimed: &Claimed,
    outcome: Outcome,
    now: DateTime<Utc>,
) -> Option<(&'static str, End)> {
    let discard = |reason: &str| End::Finish {
        state: JobState::Discarded,
        reason: Some(stored_reason(reason)),
    };
    Some(match outcome {
        Outcome::LeaseLost => return None,
        Outcome::Done => (
            "completed",
            End::Finish {
                state: JobState::Completed,
                reason: None,
            },
        ),
        Outcome::HandedBack => ("handed_back", End::HandBack),
        Outcome::Error(JobError::Fail { reason }) => ("failed", discard(&reason)),
        Outcome::Error(JobError::Wait { reason, after }) => (
            "waiting",
            End::Wait {
                at: now + bounded(after),
                reason: stored_reason(&reason),
            },
        ),
        Outcome::Error(JobError::Retry { reason, .. }) if claimed.attempt >= claimed.max_attempts => {
            ("exhausted", discard(&reason))
        }
        Outcome::Error(JobError::Retry { reason, after }) => {
            let attempt = u32::try_from(claimed.attempt).unwrap_or(1);
            let delay = after.unwrap_or_else(|| handler.backoff.delay(attempt, (around.chance)()));
            (
                "retry",
                End::Retry {
                    at: now + bounded(delay),
                    reason: stored_reason(&reason),
                },
            )
        }
    })
}

/// A delay that a date can be moved by.
fn bounded(delay: Duration) -> TimeDelta {
    TimeDelta::from_std(delay)
        .unwrap_or(TimeDelta::days(1))
        .min(TimeDelta::days(365))
}

/// Writes the end, which came at `now`, for as long as the runner lives: the database may be away, and work done must
/// not be forgotten.
async fn write_end<C: Connect>(
    around: &Surroundings<C>,
    claimed: &Claimed,
    owner: &str,
    end: &End,
    now: DateTime<Utc>,
) -> bool {
    let mut pause = Duration::from_millis(50);
    loop {
        let writing = lease::settle(&*around.connect, claimed.id, owner, end, now);
        match timeout(WRITE_TIMEOUT, writing).await {
            Ok(Ok(written)) => return written,
            Ok(Err(error)) => {
                tracing::warn!(job = claimed.id, kind = claimed.kind, %error, "cannot write the end of a job yet");
            }
            Err(_) => tracing::warn!(
                job = claimed.id,
                kind = claimed.kind,
                "writing the end of a job takes too long"
            ),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// The one line per try, and its metrics. The reason stays in the table.
fn finished(claimed: &Claimed, took: Duration, cost: &Cost, outcome: &'static str, error: Option<&str>) {
    let Claimed {
        id,
        kind,
        gym_id,
        attempt,
        ..
    } = claimed;
    // Two clocks, or one that was set back, can make a job begin before it was due.
    let waited = (claimed.attempted_at - claimed.run_at)
        .to_std()
        .unwrap_or_default();
    METRICS.jobs_finished.inc(&[kind, outcome]);
    METRICS.job_duration.observe_as(&[kind], took);
    METRICS.job_wait.observe_as(&[kind], waited);
    let asked = (cost.model_calls > 0).then_some(cost);
    macro_rules! say {
        ($level:ident) => {
            tracing::$level!(
                job = id,
                kind,
                gym = gym_id.map(tracing::field::display),
                attempt,
                outcome,
                error,
                waited_ms = millis(waited),
                duration_ms = millis(took),
                db_ms = millis(cost.database),
                queries = cost.statements,
                pool_wait_ms = millis(cost.pool_wait),
                model_calls = asked.map(|c| c.model_calls),
                input_tokens = asked.map(|c| c.input_tokens),
                output_tokens = asked.map(|c| c.output_tokens),
                micro_usd = (cost.micro_usd > 0).then_some(cost.micro_usd),
                "job finished"
            )
        };
    }
    match outcome {
        "completed" | "handed_back" => say!(info),
        "failed" | "exhausted" => say!(error),
        _ => say!(warn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_reason_is_told_and_the_rest_is_not() {
        let told = |reason: &str| error_code(&Outcome::Error(JobError::retry(reason)));
        assert_eq!(told("timeout").as_deref(), Some("timeout"));
        let code = told("database_unavailable: the database failed: Sophie");
        assert_eq!(code.as_deref(), Some("database_unavailable"));
        let waits = JobError::wait(
            "provider_unavailable: the embedding failed",
            Duration::from_secs(1),
        );
        let code = error_code(&Outcome::Error(waits));
        assert_eq!(code.as_deref(), Some("provider_unavailable"));
        for odd in ["Sophie a mal au genou", "", "é", &"x".repeat(65)] {
            assert_eq!(told(odd).as_deref(), Some("other"), "{odd}");
        }
        assert_eq!(error_code(&Outcome::Done), None);
    }
}
