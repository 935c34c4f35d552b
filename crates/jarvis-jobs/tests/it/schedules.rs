use std::time::Duration;

use chrono::{SubsecRound, TimeDelta};
use jarvis_jobs::{Filter, JobState, Schedule};
use tokio::time::sleep;

use crate::harness::{Hasty, Probe, Queue, start};

const MINUTE: Duration = Duration::from_mins(1);

async fn settle(queue: &Queue) -> usize {
    sleep(Duration::from_millis(200)).await;
    queue.wait_until_idle().await;
    queue.jobs(&Filter::default()).await.len()
}

#[tokio::test]
async fn every_tick_enqueues_one_job_however_many_runners_keep_time() {
    let queue = Queue::new().await;
    // The clock runs on by itself: start well within a minute.
    queue.clock.jump(TimeDelta::seconds(10));
    let runner = || {
        let sweep = Schedule::every(MINUTE, &Hasty {}).unwrap();
        queue
            .runner()
            .schedule(sweep)
            .register(|_, _: Hasty| async { Ok(()) })
            .build()
    };
    let runners = [start(runner()), start(runner()), start(runner())];
    assert_eq!(settle(&queue).await, 1, "the tick that has begun");
    queue.clock.jump(TimeDelta::seconds(60));
    assert_eq!(settle(&queue).await, 2);
    queue.clock.jump(TimeDelta::hours(5));
    assert_eq!(settle(&queue).await, 3, "ticks missed are not made up for");
    queue.clock.jump(TimeDelta::hours(-5));
    assert_eq!(settle(&queue).await, 4, "a clock set back is followed");
    queue.clock.jump(TimeDelta::seconds(60));
    assert_eq!(settle(&queue).await, 5);
    for runner in runners {
        runner.stop().await;
    }
    let restarted = start(runner());
    assert_eq!(settle(&queue).await, 5, "a restart enqueues no tick twice");
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
    for _ in 0..4 {
        queue.clock.jump(TimeDelta::seconds(60));
        sleep(Duration::from_millis(100)).await;
    }
    working.stop().await;
    assert_eq!(queue.in_state(JobState::Available).await, 1);
    let ticked = "select last_tick from jarvis.job_schedules where name = 'test.hasty'";
    let last: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar(ticked).fetch_one(&queue.pool).await.unwrap();
    assert_eq!(
        last,
        queue.clock.now().trunc_subsecs(0) - TimeDelta::seconds(queue.clock.now().timestamp() % 60)
    );
}
