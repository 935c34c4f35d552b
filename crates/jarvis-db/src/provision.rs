//! What only the owner of the database may do: create gyms and the people who work for them.
//!
//! These functions take a connection of the migrating role, not a [`crate::ScopedTx`]: no scope of the
//! running server may create a tenant or give rights.

use crate::DbError;
use crate::queries::account::Account;
use crate::queries::gym::Gym;
use jarvis_core::GymId;
use sqlx::PgConnection;
use uuid::Uuid;

/// Creates a gym. Fails with a conflict when the slug is taken.
pub async fn insert_gym(conn: &mut PgConnection, gym: &Gym) -> Result<(), DbError> {
    sqlx::query!(
        "insert into public.gyms (id, name, slug, timezone, locale, embedding_model, external_models)
         values ($1, $2, $3, $4, $5, $6, $7)",
        gym.id.as_uuid(),
        gym.name,
        gym.slug,
        gym.timezone,
        gym.locale,
        gym.embedding_model,
        gym.external_models,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets models of a provider read a gym's conversations, or not. False when there is no such gym.
pub async fn allow_external_models(conn: &mut PgConnection, gym: GymId, may: bool) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update public.gyms set external_models = $2 where id = $1",
        gym.as_uuid(),
        may,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The gym with this slug or id.
pub async fn find_gym(conn: &mut PgConnection, slug_or_id: &str) -> Result<Option<GymId>, DbError> {
    let id = sqlx::query_scalar!(
        "select id from public.gyms where slug = $1 or id::text = lower($1) order by id limit 1",
        slug_or_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(GymId::from))
}

/// Creates an account, or gives an existing one (same e-mail address) these rights and this password.
/// Returns the account's id. `password_hash` is in PHC form.
pub async fn upsert_account(
    conn: &mut PgConnection,
    account: &Account,
    password_hash: &str,
) -> Result<Uuid, DbError> {
    let mut tx = sqlx::Connection::begin(conn).await?;
    let id = upsert_identity(&mut tx, account, password_hash).await?;
    upsert_rights(&mut tx, id, account).await?;
    tx.commit().await?;
    Ok(id)
}

/// Gives the identity that signs in with this e-mail address these rights, and leaves its password as it is. Returns its
/// id, or nothing when there is no such identity.
pub async fn give_rights(conn: &mut PgConnection, account: &Account) -> Result<Option<Uuid>, DbError> {
    let mut tx = sqlx::Connection::begin(conn).await?;
    let Some(id) = find_identity(&mut tx, &account.email).await? else {
        return Ok(None);
    };
    upsert_rights(&mut tx, id, account).await?;
    tx.commit().await?;
    Ok(Some(id))
}

async fn upsert_rights(tx: &mut PgConnection, id: Uuid, account: &Account) -> Result<(), DbError> {
    let gyms: Vec<Uuid> = account.gym_access.iter().map(|g| g.as_uuid()).collect();
    sqlx::query!(
        "insert into public.users (id, email, full_name, role, gym_access, is_active)
         values ($1, lower(btrim($2)), $3, $4, $5, $6)
         on conflict (id) do update set full_name = excluded.full_name, role = excluded.role,
           gym_access = excluded.gym_access, is_active = excluded.is_active",
        id,
        account.email,
        account.full_name,
        account.role,
        &gyms,
        account.is_active,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The identity that signs in with this e-mail address.
///
/// Looked up first: a platform's unique key on the address is partial (identities of a single sign-on provider, which
/// have no password, may share it), so no `on conflict` serves both it and our own schema, which has no such column.
async fn find_identity(tx: &mut PgConnection, email: &str) -> Result<Option<Uuid>, DbError> {
    let known = sqlx::query_scalar!(
        "select u.id from auth.users u
          where lower(u.email) = lower(btrim($1)) and coalesce(to_jsonb(u) ->> 'is_sso_user', 'false') = 'false'
          order by u.created_at, u.id limit 1 for update",
        email,
    )
    .fetch_optional(tx)
    .await?;
    Ok(known)
}

/// The identity of this account, with this password from now on.
async fn upsert_identity(
    tx: &mut PgConnection,
    account: &Account,
    password_hash: &str,
) -> Result<Uuid, DbError> {
    let known = find_identity(&mut *tx, &account.email).await?;
    if let Some(id) = known {
        sqlx::query!(
            "update auth.users set encrypted_password = $2 where id = $1",
            id,
            password_hash,
        )
        .execute(&mut *tx)
        .await?;
        return Ok(id);
    }
    let id = account.id.as_uuid();
    sqlx::query!(
        "insert into auth.users (id, email, encrypted_password, email_confirmed_at)
         values ($1, lower(btrim($2)), $3, now())",
        id,
        account.email,
        password_hash,
    )
    .execute(&mut *tx)
    .await?;
    Ok(id)
}
