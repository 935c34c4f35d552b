//! The book of prices: what a million tokens of a model cost. Rows are added, never changed.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, NaiveDate, Utc};
use jarvis_core::GymId;
use serde::Serialize;
use sqlx::PgConnection;

/// What is counted, as the database names it.
pub const UNITS: [&str; 7] = [
    "input_token",
    "cached_input_token",
    "output_token",
    "audio_input_token",
    "cached_audio_input_token",
    "audio_output_token",
    "audio_second",
];

/// A price of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Price {
    /// The model, as it is asked for.
    pub model: String,
    /// What is counted: one of [`UNITS`].
    pub unit: String,
    /// US dollars for a million of them: up to 8 digits before the point and 6 after it.
    pub usd_per_million: String,
    /// From when it holds, until a later one does.
    pub valid_from: DateTime<Utc>,
    /// Where it was read.
    pub source: String,
}

/// Adds prices, all or none. As the owner of the database: no scope of the server sets a price.
///
/// # Errors
/// A conflict when a price of that model and unit begins at the same moment.
pub async fn insert(conn: &mut PgConnection, prices: &[Price]) -> Result<(), DbError> {
    let mut tx = sqlx::Connection::begin(conn).await?;
    for price in prices {
        sqlx::query!(
            "insert into jarvis.price_book (model, unit, valid_from, usd_per_million, source)
             values ($1, $2, $3, $4::text::numeric, $5)",
            price.model,
            price.unit,
            price.valid_from,
            price.usd_per_million,
            price.source,
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(tx.commit().await?)
}

/// The prices in force at `at` and those that begin later; with `past` those before as well. By model, unit and day.
pub async fn list(
    tx: &mut ScopedTx,
    model: Option<&str>,
    at: DateTime<Utc>,
    past: bool,
) -> Result<Vec<Price>, DbError> {
    Ok(sqlx::query_as!(
        Price,
        r#"select model, unit, trim_scale(usd_per_million)::text as "usd_per_million!", valid_from, source
             from (select b.*, lead(valid_from) over (partition by model, unit order by valid_from) as until
                     from jarvis.price_book b) b
            where (model = $1 or $1 is null) and ($3 or until > $2 or until is null)
            order by model, unit, valid_from"#,
        model,
        at,
        past,
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// What a gym's calls of one model cost in a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spending {
    /// Who served the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Calls.
    pub calls: i64,
    /// Calls whose cost is unknown, since a price was.
    pub calls_without_price: i64,
    /// Tokens read, cached ones included.
    pub input_tokens: i64,
    /// The part of them that came from the provider's cache.
    pub cached_input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// US dollars, to the last digit, over the calls whose cost is known; none when there is none.
    pub usd: Option<String>,
}

/// A gym's spending in the month of `day`, in its own time zone, by model.
pub async fn spending(tx: &mut ScopedTx, gym: GymId, day: NaiveDate) -> Result<Vec<Spending>, DbError> {
    Ok(sqlx::query_as!(
        Spending,
        r#"select u.provider, u.model, count(*) as "calls!",
                  count(*) filter (where u.cost_usd is null) as "calls_without_price!",
                  sum(u.input_tokens)::bigint as "input_tokens!",
                  sum(u.cached_input_tokens)::bigint as "cached_input_tokens!",
                  sum(u.output_tokens)::bigint as "output_tokens!",
                  trim_scale(sum(u.cost_usd))::text as usd
             from jarvis.usage_ledger u join public.gyms g on g.id = u.gym_id
            where u.gym_id = $1
              and u.recorded_at >= date_trunc('month', $2::date::timestamp) at time zone g.timezone
              and u.recorded_at < (date_trunc('month', $2::date::timestamp) + interval '1 month') at time zone g.timezone
            group by u.provider, u.model
            order by u.provider, u.model"#,
        gym.as_uuid(),
        day,
    )
    .fetch_all(&mut **tx)
    .await?)
}
