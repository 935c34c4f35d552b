//! A brake on the last transaction of processing.

use crate::stored::count;
use sqlx::PgPool;
use std::time::{Duration, Instant};

/// Makes the final transaction of processing as slow as wanted, so that a kill can hit it.
pub struct Brake<'a>(&'a PgPool);

impl<'a> Brake<'a> {
    pub async fn fit(pool: &'a PgPool) -> Self {
        sqlx::raw_sql(
            "create schema brake;
             create table brake.seconds as select 0::float8 as pause;
             create function brake.brake() returns trigger language plpgsql security definer set search_path = ''
               as $$ begin perform pg_catalog.pg_sleep((select pause from brake.seconds)); return new; end $$;
             create trigger brake before insert on public.conversation_summaries
               for each row execute function brake.brake()",
        )
        .execute(pool)
        .await
        .unwrap();
        Self(pool)
    }

    /// The database may just be coming back.
    pub async fn set(&self, seconds: f64) {
        let begun = Instant::now();
        while let Err(error) = sqlx::query("update brake.seconds set pause = $1")
            .bind(seconds)
            .execute(self.0)
            .await
        {
            assert!(
                begun.elapsed() < Duration::from_mins(2),
                "the database does not come back: {error}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn holds_something(&self) -> bool {
        let held = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
        count(self.0, held).await > 0
    }

    pub async fn take_off(self) {
        let off = "drop trigger brake on public.conversation_summaries; drop schema brake cascade";
        sqlx::raw_sql(off).execute(self.0).await.unwrap();
    }
}
