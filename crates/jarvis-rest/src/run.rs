//! One transaction per request: settings first, then what must run before, then the one statement.

use crate::cache::{Loaded, Name, ask};
use crate::error::RestError;
use crate::openapi::Reach;
use crate::plan::{Doing, Plan};
use crate::request::media::MediaType;
use crate::request::preferences::Count;
use crate::request::{ApiRequest, Change};
use crate::sql::{Param, Sql, quoted, statement};
use crate::sqlstate;
use crate::token::Identity;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row as _, Transaction, TypeInfo as _, ValueRef as _};
use std::collections::BTreeMap;

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// All rows there are, when they were counted.
    pub total: Option<i64>,
    /// Rows of the answer, or rows changed.
    pub page: i64,
    /// Where an inserted row is: `column=eq.value`.
    pub location: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
    /// Headers that the database asked for.
    pub headers: Option<String>,
    /// A status that the database asked for.
    pub status: Option<String>,
    /// Rows inserted by an upsert.
    pub inserted: Option<i64>,
}

/// Runs a plan as this identity.
pub async fn run(
    pool: &PgPool,
    loaded: &Loaded,
    request: &ApiRequest,
    plan: &Plan,
    identity: &Identity,
) -> Result<Outcome, RestError> {
    let answer = |error: sqlx::Error| sqlstate::answer(&error, !identity.anonymous);
    let mut tx = open(pool, loaded, request, &plan.doing, identity).await?;
    let (text, params) = statement::main(plan, request, &loaded.settings).finish();
    let query = bound(text, params);
    let mut outcome = if matches!(plan.media, MediaType::Plan(_)) {
        explained(query.fetch_all(&mut *tx).await.map_err(answer)?)?
    } else {
        let row = query.fetch_one(&mut *tx).await.map_err(answer)?;
        read(&row).map_err(answer)?
    };
    refuse(plan, request, &outcome)?;
    if matches!(plan.doing, Doing::Reading) && request.preferences.guesses() {
        outcome.total = guessed(&mut tx, plan, loaded, request, outcome.total)
            .await
            .map_err(answer)?;
    }
    if loaded.settings.tx_end.undone(request.preferences.rollback) {
        // A deferred constraint speaks now or never.
        sqlx::query("SET CONSTRAINTS ALL IMMEDIATE")
            .execute(&mut *tx)
            .await
            .map_err(answer)?;
        tx.rollback().await.map_err(answer)?;
    } else {
        tx.commit().await.map_err(answer)?;
    }
    Ok(outcome)
}

/// A transaction in which the caller's role and claims are set, and what must run before has run.
async fn open(
    pool: &PgPool,
    loaded: &Loaded,
    request: &ApiRequest,
    doing: &Doing,
    identity: &Identity,
) -> Result<Transaction<'static, Postgres>, RestError> {
    let answer = |error: sqlx::Error| sqlstate::answer(&error, !identity.anonymous);
    let mut tx = begin(pool, opening(loaded, doing, identity))
        .await
        .map_err(|error| unreachable(&error))?;
    execute(&mut tx, settings(loaded, request, doing, identity))
        .await
        .map_err(answer)?;
    if let Some((schema, name)) = &loaded.settings.pre_request {
        let mut sql = Sql::of("SELECT ");
        sql.name(schema, name).raw("()");
        execute(&mut tx, sql).await.map_err(answer)?;
    }
    Ok(tx)
}

/// What of the request's schema this identity may use.
pub async fn reach(
    pool: &PgPool,
    loaded: &Loaded,
    request: &ApiRequest,
    identity: &Identity,
) -> Result<Reach, RestError> {
    let answer = |error: sqlx::Error| sqlstate::answer(&error, !identity.anonymous);
    let mut tx = open(pool, loaded, request, &Doing::Reading, identity).await?;
    let schema = std::slice::from_ref(&request.schema);
    let rows: Vec<(String, i64)> = ask(&mut tx, include_str!("cache/sql/reach.sql"), schema)
        .await
        .map_err(answer)?;
    tx.rollback().await.map_err(answer)?;
    let (relations, functions): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(kind, _)| kind == "relation");
    let numbers = |rows: Vec<(String, i64)>| rows.into_iter().map(|(_, oid)| oid).collect();
    Ok(Reach {
        relations: numbers(relations),
        functions: numbers(functions),
    })
}

/// One statement as PostgreSQL gets it, with its parameters in the form of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// With `$1` and so on.
    pub text: String,
    /// Null where there is none.
    pub params: Vec<Option<String>>,
}

