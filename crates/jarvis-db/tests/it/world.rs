//! Two gyms that look alike, the people who work there, and a way to act as one of them.

use jarvis_testkit::TestDb;
use sqlx::postgres::{PgConnection, PgDatabaseError, Postgres};
use sqlx::{AssertSqlSafe, Transaction};

/// A database with gym A and gym B: equal names, equal badges, equal first names.
pub struct World {
    pub db: TestDb,
}

/// Somebody who asks.
#[derive(Debug, Clone, Copy)]
pub struct Persona {
    role: &'static str,
    gym: &'static str,
    claims: &'static str,
}

pub const GYM_A: &str = "aaaaaaaa-0000-7000-8000-000000000000";
pub const GYM_B: &str = "bbbbbbbb-0000-7000-8000-000000000000";

const fn person(claims: &'static str) -> Persona {
    Persona {
        role: "authenticated",
        gym: "",
        claims,
    }
}

pub const STAFF_A: Persona = person(r#"{"sub": "00000000-0000-7000-8000-0000000000a1"}"#);
pub const MANAGER_A: Persona = person(r#"{"sub": "00000000-0000-7000-8000-0000000000a2"}"#);
pub const MANAGER_AB: Persona = person(r#"{"sub": "00000000-0000-7000-8000-0000000000ab"}"#);
pub const INACTIVE_A: Persona = person(r#"{"sub": "00000000-0000-7000-8000-0000000000a3"}"#);
pub const SUPER: Persona = person(r#"{"sub": "00000000-0000-7000-8000-0000000000ff"}"#);
pub const NO_CLAIMS: Persona = person("");
pub const ANONYMOUS: Persona = Persona {
    role: "anon",
    gym: "",
    claims: "",
};
pub const SERVER_A: Persona = Persona {
    role: "jarvis_server",
    gym: GYM_A,
    claims: "",
};
pub const SERVER_B: Persona = Persona {
    role: "jarvis_server",
    gym: GYM_B,
    claims: "",
};
pub const SERVER_NOWHERE: Persona = Persona {
    role: "jarvis_server",
    gym: "",
    claims: "",
};
pub const SYSTEM: Persona = Persona {
    role: "jarvis_system",
    gym: "",
    claims: "",
};
pub const SERVICE: Persona = Persona {
    role: "service_role",
    gym: "",
    claims: "",
};

/// What PostgreSQL answered to a refused statement.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
}

impl World {
    pub async fn new() -> Self {
        let db = TestDb::new().await;
        sqlx::raw_sql(include_str!("sql/world.sql"))
            .execute(db.admin_pool())
            .await
            .unwrap();
        Self { db }
    }

    pub async fn with_matrix() -> Self {
        let world = Self::new().await;
        sqlx::raw_sql(include_str!("sql/matrix.sql"))
            .execute(world.db.admin_pool())
            .await
            .unwrap();
        world
    }

    /// A transaction of `persona`, undone when dropped.
    pub async fn act_as(&self, persona: Persona) -> Transaction<'static, Postgres> {
        let mut tx = self.db.admin_pool().begin().await.unwrap();
        become_(&mut tx, persona).await;
        tx
    }

    /// A transaction of the superuser, undone when dropped.
    pub async fn admin(&self) -> Transaction<'static, Postgres> {
        self.db.admin_pool().begin().await.unwrap()
    }
}

/// Goes on as `persona` in a transaction that somebody else began.
pub async fn become_(connection: &mut PgConnection, persona: Persona) {
    sqlx::query(
        "select set_config('role', $1, true), set_config('app.gym_id', $2, true),
                set_config('request.jwt.claims', $3, true), set_config('app.session_id', '', true)",
    )
    .bind(persona.role)
    .bind(persona.gym)
    .bind(persona.claims)
    .execute(connection)
    .await
    .unwrap();
}

/// Writes the ids of the world: `{A}` and `{B}` are gyms, `{a1}` … `{b9}` members (9 is bare), quoted.
fn sql(template: &str) -> AssertSqlSafe<String> {
    let mut text = template
        .replace("{A}", &format!("'{GYM_A}'"))
        .replace("{B}", &format!("'{GYM_B}'"));
    for letter in ["a", "b"] {
        for n in [1, 2, 3, 9] {
            let member = format!("'{}-0000-7000-8000-00000000000{n}'::uuid", letter.repeat(8));
            text = text.replace(&format!("{{{letter}{n}}}"), &member);
        }
    }
    AssertSqlSafe(text)
}

/// Runs a statement that must succeed; how many rows it touched.
pub async fn run(connection: &mut PgConnection, template: &str) -> u64 {
    match sqlx::raw_sql(sql(template)).execute(connection).await {
        Ok(done) => done.rows_affected(),
        Err(error) => panic!("{error}\nin: {template}"),
    }
}

/// The one value that a statement returns; the statement casts it.
pub async fn one<T>(connection: &mut PgConnection, template: &str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    match sqlx::query_scalar(sql(template)).fetch_one(connection).await {
        Ok(value) => value,
        Err(error) => panic!("{error}\nin: {template}"),
    }
}

/// The values of the first column, as text.
pub async fn lines(connection: &mut PgConnection, template: &str) -> Vec<String> {
    match sqlx::query_scalar(sql(template)).fetch_all(connection).await {
        Ok(values) => values,
        Err(error) => panic!("{error}\nin: {template}"),
    }
}

/// Runs a statement that must be refused; the transaction goes on as if it had not been tried.
pub async fn refused(connection: &mut PgConnection, template: &str) -> Refusal {
    run(connection, "savepoint tried").await;
    let error = match sqlx::raw_sql(sql(template)).execute(&mut *connection).await {
        Err(sqlx::Error::Database(error)) => error,
        Err(error) => panic!("{error}\nin: {template}"),
        Ok(done) => panic!("accepted, with {} rows: {template}", done.rows_affected()),
    };
    run(connection, "rollback to savepoint tried").await;
    let error = error.downcast::<PgDatabaseError>();
    Refusal {
        code: error.code().to_owned(),
        message: error.message().to_owned(),
        detail: error.detail().unwrap_or_default().to_owned(),
        hint: error.hint().unwrap_or_default().to_owned(),
    }
}

/// Only the code of a refusal.
pub async fn refusal_code(connection: &mut PgConnection, template: &str) -> String {
    refused(connection, template).await.code
}
