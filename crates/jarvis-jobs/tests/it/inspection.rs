use chrono::TimeDelta;
use jarvis_jobs::{Filter, JobError, JobState};

use crate::harness::{Hasty, Probe, Queue, keyed, numbered, start};

/// Lets every probe fail for good.
async fn kill_all_probes(queue: &Queue) {
    let working = start(
        queue
            .runner()
            .register(|_, _: Probe| async { Err(JobError::fail("broken")) })
            .build(),
    );
    queue.wait_until_idle().await;
    working.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_newest_first_by_state_kind_and_gym_page_by_page() {
    let queue = Queue::new().await;
    let gym = queue.gym().await;
    let dead = queue.enqueue(&numbered(1)).await.id();
    kill_all_probes(&queue).await;
    let ours = queue
        .enqueue(&Probe {
            gym: Some(gym),
            ..numbered(2)
        })
        .await
        .id();
    let hasty = queue.enqueue(&Hasty {}).await.id();

    let ids =
        async |filter: Filter| -> Vec<i64> { queue.jobs(&filter).await.iter().map(|job| job.id).collect() };
    assert_eq!(ids(Filter::default()).await, [hasty, ours, dead]);
    assert_eq!(
        ids(Filter {
            state: Some(JobState::Discarded),
            ..Filter::default()
        })
        .await,
        [dead]
    );
    assert_eq!(
        ids(Filter {
            kind: Some("test.hasty".into()),
            ..Filter::default()
        })
        .await,
        [hasty]
    );
    assert_eq!(
        ids(Filter {
            gym_id: Some(gym),
            ..Filter::default()
        })
        .await,
        [ours]
    );
    assert_eq!(
        ids(Filter {
            before: Some(hasty),
            ..Filter::default()
        })
        .await,
        [ours, dead]
    );

    let mut tx = queue.begin().await;
    assert_eq!(
        jarvis_jobs::list(&mut tx, &Filter::default(), 2)
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(jarvis_jobs::find(&mut tx, 999_999).await.unwrap().is_none());
    let counts = jarvis_jobs::counts(&mut tx).await.unwrap();
    let counts: Vec<_> = counts
        .iter()
        .map(|c| (c.kind.as_str(), c.state, c.jobs))
        .collect();
    assert_eq!(
        counts,
        [
            ("test.hasty", JobState::Available, 1),
            ("test.probe", JobState::Available, 1),
            ("test.probe", JobState::Discarded, 1)
        ]
    );
}

#[tokio::test]
async fn a_dead_letter_retried_starts_from_its_first_try() {
    let queue = Queue::new().await;
    let id = queue.enqueue(&numbered(1)).await.id();
    kill_all_probes(&queue).await;
    let mut tx = queue.begin().await;
    assert!(jarvis_jobs::retry(&mut tx, id, queue.clock.now()).await.unwrap());
    assert!(
        !jarvis_jobs::retry(&mut tx, 999_999, queue.clock.now())
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let job = queue.job(id).await;
    assert_eq!(
        (job.state, job.attempt, job.finished_at),
        (JobState::Available, 0, None)
    );
    assert_eq!(job.errors.as_array().unwrap().len(), 1, "its history stays");
    let working = start(queue.runner().register(|_, _: Probe| async { Ok(()) }).build());
    queue.wait_for(id, JobState::Completed).await;
    working.stop().await;
}

#[tokio::test]
async fn a_dead_letter_is_not_retried_beside_a_waiting_job_of_its_key() {
    let queue = Queue::new().await;
    let dead = queue.enqueue(&keyed("k")).await.id();
    kill_all_probes(&queue).await;
    queue.enqueue(&keyed("k")).await;
    let mut tx = queue.begin().await;
    assert!(
        !jarvis_jobs::retry(&mut tx, dead, queue.clock.now())
            .await
            .unwrap()
    );
    assert_eq!(
        jarvis_jobs::retry_dead(&mut tx, None, queue.clock.now())
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn all_dead_letters_of_a_kind_start_again_one_per_key() {
    let queue = Queue::new().await;
    for _ in 0..2 {
        queue.enqueue(&keyed("same")).await;
        queue.enqueue(&numbered(1)).await;
        kill_all_probes(&queue).await;
    }
    assert_eq!(queue.in_state(JobState::Discarded).await, 4);
    let mut tx = queue.begin().await;
    assert_eq!(
        jarvis_jobs::retry_dead(&mut tx, Some("test.hasty"), queue.clock.now())
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        jarvis_jobs::retry_dead(&mut tx, Some("test.probe"), queue.clock.now())
            .await
            .unwrap(),
        3
    );
    tx.commit().await.unwrap();
    assert_eq!(queue.in_state(JobState::Available).await, 3);
}

#[tokio::test]
async fn a_waiting_job_can_be_withdrawn_and_a_finished_one_cannot() {
    let queue = Queue::new().await;
    let (first, second) = (
        queue.enqueue(&numbered(1)).await.id(),
        queue.enqueue(&Hasty {}).await.id(),
    );
    let now = queue.clock.now();
    let mut tx = queue.begin().await;
    assert!(jarvis_jobs::cancel(&mut tx, first, now).await.unwrap());
    assert!(!jarvis_jobs::cancel(&mut tx, first, now).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(queue.job(first).await.state, JobState::Cancelled);
    assert_eq!(queue.job(second).await.state, JobState::Available);
}

#[tokio::test]
async fn finished_jobs_are_deleted_after_their_time_and_dead_letters_later() {
    let queue = Queue::new().await;
    let dead = queue.enqueue(&numbered(1)).await.id();
    kill_all_probes(&queue).await;
    let done = queue.enqueue(&numbered(2)).await.id();
    let working = start(queue.runner().register(|_, _: Probe| async { Ok(()) }).build());
    queue.wait_for(done, JobState::Completed).await;
    working.stop().await;
    let waiting = queue.enqueue(&numbered(3)).await.id();

    let (now, hour) = (queue.clock.now(), TimeDelta::hours(1));
    let mut tx = queue.begin().await;
    assert_eq!(
        jarvis_jobs::prune(&mut tx, now - hour, now - hour).await.unwrap(),
        0
    );
    assert_eq!(
        jarvis_jobs::prune(&mut tx, now + hour, now - hour).await.unwrap(),
        1
    );
    assert!(jarvis_jobs::find(&mut tx, done).await.unwrap().is_none());
    assert_eq!(
        jarvis_jobs::prune(&mut tx, now + hour, now + hour).await.unwrap(),
        1
    );
    assert!(jarvis_jobs::find(&mut tx, dead).await.unwrap().is_none());
    assert!(jarvis_jobs::find(&mut tx, waiting).await.unwrap().is_some());
}