/// The statements that [`run`] would send, from the beginning of the transaction to its end, without those that depend on
/// answers.
pub fn rehearse(loaded: &Loaded, request: &ApiRequest, plan: &Plan, identity: &Identity) -> Vec<Rehearsed> {
    let shown = |sql: Sql| {
        let (text, params) = sql.finish();
        let params = params.into_iter().map(|param| match param {
            Param::Text(value) => value,
            Param::Bytes(bytes) => {
                let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
                Some(format!("\\x{}", digits.collect::<String>()))
            }
        });
        Rehearsed {
            text,
            params: params.collect(),
        }
    };
    let end = if loaded.settings.tx_end.undone(request.preferences.rollback) {
        "ROLLBACK"
    } else {
        "COMMIT"
    };
    let all = [
        Sql::of(opening(loaded, &plan.doing, identity)),
        settings(loaded, request, &plan.doing, identity),
        statement::main(plan, request, &loaded.settings),
        Sql::of(end),
    ];
    all.into_iter().map(shown).collect()
}

fn unreachable(error: &sqlx::Error) -> RestError {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return sqlstate::answer(error, true);
    }
    tracing::warn!(%error, "no connection to the database");
    RestError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "PGRST000",
        "Database connection error.",
    )
}

/// Begins on a connection that lives. Others are left behind: nothing was done on them yet.
async fn begin(pool: &PgPool, opening: &'static str) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut tries = pool.options().get_max_connections() + 1;
    loop {
        match pool.begin_with(opening).await {
            Err(error) if tries > 1 && sqlstate::is_lost(&error) => tries -= 1,
            begun => return begun,
        }
    }
}

/// Reads change nothing, whatever they call.
fn opening(loaded: &Loaded, doing: &Doing, identity: &Identity) -> &'static str {
    let writes = match doing {
        Doing::Reading => false,
        Doing::Changing(_) => true,
        Doing::Calling(call) => call.writes,
    };
    let of_role = loaded
        .cache
        .role_settings
        .get(&identity.role)
        .and_then(|settings| {
            settings
                .iter()
                .find(|(name, _)| name == "default_transaction_isolation")
                .map(|(_, value)| value.as_str())
        });
    let asked = match doing {
        Doing::Calling(call) => call.routine.isolation.as_deref().or(of_role),
        _ => of_role,
    };
    match (asked.map(str::to_ascii_lowercase).as_deref(), writes) {
        (Some("serializable"), true) => "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
        (Some("serializable"), false) => "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
        (Some("repeatable read"), true) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
        (Some("repeatable read"), false) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        (_, true) => "BEGIN READ WRITE",
        (_, false) => "BEGIN READ ONLY",
    }
}

/// Every setting is local to the transaction, and each of ours is set every time: a pooled connection carries nothing over.
fn settings(loaded: &Loaded, request: &ApiRequest, doing: &Doing, identity: &Identity) -> Sql {
    let config = &loaded.settings;
    let path: Vec<String> = std::iter::once(&request.schema)
        .chain(&config.extra_search_path)
        .map(|name| quoted(name))
        .collect();
    let object = |pairs: &BTreeMap<String, String>| json!(pairs).to_string();
    let mut all: Vec<(String, String)> = vec![("search_path".to_owned(), path.join(", "))];
    if let Some(longest) = config.statement_timeout {
        all.push(("statement_timeout".to_owned(), longest.as_millis().to_string()));
    }
    // A role's settings are set before the role, which may not be allowed to.
    let of_role = loaded
        .cache
        .role_settings
        .get(&identity.role)
        .into_iter()
        .flatten();
    all.extend(
        of_role
            .filter(|(name, _)| name != "default_transaction_isolation")
            .cloned(),
    );
    all.push(("role".to_owned(), identity.role.clone()));
    all.push(("request.jwt.claims".to_owned(), claims(&identity.claims)));
    all.push(("request.method".to_owned(), request.told.method.clone()));
    all.push(("request.path".to_owned(), request.told.path.clone()));
    all.push(("request.headers".to_owned(), object(&request.told.headers)));
    all.push(("request.cookies".to_owned(), object(&request.told.cookies)));
    all.push(("response.headers".to_owned(), String::new()));
    all.push(("response.status".to_owned(), String::new()));
    all.push(("pgrst.inserted".to_owned(), String::new()));
    if let Some(zone) = &request.preferences.timezone {
        all.push(("timezone".to_owned(), zone.clone()));
    }
    if let Doing::Calling(call) = doing {
        all.extend(call.routine.settings.iter().cloned());
    }
    all.extend(config.app_settings.iter().cloned());
    let mut sql = Sql::of("SELECT ");
    let calls = all.iter().map(|(name, value)| {
        let mut sql = Sql::of("set_config(");
        sql.param(name).raw(", ").param(value).raw(", true)");
        sql
    });
    sql.join(", ", calls);
    sql
}

fn claims(claims: &Map<String, Value>) -> String {
    Value::Object(claims.clone()).to_string()
}

