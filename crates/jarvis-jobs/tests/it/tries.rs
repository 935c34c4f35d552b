use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jarvis_jobs::{JobError, JobState};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{Hasty, Probe, Queue, numbered, start};

#[tokio::test]
async fn a_failed_job_waits_twice_as_long_each_time_and_ends_among_the_dead_letters() {
    let queue = Queue::new().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let working = start(
        queue
            .runner()
            .register(move |_, _: Probe| {
                let n = counted.fetch_add(1, Ordering::SeqCst) + 1;
                async move { Err(JobError::retry(format!("model_down {n}"))) }
            })
            .build(),
    );
    let id = queue.enqueue(&numbered(1)).await.id();
    for (tries, delay) in [(1, 2), (2, 4)] {
        let job = queue.wait_for(id, JobState::Retryable).await;
        let failed_at = job.errors[tries - 1]["at"]
            .as_str()
            .unwrap()
            .parse::<DateTime<Utc>>()
            .unwrap();
        let delay = TimeDelta::seconds(delay);
        assert!(
            job.run_at - job.attempted_at.unwrap() >= delay && job.run_at - failed_at <= delay,
            "{job:?}"
        );
        sleep(Duration::from_millis(150)).await;
        assert_eq!(runs.load(Ordering::SeqCst), tries, "not before its time");
        queue.clock.jump(delay);
        while runs.load(Ordering::SeqCst) == tries {
            sleep(Duration::from_millis(5)).await;
        }
    }
    let dead = queue.wait_for(id, JobState::Discarded).await;
    working.stop().await;
    assert_eq!(
        (dead.attempt, dead.last_error.as_deref()),
        (3, Some("model_down 3"))
    );
    let errors: Vec<_> = dead
        .errors
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["attempt"].clone(), e["error"].clone()))
        .collect();
    assert_eq!(
        errors,
        [(1, 1), (2, 2), (3, 3)].map(|(a, n)| (json!(a), json!(format!("model_down {n}"))))
    );
}

#[tokio::test]
async fn an_error_may_say_how_long_to_wait() {
    let queue = Queue::new().await;
    let handler = |_, _: Probe| async { Err(JobError::retry_after("busy", Duration::from_mins(7))) };
    let working = start(queue.runner().register(handler).build());
    let job = queue.enqueue(&numbered(1)).await.id();
    let job = queue.wait_for(job, JobState::Retryable).await;
    working.stop().await;
    assert_eq!((job.run_at - job.attempted_at.unwrap()).num_minutes(), 7);
}

#[tokio::test]
async fn a_failure_for_good_is_not_tried_again() {
    let queue = Queue::new().await;
    let working = start(
        queue
            .runner()
            .register(|_, _: Probe| async { Err(JobError::fail("session_gone")) })
            .build(),
    );
    let id = queue.enqueue(&numbered(1)).await.id();
    let dead = queue.wait_for(id, JobState::Discarded).await;
    working.stop().await;
    assert_eq!(
        (dead.attempt, dead.last_error.as_deref()),
        (1, Some("session_gone"))
    );
}

#[tokio::test]
async fn a_panic_is_a_retry_that_tells_nothing_and_harms_no_other_job() {
    let queue = Queue::new().await;
    let handler = |_, job: Probe| async move {
        assert!(job.n != 13, "my knee hurts");
        Ok(())
    };
    let working = start(queue.runner().concurrency(1).register(handler).build());
    let bad = queue.enqueue(&numbered(13)).await.id();
    let good = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(good, JobState::Completed).await;
    let bad = queue.wait_for(bad, JobState::Retryable).await;
    working.stop().await;
    assert_eq!(bad.last_error.as_deref(), Some("panic"));
    assert!(!bad.errors.to_string().contains("knee"));
}

#[tokio::test]
async fn a_try_that_takes_too_long_is_stopped_and_tried_again() {
    let queue = Queue::new().await;
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let working = start(
        queue
            .runner()
            .register(move |_, _: Hasty| {
                let count = Arc::clone(&count);
                async move {
                    sleep(Duration::from_millis(400)).await;
                    count.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
            })
            .build(),
    );
    let id = queue.enqueue(&Hasty {}).await.id();
    let job = queue.wait_for(id, JobState::Retryable).await;
    assert_eq!(job.last_error.as_deref(), Some("timeout"));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(ended.load(Ordering::SeqCst), 0, "the handler was stopped");
    working.stop().await;
}

#[tokio::test]
async fn arguments_of_another_shape_are_a_dead_letter_and_are_not_quoted() {
    let queue = Queue::new().await;
    let id = queue.enqueue(&numbered(1)).await.id();
    sqlx::query("update jarvis.jobs set args = '{\"n\": \"canary\"}'")
        .execute(&queue.pool)
        .await
        .unwrap();
    let working = start(queue.runner().register(|_, _: Probe| async { Ok(()) }).build());
    let dead = queue.wait_for(id, JobState::Discarded).await;
    working.stop().await;
    assert_eq!(dead.last_error.as_deref(), Some("args_invalid"));
}

#[tokio::test]
async fn a_kind_without_a_handler_is_left_waiting() {
    let queue = Queue::new().await;
    let strange = queue.enqueue(&Hasty {}).await.id();
    let known = queue.enqueue(&numbered(1)).await.id();
    let working = start(queue.runner().register(|_, _: Probe| async { Ok(()) }).build());
    queue.wait_for(known, JobState::Completed).await;
    working.stop().await;
    let strange = queue.job(strange).await;
    assert_eq!((strange.state, strange.attempt), (JobState::Available, 0));
}
