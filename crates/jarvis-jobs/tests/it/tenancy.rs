use jarvis_jobs::{Enqueued, Filter, JobState, NewJob};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::harness::{Probe, Queue, keyed, start};

fn of(gym: Uuid) -> NewJob {
    NewJob::of(&Probe {
        gym: Some(gym),
        ..keyed("k")
    })
    .unwrap()
}

/// The error code of a statement that must be refused.
async fn refusal(mut tx: Transaction<'static, Postgres>, statement: &'static str) -> String {
    let error = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

#[tokio::test]
async fn the_server_of_a_gym_enqueues_for_its_gym_and_sees_no_other() {
    let queue = Queue::new().await;
    let (a, b) = (queue.gym().await, queue.gym().await);
    let now = queue.clock.now();
    let mut tx = queue.begin_in(a).await;
    let first = jarvis_jobs::enqueue(&mut tx, &of(a), now).await.unwrap();
    assert_eq!(
        jarvis_jobs::enqueue(&mut tx, &of(a), now).await.unwrap(),
        Enqueued::Waiting(first.id())
    );
    tx.commit().await.unwrap();

    let mut tx = queue.begin_in(b).await;
    assert!(
        jarvis_jobs::list(&mut tx, &Filter::default(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(matches!(
        jarvis_jobs::enqueue(&mut tx, &of(b), now).await.unwrap(),
        Enqueued::New(_)
    ));
    let foreign = jarvis_jobs::enqueue(&mut tx, &of(a), now).await.unwrap_err();
    assert_eq!(foreign.as_database_error().unwrap().code().unwrap(), "42501");
}

#[tokio::test]
async fn the_server_of_a_gym_cannot_enqueue_for_all_gyms() {
    let queue = Queue::new().await;
    let mut tx = queue.begin_in(queue.gym().await).await;
    let everywhere = NewJob::of(&keyed("k")).unwrap();
    let refused = jarvis_jobs::enqueue(&mut tx, &everywhere, queue.clock.now())
        .await
        .unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501");
}

#[tokio::test]
async fn the_server_of_a_gym_neither_ends_nor_starts_nor_rewrites_nor_deletes_jobs() {
    let queue = Queue::new().await;
    let gym = queue.gym().await;
    queue
        .enqueue(&Probe {
            gym: Some(gym),
            ..keyed("k")
        })
        .await;
    for statement in [
        "update jarvis.jobs set state = 'cancelled', finished_at = now()",
        "update jarvis.jobs set args = '{}'",
        "delete from jarvis.jobs",
        "insert into jarvis.jobs (kind, gym_id, state) values ('test.x', jarvis.current_gym(), 'cancelled')",
        "select * from jarvis.job_schedules",
    ] {
        assert_eq!(
            refusal(queue.begin_in(gym).await, statement).await,
            "42501",
            "{statement}"
        );
    }
}

#[tokio::test]
async fn people_and_visitors_have_no_way_into_the_queue() {
    let queue = Queue::new().await;
    for (role, statement) in [
        ("set local role anon", "select id from jarvis.jobs"),
        ("set local role authenticated", "select id from jarvis.jobs"),
        ("set local role service_role", "select id from jarvis.jobs"),
    ] {
        let mut tx = queue.pool.begin().await.unwrap();
        sqlx::query(role).execute(&mut *tx).await.unwrap();
        assert_eq!(refusal(tx, statement).await, "42501", "{role}");
    }
}

#[tokio::test]
async fn arguments_longer_than_identifiers_are_refused() {
    let queue = Queue::new().await;
    let mut tx = queue.begin().await;
    let speech = "update jarvis.jobs set args = jsonb_build_object('text', repeat('bla ', 2000))";
    jarvis_jobs::enqueue(&mut tx, &NewJob::of(&keyed("k")).unwrap(), queue.clock.now())
        .await
        .unwrap();
    assert_eq!(refusal(tx, speech).await, "23514");
}

#[tokio::test]
async fn the_jobs_of_an_erased_gym_go_with_it_even_while_one_runs() {
    let queue = Queue::new().await;
    let (gone, stays) = (queue.gym().await, queue.gym().await);
    let working = start(
        queue
            .runner()
            .register(|_, _: Probe| std::future::pending())
            .build(),
    );
    let id = queue
        .enqueue(&Probe {
            gym: Some(gone),
            ..keyed("k")
        })
        .await
        .id();
    queue.wait_for(id, JobState::Running).await;
    queue
        .enqueue(&Probe {
            gym: Some(stays),
            ..keyed("k")
        })
        .await;
    sqlx::query("delete from public.gyms where id = $1")
        .bind(gone)
        .execute(&queue.pool)
        .await
        .unwrap();
    let left: Vec<_> = queue
        .jobs(&Filter::default())
        .await
        .iter()
        .map(|job| job.gym_id)
        .collect();
    assert_eq!(left, [Some(stays)]);
    working.kill().await;
}
