use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jarvis_jobs::{Enqueued, Filter, JobError, JobState, NewJob};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::harness::{Probe, Queue, eventually, keyed, numbered, start};

#[tokio::test]
async fn a_job_runs_once_with_its_arguments_and_context() {
    let queue = Queue::new().await;
    let gym = queue.gym().await;
    let probe = Probe {
        gym: Some(gym),
        key: Some("k".into()),
        n: 7,
    };
    let id = queue.enqueue(&probe).await.id();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let working = start(
        queue
            .runner()
            .register(move |ctx, job: Probe| {
                sink.lock().unwrap().push((ctx, job));
                async { Ok(()) }
            })
            .build(),
    );
    let job = queue.wait_for(id, JobState::Completed).await;
    working.stop().await;
    let seen = seen.lock().unwrap();
    let [(ctx, ran)] = seen.as_slice() else {
        panic!("ran {} times", seen.len())
    };
    assert_eq!(ran, &probe);
    assert_eq!(
        (ctx.id, ctx.gym_id, ctx.attempt, ctx.max_attempts),
        (id, Some(gym), 1, 3)
    );
    assert_eq!(
        (job.attempt, job.last_error, job.leased_by, job.lease_until),
        (1, None, None, None)
    );
    assert!(job.finished_at.is_some());
}

#[tokio::test]
async fn an_enqueue_in_a_transaction_rolled_back_leaves_nothing() {
    let queue = Queue::new().await;
    let mut tx = queue.begin().await;
    let new = NewJob::of(&numbered(1)).unwrap();
    jarvis_jobs::enqueue(&mut tx, &new, queue.clock.now())
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert!(queue.jobs(&Filter::default()).await.is_empty());
}

#[tokio::test]
async fn the_same_job_waits_once_and_another_gyms_job_of_that_key_is_another_job() {
    let queue = Queue::new().await;
    let (a, b) = (queue.gym().await, queue.gym().await);
    let of = |gym| Probe {
        gym: Some(gym),
        ..keyed("session-1")
    };
    let first = queue.enqueue(&of(a)).await;
    assert!(matches!(first, Enqueued::New(_)));
    assert_eq!(queue.enqueue(&of(a)).await, Enqueued::Waiting(first.id()));
    assert!(matches!(queue.enqueue(&of(b)).await, Enqueued::New(_)));
    assert!(matches!(
        queue.enqueue(&keyed("session-1")).await,
        Enqueued::New(_)
    ));
    assert_eq!(queue.jobs(&Filter::default()).await.len(), 3);
}

#[tokio::test]
async fn jobs_without_a_key_are_all_different() {
    let queue = Queue::new().await;
    let (first, second) = (
        queue.enqueue(&numbered(1)).await,
        queue.enqueue(&numbered(1)).await,
    );
    assert!(matches!((first, second), (Enqueued::New(a), Enqueued::New(b)) if a != b));
}

#[tokio::test]
async fn an_earlier_request_moves_a_waiting_job_forward_but_not_past_its_back_off() {
    let queue = Queue::new().await;
    let later = queue.clock.now() + chrono::TimeDelta::hours(1);
    let mut tx = queue.begin().await;
    let new = NewJob::of(&keyed("k")).unwrap().run_at(later);
    let id = jarvis_jobs::enqueue(&mut tx, &new, queue.clock.now())
        .await
        .unwrap()
        .id();
    tx.commit().await.unwrap();
    queue.enqueue(&keyed("k")).await;
    assert!(queue.job(id).await.run_at < later);

    sqlx::query("update jarvis.jobs set state = 'retryable', run_at = $1")
        .bind(later)
        .execute(&queue.pool)
        .await
        .unwrap();
    queue.enqueue(&keyed("k")).await;
    assert_eq!(queue.job(id).await.run_at, later);
}

