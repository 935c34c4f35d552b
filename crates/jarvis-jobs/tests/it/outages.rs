use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jarvis_jobs::{JobState, NewJob};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tokio::time::sleep;

use crate::harness::{Probe, Queue, numbered, start};

/// Ends every other connection to this database.
async fn cut_connections(conn: &mut PgConnection) {
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::query(cut).execute(conn).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_connections_lose_no_job_and_double_none() {
    const JOBS: i64 = 60;
    let queue = Queue::new().await;
    let mut tx = queue.begin().await;
    for n in 0..JOBS {
        jarvis_jobs::enqueue(&mut tx, &NewJob::of(&numbered(n)).unwrap(), queue.clock.now())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let at_work: Arc<Mutex<HashSet<i64>>> = Arc::default();
    let doubled = Arc::new(AtomicUsize::new(0));
    let runners: Vec<_> = (0..2)
        .map(|_| {
            let (at_work, doubled) = (Arc::clone(&at_work), Arc::clone(&doubled));
            let handler = move |_, job: Probe| {
                let (at_work, doubled) = (Arc::clone(&at_work), Arc::clone(&doubled));
                async move {
                    if !at_work.lock().unwrap().insert(job.n) {
                        doubled.fetch_add(1, Ordering::SeqCst);
                    }
                    sleep(Duration::from_millis(40)).await;
                    at_work.lock().unwrap().remove(&job.n);
                    Ok(())
                }
            };
            start(
                queue
                    .runner()
                    .concurrency(4)
                    .lease(Duration::from_secs(3))
                    .register(handler)
                    .build(),
            )
        })
        .collect();
    let mut admin = queue.pool.acquire().await.unwrap();
    for _ in 0..6 {
        sleep(Duration::from_millis(120)).await;
        cut_connections(&mut admin).await;
    }
    drop(admin);
    queue.wait_until_idle().await;
    assert_eq!(
        queue.in_state(JobState::Completed).await,
        usize::try_from(JOBS).unwrap()
    );
    assert_eq!(doubled.load(Ordering::SeqCst), 0);
    for runner in runners {
        runner.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_done_while_the_database_was_away_is_written_when_it_is_back() {
    let queue = Queue::new().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let handler = move |_, _: Probe| {
        count.fetch_add(1, Ordering::SeqCst);
        async {
            sleep(Duration::from_millis(500)).await;
            Ok(())
        }
    };
    let working = start(
        queue
            .runner()
            .lease(Duration::from_secs(10))
            .register(handler)
            .build(),
    );
    let id = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(id, JobState::Running).await;

    let mut door = Door::of(&queue).await;
    door.shut().await;
    sleep(Duration::from_millis(1500)).await;
    assert!(queue.pool.acquire().await.is_err(), "the database is away");
    door.open().await;

    let done = queue.wait_for(id, JobState::Completed).await;
    assert_eq!((done.attempt, runs.load(Ordering::SeqCst)), (1, 1));
    let later = queue.enqueue(&numbered(2)).await.id();
    queue.wait_for(later, JobState::Completed).await;
    working.stop().await;
}

#[tokio::test]
async fn notifications_come_again_after_their_connection_was_cut() {
    let queue = Queue::new().await;
    let builder = queue
        .runner()
        .poll_interval(Duration::from_mins(10))
        .lease(Duration::from_mins(10));
    let working = start(builder.register(|_, _: Probe| async { Ok(()) }).build());
    let first = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(first, JobState::Completed).await;
    let mut admin = queue.pool.acquire().await.unwrap();
    cut_connections(&mut admin).await;
    drop(admin);
    // Enqueued while nobody listens, and after.
    let second = queue.enqueue(&numbered(2)).await.id();
    queue.wait_for(second, JobState::Completed).await;
    let third = queue.enqueue(&numbered(3)).await.id();
    queue.wait_for(third, JobState::Completed).await;
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_cut_off_for_longer_than_its_lease_stops_its_handlers_and_starts_them_again() {
    let queue = Queue::new().await;
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (b, e) = (Arc::clone(&begun), Arc::clone(&ended));
    let handler = move |_, _: Probe| {
        b.fetch_add(1, Ordering::SeqCst);
        let ended = Arc::clone(&e);
        async move {
            sleep(Duration::from_secs(3)).await;
            ended.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    };
    let working = start(
        queue
            .runner()
            .lease(Duration::from_millis(1500))
            .register(handler)
            .build(),
    );
    let id = queue.enqueue(&numbered(1)).await.id();
    queue.wait_for(id, JobState::Running).await;
    let mut door = Door::of(&queue).await;
    door.shut().await;
    sleep(Duration::from_millis(3500)).await;
    assert_eq!(
        (begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst)),
        (1, 0)
    );
    door.open().await;
    let done = queue.wait_for(id, JobState::Completed).await;
    working.stop().await;
    assert_eq!(
        (
            done.attempt,
            begun.load(Ordering::SeqCst),
            ended.load(Ordering::SeqCst)
        ),
        (2, 2, 1)
    );
}

/// Takes a database away from its users; a database cannot close itself, so it stands in another.
struct Door {
    name: String,
    conn: PgConnection,
}

impl Door {
    async fn of(queue: &Queue) -> Self {
        let name = queue.pool.connect_options().get_database().unwrap().to_owned();
        let beside = queue.pool.connect_options().as_ref().clone().database("postgres");
        Self {
            name,
            conn: beside.connect().await.unwrap(),
        }
    }

    async fn allow(&mut self, yes: bool) {
        let alter = format!("alter database {} with allow_connections {yes}", self.name);
        sqlx::query(AssertSqlSafe(alter))
            .execute(&mut self.conn)
            .await
            .unwrap();
    }

    async fn shut(&mut self) {
        self.allow(false).await;
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
        sqlx::query(cut)
            .bind(&self.name)
            .execute(&mut self.conn)
            .await
            .unwrap();
    }

    async fn open(&mut self) {
        self.allow(true).await;
    }
}
