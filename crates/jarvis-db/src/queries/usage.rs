//! The ledger of what models cost.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, SessionId};

/// What one call to a model took.
#[derive(Debug, Clone, Copy)]
pub struct NewUsage<'a> {
    /// The conversation it was for.
    pub session: Option<&'a SessionId>,
    /// The provider, such as `openai`.
    pub provider: &'a str,
    /// The model, the key of the price book.
    pub model: &'a str,
    /// Tokens read, cached ones included.
    pub input_tokens: i64,
    /// The part of them that came from the provider's cache.
    pub cached_input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// When.
    pub at: DateTime<Utc>,
}

/// Adds a row, with the cost by the prices in force, and returns that in millionths of a millionth of a US dollar,
/// which is exact; without one of the prices it needs, the cost is unknown.
pub async fn insert(tx: &mut ScopedTx, gym: GymId, usage: &NewUsage<'_>) -> Result<Option<i64>, DbError> {
    Ok(sqlx::query_scalar!(
        "with price as (
           select distinct on (unit) unit, usd_per_million from jarvis.price_book
            where model = $4 and valid_from <= $8 order by unit, valid_from desc),
         used (unit, tokens) as (
           values ('input_token', $5::bigint - $6::bigint), ('cached_input_token', $6), ('output_token', $7::bigint)),
         cost as (
           select case when bool_and(p.usd_per_million is not null)
                       then sum(u.tokens * p.usd_per_million) / 1000000 end as usd
             from used u left join price p on p.unit = u.unit where u.tokens > 0)
         insert into jarvis.usage_ledger (gym_id, session_id, provider, model, input_tokens, cached_input_tokens,
                                          output_tokens, cost_usd, recorded_at)
         select $1, $2, $3, $4, $5, $6, $7, usd, $8 from cost
         returning least(cost_usd * 1000000000000, 9223372036854775807)::bigint",
        gym.as_uuid(),
        usage.session.map(SessionId::as_str),
        usage.provider,
        usage.model,
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.at,
    )
    .fetch_one(&mut **tx)
    .await?)
}
