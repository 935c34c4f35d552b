//! Sessions of people who signed in, and the tokens that renew them. Everything here needs the system scope.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::UserId;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Who somebody is to the applications they sign in to. What they may do stands in `public.users`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Their id.
    pub id: UserId,
    /// E-mail address, in lower case.
    pub email: String,
    /// When the address was confirmed.
    pub email_confirmed_at: Option<DateTime<Utc>>,
    /// When they last gave their password.
    pub last_sign_in_at: Option<DateTime<Utc>>,
    /// What operators say of them; an object.
    pub app_metadata: Value,
    /// What they say of themselves; an object. It gives no rights.
    pub user_metadata: Value,
    /// When the identity was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Whether the identities are ours. Where a platform brought schema `auth`, the platform signs people in.
pub async fn identities_are_ours(conn: &mut PgConnection) -> Result<bool, DbError> {
    let ours = sqlx::query_scalar!(
        r#"select coalesce(obj_description(to_regnamespace('auth')) like 'JARVIS%', false) as "ours!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(ours)
}

/// The identity of somebody who may sign in: active, and not banned at `now`.
pub async fn identity(
    tx: &mut ScopedTx,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<Option<Identity>, DbError> {
    let row = sqlx::query!(
        "select u.id, u.email, a.email_confirmed_at, a.last_sign_in_at, a.raw_app_meta_data, a.raw_user_meta_data,
                a.created_at, a.updated_at
           from public.users u join auth.users a on a.id = u.id
          where u.id = $1 and u.is_active and (a.banned_until is null or a.banned_until <= $2)",
        user.as_uuid(),
        now,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|r| Identity {
        id: r.id.into(),
        email: r.email,
        email_confirmed_at: r.email_confirmed_at,
        last_sign_in_at: r.last_sign_in_at,
        app_metadata: r.raw_app_meta_data,
        user_metadata: r.raw_user_meta_data,
        created_at: r.created_at,
        updated_at: r.updated_at,
    }))
}

/// Forgets the sessions of everybody that ended before `ended_before` or were last renewed before `renewed_before`, with
/// their tokens.
pub async fn forget_ended(
    tx: &mut ScopedTx,
    ended_before: DateTime<Utc>,
    renewed_before: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "delete from jarvis.auth_sessions where ended_at < $1 or refreshed_at < $2",
        ended_before,
        renewed_before,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Begins a session.
pub async fn begin(
    tx: &mut ScopedTx,
    session: Uuid,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into jarvis.auth_sessions (id, user_id, created_at, refreshed_at) values ($1, $2, $3, $3)",
        session,
        user.as_uuid(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Keeps a refresh token by its hash (SHA-256).
pub async fn add_token(
    tx: &mut ScopedTx,
    hash: &[u8; 32],
    session: Uuid,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into jarvis.refresh_tokens (token_hash, session_id, created_at) values ($1, $2, $3)",
        &hash[..],
        session,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A refresh token that somebody shows, and its session.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// The session.
    pub session: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// When the session was last renewed.
    pub refreshed_at: DateTime<Utc>,
    /// When it ended, if it did.
    pub ended_at: Option<DateTime<Utc>>,
    /// When the token was used first, if it was.
    pub used_at: Option<DateTime<Utc>>,
}

/// The token with this hash. Its session stays locked until the transaction ends: of two who show it, one is second.
pub async fn show_token(tx: &mut ScopedTx, hash: &[u8; 32]) -> Result<Option<Shown>, DbError> {
    let locked = sqlx::query_scalar!(
        "select s.id from jarvis.auth_sessions s
          where s.id = (select t.session_id from jarvis.refresh_tokens t where t.token_hash = $1) for update",
        &hash[..],
    )
    .fetch_optional(&mut **tx)
    .await?;
    if locked.is_none() {
        return Ok(None);
    }
    // Read after the lock is held, so that what the first one wrote is seen.
    let row = sqlx::query!(
        "select s.id, s.user_id, s.refreshed_at, s.ended_at, t.used_at
           from jarvis.refresh_tokens t join jarvis.auth_sessions s on s.id = t.session_id where t.token_hash = $1",
        &hash[..],
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|r| Shown {
        session: r.id,
        user: r.user_id.into(),
        refreshed_at: r.refreshed_at,
        ended_at: r.ended_at,
        used_at: r.used_at,
    }))
}

/// Notes that a token renewed its session.
pub async fn use_token(
    tx: &mut ScopedTx,
    hash: &[u8; 32],
    session: Uuid,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update jarvis.refresh_tokens set used_at = coalesce(used_at, $2) where token_hash = $1",
        &hash[..],
        now,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "update jarvis.auth_sessions set refreshed_at = $2 where id = $1",
        session,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets the tokens of a session that were first used before `used_before`: who shows one is unknown then.
pub async fn forget_spent(
    tx: &mut ScopedTx,
    session: Uuid,
    used_before: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "delete from jarvis.refresh_tokens where session_id = $1 and used_at < $2",
        session,
        used_before,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which sessions of a person end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// This one.
    Only(Uuid),
    /// All but this one.
    AllBut(Uuid),
}

/// Ends sessions of a person; returns how many.
pub async fn end(tx: &mut ScopedTx, user: UserId, which: Which, now: DateTime<Utc>) -> Result<u64, DbError> {
    let (only, but) = match which {
        Which::All => (None, None),
        Which::Only(session) => (Some(session), None),
        Which::AllBut(session) => (None, Some(session)),
    };
    let ended = sqlx::query!(
        "update jarvis.auth_sessions set ended_at = $2
          where user_id = $1 and ended_at is null and ($3::uuid is null or id = $3) and ($4::uuid is null or id <> $4)",
        user.as_uuid(),
        now,
        only,
        but,
    )
    .execute(&mut **tx)
    .await?;
    Ok(ended.rows_affected())
}

/// Whether this person's session goes on: not ended, and renewed since `idle_before`.
pub async fn goes_on(
    tx: &mut ScopedTx,
    session: Uuid,
    user: UserId,
    idle_before: DateTime<Utc>,
) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from jarvis.auth_sessions
                           where id = $1 and user_id = $2 and ended_at is null and refreshed_at >= $3) as "found!""#,
        session,
        user.as_uuid(),
        idle_before,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(found)
}

/// The hash of somebody's password, in PHC form or as bcrypt; locked until the transaction ends.
pub async fn password_hash(tx: &mut ScopedTx, user: UserId) -> Result<Option<String>, DbError> {
    let hash = sqlx::query_scalar!(
        "select encrypted_password from auth.users where id = $1 for update",
        user.as_uuid(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(hash.flatten())
}

/// Replaces the hash of a password, unless it is no longer `old`.
pub async fn replace_password_hash(
    tx: &mut ScopedTx,
    user: UserId,
    old: Option<&str>,
    new: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let replaced = sqlx::query!(
        "update auth.users set encrypted_password = $3, updated_at = $4
          where id = $1 and encrypted_password is not distinct from $2",
        user.as_uuid(),
        old,
        new,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(replaced.rows_affected() > 0)
}

/// Puts `changes` over what somebody says of themselves; a `null` takes a name away. Returns whether the result has at
/// most `most` bytes; otherwise nothing changes.
pub async fn change_metadata(
    tx: &mut ScopedTx,
    user: UserId,
    changes: &Value,
    most: i32,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "with after as (
           select u.id, (select coalesce(jsonb_object_agg(e.key, e.value) filter (where e.value <> 'null'), '{}')
                           from jsonb_each(u.raw_user_meta_data || $2) as e) as said
             from auth.users u where u.id = $1 for update)
         update auth.users u set raw_user_meta_data = after.said, updated_at = $4
           from after where u.id = after.id and octet_length(after.said::text) <= $3",
        user.as_uuid(),
        changes,
        most,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}
