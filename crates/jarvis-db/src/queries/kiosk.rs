//! Kiosks: pairing and identity.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, KioskId};
use serde_json::Value;
use uuid::Uuid;

/// A kiosk.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Kiosk {
    /// Its id.
    pub id: KioskId,
    /// Its gym.
    pub gym_id: GymId,
    /// Its name.
    pub name: String,
    /// Its short name, unique within the gym.
    pub slug: String,
    /// Its default language.
    pub language: String,
    /// `unpaired`, `active` or `revoked`.
    pub status: String,
    /// The public key made on the device (JWK).
    pub public_key: Option<Value>,
    /// Last sign of life.
    pub last_seen_at: Option<DateTime<Utc>>,
}

impl Kiosk {
    /// Whether it may call: it is paired, and not revoked.
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }
}

struct Row {
    id: Uuid,
    gym_id: Uuid,
    name: String,
    slug: String,
    language: String,
    status: String,
    public_key: Option<Value>,
    last_seen_at: Option<DateTime<Utc>>,
}

impl From<Row> for Kiosk {
    fn from(r: Row) -> Self {
        Self {
            id: r.id.into(),
            gym_id: r.gym_id.into(),
            name: r.name,
            slug: r.slug,
            language: r.language,
            status: r.status,
            public_key: r.public_key,
            last_seen_at: r.last_seen_at,
        }
    }
}

/// The kiosk with this id, if the scope sees it.
pub async fn find(tx: &mut ScopedTx, kiosk: KioskId) -> Result<Option<Kiosk>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "select id, gym_id, name, slug, language, status, public_key, last_seen_at from public.kiosks where id = $1",
        kiosk.as_uuid(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Kiosk::from))
}

/// The kiosks of `gym`, by name.
pub async fn list(tx: &mut ScopedTx, gym: GymId) -> Result<Vec<Kiosk>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, gym_id, name, slug, language, status, public_key, last_seen_at
           from public.kiosks where gym_id = $1 order by name, id",
        gym.as_uuid(),
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Kiosk::from).collect())
}

/// Adds a kiosk, not yet paired. Fails with a conflict when the gym already uses the slug.
pub async fn insert(
    tx: &mut ScopedTx,
    gym: GymId,
    kiosk: KioskId,
    name: &str,
    slug: &str,
    language: &str,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into public.kiosks (id, gym_id, name, slug, language) values ($1, $2, $3, $4, $5)",
        kiosk.as_uuid(),
        gym.as_uuid(),
        name,
        slug,
        language,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Revokes a kiosk; false when the gym has no such kiosk.
pub async fn revoke(
    tx: &mut ScopedTx,
    gym: GymId,
    kiosk: KioskId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update public.kiosks set status = 'revoked', revoked_at = $3, public_key = null
          where gym_id = $1 and id = $2",
        gym.as_uuid(),
        kiosk.as_uuid(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores the hash of a one-time pairing code. Needs the system scope.
pub async fn insert_pairing_code(
    tx: &mut ScopedTx,
    gym: GymId,
    kiosk: KioskId,
    code_hash: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into jarvis.kiosk_pairing_codes (code_hash, gym_id, kiosk_id, expires_at) values ($1, $2, $3, $4)",
        code_hash,
        gym.as_uuid(),
        kiosk.as_uuid(),
        expires_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Uses a pairing code up and binds the device's public key to its kiosk, in one transaction.
/// `None` when the code is unknown, used or expired, or when its kiosk was revoked. Needs the system scope.
pub async fn pair(
    tx: &mut ScopedTx,
    code_hash: &[u8],
    public_key: &Value,
    now: DateTime<Utc>,
) -> Result<Option<Kiosk>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "with used as (
           update jarvis.kiosk_pairing_codes set used_at = $3
            where code_hash = $1 and used_at is null and expires_at > $3
            returning gym_id, kiosk_id)
         update public.kiosks k set public_key = $2, status = 'active', paired_at = $3, last_seen_at = $3
           from used u where k.gym_id = u.gym_id and k.id = u.kiosk_id and k.status <> 'revoked'
         returning k.id, k.gym_id, k.name, k.slug, k.language, k.status, k.public_key, k.last_seen_at",
        code_hash,
        public_key,
        now,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Kiosk::from))
}

/// Notes a sign of life. Needs the system scope.
pub async fn touch(tx: &mut ScopedTx, kiosk: KioskId, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update public.kiosks set last_seen_at = $2 where id = $1",
        kiosk.as_uuid(),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
