//! Periodic jobs.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tokio::time::{sleep, timeout};

use crate::connect::{Clock, Connect};
use crate::enqueue::enqueue;
use crate::job::{Job, NewJob};
use crate::sql;

/// A job enqueued at every multiple of an interval since 1970-01-01T00:00Z, once for all runners together. Ticks
/// missed while nothing ran are not made up for: the latest one is enqueued. While the job of an earlier tick still
/// waits, no other is added.
#[derive(Debug, Clone)]
pub struct Schedule {
    name: String,
    every: TimeDelta,
    job: NewJob,
}

impl Schedule {
    /// Every `interval` (at least one second, else one second is taken; whole milliseconds).
    ///
    /// # Errors
    /// The arguments do not serialise.
    pub fn every<J: Job>(interval: Duration, job: &J) -> Result<Self, serde_json::Error> {
        let mut job = NewJob::of(job)?;
        let name = match &job.unique_key {
            Some(key) => format!("{}:{key}", job.kind),
            None => job.kind.to_owned(),
        };
        job.unique_key.get_or_insert_with(|| "schedule".to_owned());
        let every = TimeDelta::from_std(interval)
            .unwrap_or(TimeDelta::days(365))
            .max(TimeDelta::seconds(1));
        Ok(Self { name, every, job })
    }

    /// The last tick at or before `now`.
    fn tick(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let past = now
            .timestamp_millis()
            .rem_euclid(self.every.num_milliseconds().max(1));
        DateTime::from_timestamp_millis(now.timestamp_millis() - past).unwrap_or(now)
    }
}

/// Runs for the life of the runner.
pub(crate) async fn keep_time<C: Connect>(
    connect: Arc<C>,
    clock: Clock,
    schedules: Vec<Schedule>,
    poll_interval: Duration,
) {
    const LIMIT: Duration = Duration::from_secs(10);
    let mut seen: Vec<Option<DateTime<Utc>>> = vec![None; schedules.len()];
    loop {
        let now = clock();
        let ticks: Vec<Option<DateTime<Utc>>> = schedules.iter().map(|s| Some(s.tick(now))).collect();
        if ticks != seen {
            match timeout(LIMIT, enqueue_ticks(&*connect, &schedules, now)).await {
                Ok(Ok(true)) => seen = ticks,
                // Another runner leads; it is asked again, in case it dies before its commit.
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "cannot enqueue the scheduled jobs yet"),
                Err(_) => tracing::warn!("enqueuing the scheduled jobs takes too long"),
            }
        }
        sleep(poll_interval).await;
    }
}

/// Enqueues what is due, as the leader. False when another runner is the leader at this moment.
async fn enqueue_ticks<C: Connect>(
    connect: &C,
    schedules: &[Schedule],
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let mut tx = connect.begin().await?;
    if !sqlx::query_scalar::<_, bool>(sql::LEAD)
        .fetch_one(&mut *tx)
        .await?
    {
        return Ok(false);
    }
    for schedule in schedules {
        enqueue_tick(&mut tx, schedule, now).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn enqueue_tick(
    conn: &mut PgConnection,
    schedule: &Schedule,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let tick = schedule.tick(now);
    let taken = sqlx::query(sql::TAKE_TICK)
        .bind(&schedule.name)
        .bind(tick)
        .bind(tick + schedule.every)
        .fetch_optional(&mut *conn)
        .await?;
    if taken.is_some() {
        enqueue(conn, &schedule.job, now).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Sweep {}

    impl Job for Sweep {
        const KIND: &'static str = "test.sweep";
    }

    #[test]
    fn a_tick_is_a_whole_multiple_of_the_interval() {
        let schedule = Schedule::every(Duration::from_mins(5), &Sweep {}).unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(
            schedule.tick(at("2026-03-29T01:07:59Z")),
            at("2026-03-29T01:05:00Z")
        );
        assert_eq!(
            schedule.tick(at("2026-03-29T01:05:00Z")),
            at("2026-03-29T01:05:00Z")
        );
        assert_eq!(
            schedule.tick(at("1969-12-31T23:59:00Z")),
            at("1969-12-31T23:55:00Z")
        );
    }
}
