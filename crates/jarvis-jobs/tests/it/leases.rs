use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jarvis_jobs::{JobState, NewJob};
use tokio::time::sleep;

use crate::harness::{Probe, Queue, eventually, keyed, numbered, start};

/// A lease that tests wait for, and three heartbeats that a busy machine keeps up with.
const SHORT: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn the_job_of_a_killed_runner_runs_again_when_its_lease_is_over() {
    let queue = Queue::new().await;
    let hang = |_, _: Probe| async {
        std::future::pending::<()>().await;
        Ok(())
    };
    let killed = start(queue.runner().lease(SHORT).register(hang).build());
    let id = queue.enqueue(&keyed("k")).await.id();
    queue.wait_for(id, JobState::Running).await;
    // The heartbeat holds the job past its first lease.
    sleep(SHORT * 2).await;
    let held = queue.job(id).await;
    assert_eq!((held.state, held.attempt), (JobState::Running, 1));
    killed.kill().await;
    let heir = start(
        queue
            .runner()
            .lease(SHORT)
            .register(|_, _: Probe| async { Ok(()) })
            .build(),
    );
    let done = queue.wait_for(id, JobState::Completed).await;
    heir.stop().await;
    assert_eq!(done.attempt, 2);
    assert_eq!(done.errors[0]["error"], "lease_expired");
}

/// What a clock does that is set forward right after each heartbeat: the lease that was prolonged has run out already.
const CLOCK_SET_FORWARD: &str = "
    create function pg_temp.forward() returns trigger language plpgsql
      as $$ begin new.lease_until := clock_timestamp() - interval '1 minute'; return new; end $$;
    create trigger forward before update on jarvis.jobs for each row
      when (old.state = 'running' and new.state = 'running') execute function pg_temp.forward()";

#[tokio::test]
async fn a_clock_that_is_set_forward_takes_no_job_from_a_runner_that_lives() {
    let queue = Queue::new().await;
    let mut setting = queue.pool.acquire().await.unwrap();
    sqlx::raw_sql(CLOCK_SET_FORWARD)
        .execute(&mut *setting)
        .await
        .unwrap();
    let long = |_, _: Probe| async {
        sleep(SHORT * 2).await;
        Ok(())
    };
    let runner = start(queue.runner().lease(SHORT).register(long).build());
    let id = queue.enqueue(&keyed("k")).await.id();
    let done = queue.wait_for(id, JobState::Completed).await;
    runner.stop().await;
    assert_eq!((done.attempt, done.errors), (1, serde_json::json!([])));
}

#[tokio::test]
async fn a_job_that_kills_every_runner_ends_among_the_dead_letters() {
    let queue = Queue::new().await;
    let id = queue.enqueue(&numbered(1)).await.id();
    for attempt in 1..=3 {
        let hang = |_, _: Probe| std::future::pending();
        let victim = start(queue.runner().lease(SHORT).register(hang).build());
        let mut tries = 0;
        while tries < attempt {
            tries = queue.job(id).await.attempt;
            sleep(Duration::from_millis(10)).await;
        }
        victim.kill().await;
    }
    let undertaker = start(
        queue
            .runner()
            .lease(SHORT)
            .register(|_, _: Probe| async { Ok(()) })
            .build(),
    );
    let dead = queue.wait_for(id, JobState::Discarded).await;
    undertaker.stop().await;
    assert_eq!(
        (dead.attempt, dead.last_error.as_deref()),
        (3, Some("lease_expired"))
    );
}

#[tokio::test]
async fn a_request_that_waits_behind_a_killed_run_is_taken_in_by_its_next_try() {
    let queue = Queue::new().await;
    let victim = start(
        queue
            .runner()
            .lease(SHORT)
            .register(|_, _: Probe| std::future::pending())
            .build(),
    );
    let first = queue.enqueue(&keyed("k")).await.id();
    queue.wait_for(first, JobState::Running).await;
    let second = queue.enqueue(&keyed("k")).await.id();
    victim.kill().await;
    let heir = start(
        queue
            .runner()
            .lease(SHORT)
            .register(|_, _: Probe| async { Ok(()) })
            .build(),
    );
    queue.wait_for(first, JobState::Completed).await;
    heir.stop().await;
    assert_eq!(queue.job(second).await.state, JobState::Cancelled);
}

