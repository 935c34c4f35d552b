use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jarvis_jobs::{Filter, JobState, Schedule};
use tokio::time::{Instant, sleep};

use crate::harness::{Hasty, Probe, Queue, start};

const MINUTE: Duration = Duration::from_mins(1);

/// Waits until the tick of this minute is taken, and gives other runners a chance to take it again.
async fn ticked(queue: &Queue) {
    let now = queue.clock.now();
    let tick = now.trunc_subsecs(0) - TimeDelta::seconds(now.timestamp() % 60);
    let taken = "select last_tick from jarvis.job_schedules where name = 'test.hasty'";
    let mut last: Option<DateTime<Utc>> = None;
    let begun = Instant::now();
    while last != Some(tick) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "tick {tick} is not taken, but {last:?}"
        );
        sleep(Duration::from_millis(20)).await;
        last = sqlx::query_scalar(taken)
            .fetch_optional(&queue.pool)
            .await
            .unwrap();
    }
    sleep(Duration::from_millis(150)).await;
}

/// The number of jobs ever enqueued, when all have run.
async fn runs(queue: &Queue) -> usize {
    ticked(queue).await;
    queue.wait_until_idle().await;
    queue.jobs(&Filter::default()).await.len()
}

#[tokio::test]
async fn every_tick_enqueues_one_job_however_many_runners_keep_time() {
    let queue = Queue::new().await;
    let runner = || {
        let sweep = Schedule::every(MINUTE, &Hasty {}).unwrap();
        queue
            .runner()
            .schedule(sweep)
            .register(|_, _: Hasty| async { Ok(()) })
            .build()
    };
    let runners = [start(runner()), start(runner()), start(runner())];
    assert_eq!(runs(&queue).await, 1, "the tick that has begun");
    queue.clock.jump(TimeDelta::seconds(60));
    assert_eq!(runs(&queue).await, 2);
    queue.clock.jump(TimeDelta::hours(5));
    assert_eq!(runs(&queue).await, 3, "ticks missed are not made up for");
    queue.clock.jump(TimeDelta::hours(-5));
    assert_eq!(runs(&queue).await, 4, "a clock set back is followed");
    queue.clock.jump(TimeDelta::seconds(60));
    assert_eq!(runs(&queue).await, 5);
    for runner in runners {
        runner.stop().await;
    }
    let restarted = start(runner());
    sleep(Duration::from_millis(300)).await;
    assert_eq!(runs(&queue).await, 5, "a restart enqueues no tick twice");
    restarted.stop().await;
}

#[tokio::test]
async fn ticks_do_not_pile_up_behind_a_job_that_waits() {
    let queue = Queue::new().await;
    let sweep = Schedule::every(MINUTE, &Hasty {}).unwrap();
    // No handler for the kind: the job waits.
    let working = start(
        queue
            .runner()
            .schedule(sweep)
            .register(|_, _: Probe| async { Ok(()) })
            .build(),
    );
    for _ in 0..3 {
        ticked(&queue).await;
        queue.clock.jump(TimeDelta::seconds(60));
    }
    working.stop().await;
    assert_eq!(queue.in_state(JobState::Available).await, 1);
}
