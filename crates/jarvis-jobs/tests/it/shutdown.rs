use std::time::Duration;

use jarvis_jobs::JobState;
use tokio::time::{Instant, sleep};

use crate::harness::{Probe, Queue, keyed, numbered, start};

#[tokio::test]
async fn a_running_job_may_end_within_the_grace_period_and_no_other_begins() {
    let queue = Queue::new().await;
    let handler = |_, _: Probe| async {
        sleep(Duration::from_millis(400)).await;
        Ok(())
    };
    let working = start(queue.runner().concurrency(1).register(handler).build());
    let running = queue.enqueue(&numbered(1)).await.id();
    let waiting = queue.enqueue(&numbered(2)).await.id();
    queue.wait_for(running, JobState::Running).await;
    working.stop().await;
    assert_eq!(queue.job(running).await.state, JobState::Completed);
    let waiting = queue.job(waiting).await;
    assert_eq!((waiting.state, waiting.attempt), (JobState::Available, 0));
}

#[tokio::test]
async fn a_job_that_does_not_end_in_time_is_handed_back_and_its_try_does_not_count() {
    let queue = Queue::new().await;
    let builder = queue.runner().grace(Duration::from_millis(200));
    let working = start(builder.register(|_, _: Probe| std::future::pending()).build());
    let first = queue.enqueue(&keyed("k")).await.id();
    queue.wait_for(first, JobState::Running).await;
    let second = queue.enqueue(&keyed("k")).await.id();
    let asked = Instant::now();
    working.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    let job = queue.job(first).await;
    assert_eq!(
        (job.state, job.attempt, job.leased_by, job.last_error),
        (JobState::Available, 0, None, None)
    );
    assert_eq!(
        queue.job(second).await.state,
        JobState::Cancelled,
        "folded into the one handed back"
    );

    let next = start(queue.runner().register(|_, _: Probe| async { Ok(()) }).build());
    let done = queue.wait_for(first, JobState::Completed).await;
    next.stop().await;
    assert_eq!(done.attempt, 1);
}

#[tokio::test]
async fn an_idle_runner_stops_at_once() {
    let queue = Queue::new().await;
    let builder = queue.runner().poll_interval(Duration::from_mins(10));
    let working = start(builder.register(|_, _: Probe| async { Ok(()) }).build());
    sleep(Duration::from_millis(100)).await;
    let asked = Instant::now();
    working.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
}