#[tokio::test]
async fn a_runner_that_lost_its_lease_stops_the_handler_and_writes_nothing() {
    let queue = Queue::new().await;
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let working = start(
        queue
            .runner()
            .lease(SHORT)
            .register(move |_, _: Probe| {
                let count = Arc::clone(&count);
                async move {
                    sleep(SHORT * 3).await;
                    count.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
            })
            .build(),
    );
    let id = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(id, JobState::Running).await;
    let steal = "update jarvis.jobs set leased_by = 'thief', lease_until = now() + interval '1 hour'";
    sqlx::query(steal).execute(&queue.pool).await.unwrap();
    sleep(SHORT * 4).await;
    working.stop().await;
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    let job = queue.job(id).await;
    assert_eq!(
        (job.state, job.leased_by.as_deref()),
        (JobState::Running, Some("thief"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_runners_never_run_one_job_twice() {
    let queue = Queue::new().await;
    let mut tx = queue.begin().await;
    for n in 0..200 {
        jarvis_jobs::enqueue(&mut tx, &NewJob::of(&numbered(n)).unwrap(), queue.clock.now())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..200).map(|_| AtomicUsize::new(0)).collect());
    let runners: Vec<_> = (0..2)
        .map(|_| {
            let runs = Arc::clone(&runs);
            let handler = move |_, job: Probe| {
                runs[usize::try_from(job.n).unwrap()].fetch_add(1, Ordering::SeqCst);
                async { Ok(()) }
            };
            start(queue.runner().concurrency(8).register(handler).build())
        })
        .collect();
    queue.wait_until_idle().await;
    let counted: Vec<usize> = runs.iter().map(|n| n.load(Ordering::SeqCst)).collect();
    assert_eq!(counted, vec![1; 200]);
    assert_eq!(queue.in_state(JobState::Completed).await, 200);
    for runner in runners {
        runner.stop().await;
    }
}

#[tokio::test]
async fn a_jump_of_the_clock_takes_no_job_away_from_its_runner() {
    let queue = Queue::new().await;
    let begun = Arc::new(AtomicUsize::new(0));
    let (one, two) = (Arc::clone(&begun), Arc::clone(&begun));
    let handler = |begun: Arc<AtomicUsize>| {
        move |_, _: Probe| {
            begun.fetch_add(1, Ordering::SeqCst);
            async {
                sleep(SHORT * 2).await;
                Ok(())
            }
        }
    };
    let one = start(queue.runner().lease(SHORT).register(handler(one)).build());
    let two = start(queue.runner().lease(SHORT).register(handler(two)).build());
    let id = queue.enqueue(&numbered(1)).await.id();
    eventually("it begins", || begun.load(Ordering::SeqCst) == 1).await;
    queue.clock.jump(chrono::TimeDelta::days(400));
    queue.wait_for(id, JobState::Completed).await;
    one.stop().await;
    two.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_end_of_a_job_that_another_runner_took_over_is_not_written() {
    let queue = Queue::new().await;
    let handler = |_, _: Probe| async {
        sleep(Duration::from_millis(400)).await;
        Ok(())
    };
    // No heartbeat comes before the handler ends.
    let working = start(
        queue
            .runner()
            .lease(Duration::from_mins(10))
            .register(handler)
            .build(),
    );
    let id = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(id, JobState::Running).await;
    sqlx::query("update jarvis.jobs set leased_by = 'thief'")
        .execute(&queue.pool)
        .await
        .unwrap();
    sleep(Duration::from_millis(600)).await;
    working.stop().await;
    let job = queue.job(id).await;
    assert_eq!(
        (job.state, job.leased_by.as_deref()),
        (JobState::Running, Some("thief"))
    );
}
