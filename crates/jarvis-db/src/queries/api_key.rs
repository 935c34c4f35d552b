//! Opaque keys of the data API: their hashes, never the keys.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A key, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ApiKey {
    /// Its id.
    pub id: Uuid,
    /// `publishable` or `secret`.
    pub kind: String,
    /// What it is for.
    pub name: String,
    /// How it begins.
    pub shown: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Keeps a key by its hash (SHA-256). Needs the system scope.
pub async fn insert(tx: &mut ScopedTx, key: &ApiKey, hash: &[u8; 32]) -> Result<(), DbError> {
    sqlx::query!(
        "insert into jarvis.api_keys (id, kind, name, shown, key_hash, created_at) values ($1, $2, $3, $4, $5, $6)",
        key.id,
        key.kind,
        key.name,
        key.shown,
        &hash[..],
        key.created_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Every key, the oldest first. Needs the system scope.
pub async fn list(tx: &mut ScopedTx) -> Result<Vec<ApiKey>, DbError> {
    Ok(sqlx::query_as!(
        ApiKey,
        "select id, kind, name, shown, created_at, revoked_at from jarvis.api_keys order by created_at, id",
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// The kind of the key with this hash, unless it is revoked. Needs the system scope.
pub async fn kind_of(tx: &mut ScopedTx, hash: &[u8; 32]) -> Result<Option<String>, DbError> {
    Ok(sqlx::query_scalar!(
        "select kind from jarvis.api_keys where key_hash = $1 and revoked_at is null",
        &hash[..],
    )
    .fetch_optional(&mut **tx)
    .await?)
}

/// Revokes a key; returns whether there was one to revoke. Needs the system scope.
pub async fn revoke(tx: &mut ScopedTx, id: Uuid, now: DateTime<Utc>) -> Result<bool, DbError> {
    let revoked = sqlx::query!(
        "update jarvis.api_keys set revoked_at = $2 where id = $1 and revoked_at is null",
        id,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(revoked.rows_affected() > 0)
}