#[tokio::test]
async fn an_enqueue_while_the_same_job_runs_makes_it_run_once_more_and_never_twice_at_once() {
    let queue = Queue::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let (begun, at_once, most) = (counter(), counter(), counter());
    let (g, b, a, m) = (gate.clone(), begun.clone(), at_once.clone(), most.clone());
    let runner = || {
        let (gate, begun, at_once, most) = (g.clone(), b.clone(), a.clone(), m.clone());
        queue.runner().register(move |_, job: Probe| {
            let (gate, begun, at_once, most) = (gate.clone(), begun.clone(), at_once.clone(), most.clone());
            async move {
                begun.fetch_add(1, Ordering::SeqCst);
                let of_key = usize::from(job.key.as_deref() == Some("k"));
                most.fetch_max(
                    at_once.fetch_add(of_key, Ordering::SeqCst) + of_key,
                    Ordering::SeqCst,
                );
                gate.acquire().await.unwrap().forget();
                at_once.fetch_sub(of_key, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    let (one, two) = (start(runner().build()), start(runner().build()));
    let first = queue.enqueue(&keyed("k")).await;
    eventually("the first run begins", || begun.load(Ordering::SeqCst) == 1).await;
    let second = queue.enqueue(&keyed("k")).await;
    assert!(matches!(second, Enqueued::New(id) if id != first.id()));
    assert_eq!(queue.enqueue(&keyed("k")).await, Enqueued::Waiting(second.id()));
    sleep(Duration::from_millis(200)).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1, "the second waits for the first");
    queue.enqueue(&keyed("other")).await;
    eventually("it holds up no other job", || begun.load(Ordering::SeqCst) == 2).await;
    gate.add_permits(10);
    queue.wait_until_idle().await;
    assert_eq!(
        (begun.load(Ordering::SeqCst), most.load(Ordering::SeqCst)),
        (3, 1)
    );
    one.stop().await;
    two.stop().await;
}

fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}

#[tokio::test]
async fn a_retry_takes_in_the_request_that_came_while_it_ran() {
    let queue = Queue::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let g = Arc::clone(&gate);
    let working = start(
        queue
            .runner()
            .register(move |ctx, _: Probe| {
                let gate = Arc::clone(&g);
                async move {
                    gate.acquire().await.unwrap().forget();
                    if ctx.attempt == 1 {
                        Err(JobError::retry("not yet"))
                    } else {
                        Ok(())
                    }
                }
            })
            .build(),
    );
    let first = queue.enqueue(&keyed("k")).await.id();
    queue.wait_for(first, JobState::Running).await;
    let asked_last = Probe { n: 7, ..keyed("k") };
    let second = queue.enqueue(&asked_last).await.id();
    gate.add_permits(1);
    queue.wait_for(first, JobState::Retryable).await;
    let folded = queue.job(second).await;
    assert_eq!(folded.state, JobState::Cancelled);
    assert_eq!(folded.last_error.unwrap(), format!("folded into job {first}"));
    assert_eq!(queue.job(first).await.args["n"], 7, "what was asked last counts");
    gate.add_permits(1);
    queue.clock.jump(chrono::TimeDelta::seconds(3));
    queue.wait_for(first, JobState::Completed).await;
    working.stop().await;
}

#[tokio::test]
async fn a_retry_waits_for_a_request_that_is_not_yet_committed() {
    let queue = Queue::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let g = Arc::clone(&gate);
    let working = start(
        queue
            .runner()
            .register(move |_, _: Probe| {
                let gate = Arc::clone(&g);
                async move {
                    gate.acquire().await.unwrap().forget();
                    Err(JobError::retry("not yet"))
                }
            })
            .build(),
    );
    let first = queue.enqueue(&keyed("k")).await.id();
    queue.wait_for(first, JobState::Running).await;
    let mut open = queue.begin().await;
    let new = NewJob::of(&keyed("k")).unwrap();
    let second = jarvis_jobs::enqueue(&mut open, &new, queue.clock.now())
        .await
        .unwrap()
        .id();
    gate.add_permits(1);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(queue.job(first).await.state, JobState::Running);
    open.commit().await.unwrap();
    queue.wait_for(first, JobState::Retryable).await;
    assert_eq!(queue.job(second).await.state, JobState::Cancelled);
    working.stop().await;
}

#[tokio::test]
async fn a_waiting_job_does_not_start_before_a_transaction_that_asked_for_it_again_commits() {
    let queue = Queue::new().await;
    let id = queue.enqueue(&keyed("k")).await.id();
    let mut open = queue.begin().await;
    let again = jarvis_jobs::enqueue(&mut open, &NewJob::of(&keyed("k")).unwrap(), queue.clock.now())
        .await
        .unwrap();
    assert_eq!(again, Enqueued::Waiting(id));
    let working = start(
        queue
            .runner()
            .concurrency(1)
            .register(|_, _: Probe| async { Ok(()) })
            .build(),
    );
    let other = queue.enqueue(&keyed("other")).await.id();
    queue.wait_for(other, JobState::Completed).await;
    assert_eq!(queue.job(id).await.state, JobState::Available);
    open.commit().await.unwrap();
    queue.wait_for(id, JobState::Completed).await;
    working.stop().await;
}

/// Writers bump a number and enqueue in one transaction; the job copies the number. In the end every copy is the
/// last number, whatever the interleaving, and no two runs of a key ever overlapped.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_is_lost_and_no_key_runs_twice_at_once_under_load() {
    const KEYS: i64 = 4;
    const ROUNDS: usize = 25;
    let queue = Arc::new(Queue::new().await);
    sqlx::query("create table source as select n, 0 as v, 0 as copy from generate_series(0, 3) n")
        .execute(&queue.pool)
        .await
        .unwrap();
    let running: Arc<Mutex<HashMap<i64, usize>>> = Arc::default();
    let overlaps = counter();
    let runners: Vec<_> = (0..3)
        .map(|_| {
            let (pool, running, overlaps) = (queue.pool.clone(), running.clone(), overlaps.clone());
            start(
                queue
                    .runner()
                    .register(move |_, job: Probe| {
                        let (pool, running, overlaps) = (pool.clone(), running.clone(), overlaps.clone());
                        async move {
                            let others = {
                                let mut running = running.lock().unwrap();
                                let n = running.entry(job.n).or_default();
                                *n += 1;
                                *n - 1
                            };
                            overlaps.fetch_add(others, Ordering::SeqCst);
                            let v: i32 = sqlx::query_scalar("select v from source where n = $1")
                                .bind(job.n)
                                .fetch_one(&pool)
                                .await
                                .unwrap();
                            sleep(Duration::from_millis(3)).await;
                            sqlx::query("update source set copy = $2 where n = $1")
                                .bind(job.n)
                                .bind(v)
                                .execute(&pool)
                                .await
                                .unwrap();
                            *running.lock().unwrap().get_mut(&job.n).unwrap() -= 1;
                            Ok(())
                        }
                    })
                    .build(),
            )
        })
        .collect();
    let writers: Vec<_> = (0..KEYS)
        .map(|n| tokio::spawn(write_often(Arc::clone(&queue), n, ROUNDS)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    queue.wait_until_idle().await;
    let copies: Vec<(i32, i32)> = sqlx::query_as("select v, copy from source order by n")
        .fetch_all(&queue.pool)
        .await
        .unwrap();
    assert_eq!(copies, vec![(25, 25); 4]);
    assert_eq!(overlaps.load(Ordering::SeqCst), 0);
    for runner in runners {
        runner.stop().await;
    }
}

async fn write_often(queue: Arc<Queue>, n: i64, rounds: usize) {
    let new = NewJob::of(&Probe {
        n,
        ..keyed(&n.to_string())
    })
    .unwrap();
    for _ in 0..rounds {
        let mut tx = queue.pool.begin().await.unwrap();
        sqlx::query("update source set v = v + 1 where n = $1")
            .bind(n)
            .execute(&mut *tx)
            .await
            .unwrap();
        jarvis_jobs::enqueue(&mut tx, &new, queue.clock.now())
            .await
            .unwrap();
        sleep(Duration::from_millis(2)).await;
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_notification_wakes_a_runner_long_before_its_next_look() {
    let queue = Queue::new().await;
    let builder = queue.runner().poll_interval(Duration::from_mins(10));
    let working = start(builder.register(|_, _: Probe| async { Ok(()) }).build());
    let first = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(first, JobState::Completed).await;
    let asked = Instant::now();
    let second = queue.enqueue(&numbered(2)).await.id();
    queue.wait_for(second, JobState::Completed).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    working.stop().await;
}