async fn execute(tx: &mut Transaction<'static, Postgres>, sql: Sql) -> Result<(), sqlx::Error> {
    let (text, params) = sql.finish();
    bound(text, params).execute(&mut **tx).await.map(|_| ())
}

/// The one place where a text that was made becomes a statement: [`Sql`] lets only constants, quoted identifiers and what
/// the catalogue spelled into it.
pub(crate) fn bound(text: String, params: Vec<Param>) -> Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for param in params {
        query = match param {
            Param::Text(value) => query.bind(value),
            Param::Bytes(value) => query.bind(value),
        };
    }
    query
}

fn read(row: &PgRow) -> Result<Outcome, sqlx::Error> {
    let location: Option<Vec<String>> = row.try_get("location")?;
    Ok(Outcome {
        total: row.try_get("total")?,
        page: row.try_get("page")?,
        location: location.unwrap_or_default(),
        body: bytes(row)?,
        headers: row.try_get("response_headers")?,
        status: row.try_get("response_status")?,
        inserted: row.try_get("inserted")?,
    })
}

/// The body as it is, whatever its type: text, JSON, XML or bytes.
fn bytes(row: &PgRow) -> Result<Vec<u8>, sqlx::Error> {
    let value = row.try_get_raw("body")?;
    if value.is_null() {
        return Ok(Vec::new());
    }
    let versioned = value.type_info().name() == "JSONB";
    let bytes = value.as_bytes().map_err(sqlx::Error::Decode)?;
    // The binary form of jsonb begins with its version.
    Ok(if versioned {
        bytes.get(1..).unwrap_or_default()
    } else {
        bytes
    }
    .to_vec())
}

fn explained(rows: Vec<PgRow>) -> Result<Outcome, RestError> {
    let mut body = Vec::new();
    for row in rows {
        let value = row
            .try_get_raw(0)
            .map_err(|error| sqlstate::answer(&error, true))?;
        let line = value
            .as_bytes()
            .map_err(|error| sqlstate::answer(&sqlx::Error::Decode(error), true))?;
        body.extend_from_slice(line);
        body.push(b'\n');
    }
    Ok(Outcome {
        body,
        page: 1,
        ..Outcome::default()
    })
}

/// What the caller did not want, after all. The transaction is dropped, and so undone.
fn refuse(plan: &Plan, request: &ApiRequest, outcome: &Outcome) -> Result<(), RestError> {
    if matches!(&plan.doing, Doing::Changing(changing) if changing.change == Change::Put) {
        return if outcome.page == 1 {
            Ok(())
        } else {
            Err(RestError::bad(
                "PGRST115",
                "Payload values do not match URL in primary key column(s)",
            ))
        };
    }
    if matches!(plan.media, MediaType::Single { .. }) && outcome.page != 1 {
        let message = "Cannot coerce the result to a single JSON object";
        let error = RestError::new(StatusCode::NOT_ACCEPTABLE, "PGRST116", message);
        return Err(error.details(format!("The result contains {} rows", outcome.page)));
    }
    let limited = match &plan.doing {
        Doing::Reading => false,
        Doing::Changing(changing) => changing.change != Change::Insert,
        Doing::Calling(_) => true,
    };
    match request.preferences.max_affected {
        Some(most) if limited && request.preferences.strict == Some(true) && outcome.page > most => {
            let error = RestError::bad(
                "PGRST124",
                "Query result exceeds max-affected preference constraint",
            );
            Err(error.details(format!("The query affects {} rows", outcome.page)))
        }
        _ => Ok(()),
    }
}

/// The planner's guess, where it is wanted; an exact count that is small enough wins over an estimate.
async fn guessed(
    tx: &mut Transaction<'static, Postgres>,
    plan: &Plan,
    loaded: &Loaded,
    request: &ApiRequest,
    counted: Option<i64>,
) -> Result<Option<i64>, sqlx::Error> {
    let few = matches!((counted, loaded.settings.max_rows), (Some(counted), Some(most)) if counted <= most);
    if request.preferences.count == Some(Count::Estimated) && (few || loaded.settings.max_rows.is_none()) {
        return Ok(counted);
    }
    let (text, params) = statement::guess(plan).finish();
    let row = bound(text, params).fetch_one(&mut **tx).await?;
    let explained: Value = row.try_get(0)?;
    let guess = explained.pointer("/0/Plan/Plan Rows").and_then(Value::as_i64);
    Ok(if request.preferences.count == Some(Count::Estimated) {
        counted.max(guess)
    } else {
        guess
    })
}

/// A function's name as `schema.name`, or in the first schema.
pub fn function_name(text: &str, schemas: &[String]) -> Name {
    match text.split_once('.') {
        Some((schema, name)) => Name::new(schema, name),
        None => Name::new(schemas.first().map_or("public", String::as_str), text),
    }
}
