use std::sync::{Arc, Mutex};
use std::time::Duration;

use jarvis_jobs::{JobState, NewJob};
use tokio::time::sleep;
use uuid::Uuid;

use crate::harness::{Probe, Queue, eventually, start};

async fn enqueue_many(queue: &Queue, gym: Uuid, jobs: i64) {
    let mut tx = queue.begin().await;
    for n in 0..jobs {
        let new = NewJob::of(&Probe {
            gym: Some(gym),
            n,
            key: None,
        })
        .unwrap();
        jarvis_jobs::enqueue(&mut tx, &new, queue.clock.now())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

/// The place, from 1, at which the last of the quiet gym's five jobs begins.
async fn place_of_the_fifth(concurrency: usize) -> usize {
    let queue = Queue::new().await;
    let (noisy, quiet) = (queue.gym().await, queue.gym().await);
    enqueue_many(&queue, noisy, 500).await;
    enqueue_many(&queue, quiet, 5).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&order);
    let handler = move |_, job: Probe| {
        sink.lock().unwrap().push(job.gym.unwrap());
        // Long beside the time that the queue itself takes, so that gyms share by turns and not by who is written
        // down as finished first.
        async {
            sleep(Duration::from_millis(150)).await;
            Ok(())
        }
    };
    let working = start(queue.runner().concurrency(concurrency).register(handler).build());
    let begun = |gym| order.lock().unwrap().iter().filter(|g| **g == gym).count();
    eventually("the quiet gym's jobs begin", || begun(quiet) == 5).await;
    let place = order
        .lock()
        .unwrap()
        .iter()
        .rposition(|gym| *gym == quiet)
        .unwrap()
        + 1;
    working.stop().await;
    place
}

#[tokio::test]
async fn a_gym_with_500_jobs_does_not_delay_the_5_of_another() {
    for concurrency in [1, 2, 4] {
        let place = place_of_the_fifth(concurrency).await;
        assert!(
            place <= 12,
            "with {concurrency} at once, the fifth job of the quiet gym was number {place}"
        );
    }
}

#[tokio::test]
async fn the_limit_per_gym_holds_over_all_runners_and_leaves_room_for_others() {
    let queue = Queue::new().await;
    let (noisy, quiet) = (queue.gym().await, queue.gym().await);
    enqueue_many(&queue, noisy, 20).await;
    let runner = || {
        queue
            .runner()
            .concurrency(4)
            .per_gym(3)
            .register(|_, _: Probe| std::future::pending())
    };
    let runners = [start(runner().build()), start(runner().build())];
    while queue.in_state(JobState::Running).await < 3 {
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(queue.in_state(JobState::Running).await, 3);
    let late = queue
        .enqueue(&Probe {
            gym: Some(quiet),
            ..Probe::default()
        })
        .await
        .id();
    queue.wait_for(late, JobState::Running).await;
    for runner in runners {
        runner.kill().await;
    }
}

#[tokio::test]
async fn within_a_gym_the_urgent_goes_first_then_the_oldest() {
    let queue = Queue::new().await;
    let gym = queue.gym().await;
    let mut tx = queue.begin().await;
    for (n, priority) in [(1, 100), (2, 100), (3, 10), (4, 100), (5, 10)] {
        let new = NewJob::of(&Probe {
            gym: Some(gym),
            n,
            key: None,
        })
        .unwrap()
        .priority(priority);
        jarvis_jobs::enqueue(&mut tx, &new, queue.clock.now())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&order);
    let handler = move |_, job: Probe| {
        sink.lock().unwrap().push(job.n);
        async { Ok(()) }
    };
    let working = start(queue.runner().concurrency(1).register(handler).build());
    queue.wait_until_idle().await;
    working.stop().await;
    assert_eq!(*order.lock().unwrap(), [3, 5, 1, 2, 4]);
}
