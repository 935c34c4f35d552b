//! Measuring the database against the design it replaces, on made-up rows in a database of its own.

pub mod ground;
pub mod guide;
pub mod ingest;
pub mod recall;
pub mod rest_ground;
pub mod synthetic;
pub mod visits;

use crate::DbError;
use serde::Serialize;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::time::Duration;

/// Waiting times of one configuration.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Times {
    /// How many calls were measured.
    pub calls: usize,
    /// Half of the calls took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 took no longer.
    pub p95_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
}

impl Times {
    /// The percentiles of some durations.
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |percent: usize| {
            let index = (durations.len() * percent).div_ceil(100).saturating_sub(1);
            durations.get(index).map_or(0.0, |d| d.as_secs_f64() * 1_000.0)
        };
        Self {
            calls: durations.len(),
            p50_ms: at(50),
            p95_ms: at(95),
            p99_ms: at(99),
        }
    }
}

/// The settings of PostgreSQL that a figure depends on.
///
/// # Errors
/// When the database does not answer.
pub async fn settings_of(connection: &mut PgConnection) -> Result<BTreeMap<String, String>, DbError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select name, current_setting(name) from pg_catalog.pg_settings
          where name in ('server_version', 'shared_buffers', 'work_mem', 'maintenance_work_mem', 'fsync',
                         'synchronous_commit', 'wal_level', 'jit', 'random_page_cost', 'max_wal_size')
         union all
         select 'pgvector', extversion::text from pg_catalog.pg_extension where extname = 'vector'",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_a_hundred_calls() {
        let times = Times::of((1..=100).rev().map(Duration::from_millis).collect());
        let told = [times.p50_ms, times.p95_ms, times.p99_ms];
        for (told, expected) in told.into_iter().zip([50.0, 95.0, 99.0]) {
            assert!((told - expected).abs() < 1e-9, "{told}");
        }
        assert_eq!(Times::of(Vec::new()).calls, 0);
    }
}
