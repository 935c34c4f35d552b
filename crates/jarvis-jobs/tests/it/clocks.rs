//! Clocks that jump: a job asked for at once never waits for an hour that was never real.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use jarvis_jobs::{JobError, JobId, JobState, NewJob};
use tokio::time::{Instant, sleep};

use crate::harness::{Probe, Queue, numbered, start};

#[tokio::test]
async fn a_job_enqueued_while_the_clock_was_ahead_runs_as_soon_as_it_is_right_again() {
    let queue = Queue::new().await;
    queue.clock.jump(TimeDelta::days(2));
    let id = queue.enqueue(&numbered(1)).await.id();
    queue.clock.jump(TimeDelta::days(-2));
    let working = start(queue.runner().register(|_, _: Probe| async { Ok(()) }).build());
    let done = queue.wait_for(id, JobState::Completed).await;
    working.stop().await;
    assert_eq!(done.attempt, 1);
}

#[tokio::test]
async fn a_retry_noted_while_the_clock_was_ahead_does_not_wait_for_that_day() {
    let queue = Queue::new().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |_, _: Probe| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                Err(JobError::retry("model_down"))
            } else {
                Ok(())
            }
        }
    };
    let working = start(queue.runner().register(handler).build());
    queue.clock.jump(TimeDelta::days(2));
    let id = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(id, JobState::Retryable).await;
    queue.clock.jump(TimeDelta::days(-2));
    let done = queue.wait_for(id, JobState::Completed).await;
    working.stop().await;
    assert_eq!((done.attempt, runs.load(Ordering::SeqCst)), (2, 2));
}

/// Waits until the job has run so often, and waits again.
async fn ran(queue: &Queue, id: JobId, runs: &AtomicUsize, times: usize) {
    let begun = Instant::now();
    while runs.load(Ordering::SeqCst) < times {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            queue.job(id).await
        );
        sleep(Duration::from_millis(10)).await;
    }
    queue.wait_for(id, JobState::Retryable).await;
}

#[tokio::test]
async fn a_wait_noted_while_the_clock_was_ahead_does_not_last_until_that_day() {
    let queue = Queue::new().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |_, _: Probe| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Err(JobError::wait("model_down", Duration::from_hours(1))) }
    };
    let working = start(queue.runner().register(handler).build());
    queue.clock.jump(TimeDelta::days(2));
    let id = queue.enqueue(&numbered(1)).await.id();
    ran(&queue, id, &runs, 1).await;
    queue.clock.jump(TimeDelta::days(-2));
    ran(&queue, id, &runs, 2).await;
    working.stop().await;
}

#[tokio::test]
async fn a_wait_is_kept_although_the_failure_before_it_was_noted_while_the_clock_was_ahead() {
    let queue = Queue::new().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move |_, _: Probe| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            Err(if first {
                JobError::retry("model_down")
            } else {
                JobError::wait("model_down", Duration::from_hours(1))
            })
        }
    };
    let working = start(queue.runner().register(handler).build());
    queue.clock.jump(TimeDelta::days(2));
    let id = queue.enqueue(&numbered(1)).await.id();
    ran(&queue, id, &runs, 1).await;
    queue.clock.jump(TimeDelta::days(-2));
    ran(&queue, id, &runs, 2).await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    queue.clock.jump(TimeDelta::hours(1));
    ran(&queue, id, &runs, 3).await;
    working.stop().await;
}

#[tokio::test]
async fn a_job_handed_back_and_a_job_retried_by_hand_while_the_clock_was_ahead_are_due_at_once() {
    let queue = Queue::new().await;
    let never = start(
        queue
            .runner()
            .grace(Duration::from_millis(10))
            .register(|_, _: Probe| std::future::pending())
            .build(),
    );
    let handed_back = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(handed_back, JobState::Running).await;
    queue.clock.jump(TimeDelta::days(2));
    never.stop().await;
    let later = queue.clock.now() + TimeDelta::days(3);
    let mut tx = queue.begin().await;
    let new = NewJob::of(&numbered(2)).unwrap().run_at(later);
    let by_hand = jarvis_jobs::enqueue(&mut tx, &new, queue.clock.now())
        .await
        .unwrap()
        .id();
    assert!(
        jarvis_jobs::retry(&mut tx, by_hand, queue.clock.now())
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    queue.clock.jump(TimeDelta::days(-2));
    let working = start(queue.runner().register(|_, _: Probe| async { Ok(()) }).build());
    for job in [handed_back, by_hand] {
        queue.wait_for(job, JobState::Completed).await;
    }
    working.stop().await;
}

#[tokio::test]
async fn a_job_for_a_later_hour_still_waits_for_it() {
    let queue = Queue::new().await;
    let working = start(queue.runner().register(|_, _: Probe| async { Ok(()) }).build());
    let later = queue.clock.now() + TimeDelta::hours(1);
    let mut tx = queue.begin().await;
    let new = NewJob::of(&numbered(1)).unwrap().run_at(later);
    let id = jarvis_jobs::enqueue(&mut tx, &new, queue.clock.now())
        .await
        .unwrap()
        .id();
    tx.commit().await.unwrap();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(queue.job(id).await.state, JobState::Available);
    queue.clock.jump(TimeDelta::hours(1));
    queue.wait_for(id, JobState::Completed).await;
    working.stop().await;
}
