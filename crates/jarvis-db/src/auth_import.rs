//! Identities of another project, read from its `auth.users` and stored in ours. They bring a password and no rights:
//! those stand in `public.users`, which nothing here writes.
//!
//! These functions take a connection of an owner, as those of [`crate::provision`] do.

use crate::DbError;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Somebody who signed in elsewhere.
#[derive(Clone)]
pub struct Identity {
    /// Their id, which stays theirs.
    pub id: Uuid,
    /// E-mail address, in lower case.
    pub email: String,
    /// The password's hash, if there is a password.
    pub password_hash: Option<String>,
    /// When the address was confirmed.
    pub email_confirmed_at: DateTime<Utc>,
    /// Until when they may not sign in.
    pub banned_until: Option<DateTime<Utc>>,
    /// What they say of themselves; an object.
    pub user_metadata: Value,
    /// When the identity was made.
    pub created_at: DateTime<Utc>,
}

/// What became of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new here.
    Added,
    /// Its id is known; what is stored stays, the password too.
    Known,
    /// Somebody else here has the address.
    AddressTaken,
}

/// Stores an identity, unless its id or its address is here already.
pub async fn insert(conn: &mut PgConnection, identity: &Identity) -> Result<Outcome, DbError> {
    let found = sqlx::query!(
        r#"select exists (select from auth.users where id = $1) as "known!",
                  exists (select from auth.users where lower(email) = $2 and id <> $1)
                    or exists (select from public.users where lower(email) = $2 and id <> $1) as "taken!""#,
        identity.id,
        identity.email,
    )
    .fetch_one(&mut *conn)
    .await?;
    if found.known {
        return Ok(Outcome::Known);
    }
    if found.taken {
        return Ok(Outcome::AddressTaken);
    }
    sqlx::query!(
        "insert into auth.users (id, email, encrypted_password, email_confirmed_at, banned_until, raw_user_meta_data,
                                 created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        identity.id,
        identity.email,
        identity.password_hash,
        identity.email_confirmed_at,
        identity.banned_until,
        identity.user_metadata,
        identity.created_at,
    )
    .execute(&mut *conn)
    .await?;
    Ok(Outcome::Added)
}

/// The rows of another project's `auth.users`, as objects of its columns. Writes nothing: the transaction is read-only.
pub async fn read_project(conn: &mut PgConnection) -> Result<Vec<Value>, DbError> {
    let mut tx = sqlx::Connection::begin_with(conn, "begin read only").await?;
    // Of columns that ours has not, through the row as JSON.
    let rows = sqlx::query_scalar!(
        r#"select jsonb_build_object('id', u.id, 'email', u.email, 'encrypted_password', u.encrypted_password,
                    'email_confirmed_at', u.email_confirmed_at, 'banned_until', u.banned_until,
                    'raw_user_meta_data', u.raw_user_meta_data, 'created_at', u.created_at,
                    'deleted_at', to_jsonb(u) -> 'deleted_at', 'is_sso_user', to_jsonb(u) -> 'is_sso_user') as "row!"
             from auth.users u order by u.created_at, u.id"#,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    Ok(rows)
}
