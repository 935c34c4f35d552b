//! People who sign in: their identity (`auth.users`) and their rights (`public.users`).

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::{GymId, UserId};
use uuid::Uuid;

/// A person with rights.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// Their id.
    pub id: UserId,
    /// E-mail address, in lower case.
    pub email: String,
    /// Full name.
    pub full_name: Option<String>,
    /// `super_admin`, `gym_manager` or `gym_staff`.
    pub role: String,
    /// The gyms they work for.
    pub gym_access: Vec<GymId>,
    /// Whether they may sign in.
    pub is_active: bool,
}

/// What sign-in needs to know.
#[derive(Clone)]
pub struct Credentials {
    /// Whose.
    pub user: UserId,
    /// The password's hash, in PHC form, or as bcrypt where it came from elsewhere.
    pub password_hash: Option<String>,
}

struct Row {
    id: Uuid,
    email: String,
    full_name: Option<String>,
    role: String,
    gym_access: Vec<Uuid>,
    is_active: bool,
}

impl From<Row> for Account {
    fn from(r: Row) -> Self {
        Self {
            id: r.id.into(),
            email: r.email,
            full_name: r.full_name,
            role: r.role,
            gym_access: r.gym_access.into_iter().map(GymId::from).collect(),
            is_active: r.is_active,
        }
    }
}

/// The account with this id, if the scope sees it.
pub async fn find(tx: &mut ScopedTx, user: UserId) -> Result<Option<Account>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, email, full_name, role, gym_access as "gym_access!", is_active as "is_active!"
             from public.users where id = $1"#,
        user.as_uuid(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Account::from))
}

/// The account with this e-mail address. Needs the system scope.
pub async fn find_by_email(tx: &mut ScopedTx, email: &str) -> Result<Option<Account>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, email, full_name, role, gym_access as "gym_access!", is_active as "is_active!"
             from public.users where email = lower(btrim($1))"#,
        email,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Account::from))
}

/// Every account, by e-mail address. Needs the system scope.
pub async fn list(tx: &mut ScopedTx) -> Result<Vec<Account>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, email, full_name, role, gym_access as "gym_access!", is_active as "is_active!"
             from public.users order by email"#,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Account::from).collect())
}

/// The credentials of an active account that is not banned at `now`. Needs the system scope.
pub async fn find_credentials(
    tx: &mut ScopedTx,
    email: &str,
    now: DateTime<Utc>,
) -> Result<Option<Credentials>, DbError> {
    let row = sqlx::query!(
        "select u.id, a.encrypted_password
           from public.users u join auth.users a on a.id = u.id
          where u.email = lower(btrim($1)) and u.is_active and (a.banned_until is null or a.banned_until <= $2)",
        email,
        now,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|r| Credentials {
        user: r.id.into(),
        password_hash: r.encrypted_password,
    }))
}

/// Notes a sign-in. Needs the system scope.
pub async fn touch_sign_in(tx: &mut ScopedTx, user: UserId, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update auth.users set last_sign_in_at = $2 where id = $1",
        user.as_uuid(),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
