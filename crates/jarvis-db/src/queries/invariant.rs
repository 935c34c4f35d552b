//! The promises of the product, checked on live data. Run with the migrating role: they look at all gyms.

use crate::DbError;
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

/// A session that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BrokenSession {
    /// The session.
    pub session_id: String,
    /// Its gym's slug or id.
    pub gym: String,
}

/// Processed sessions with a user turn that lack their summary or its embedding.
pub async fn processed_without_memory(conn: &mut PgConnection) -> Result<Vec<BrokenSession>, DbError> {
    Ok(sqlx::query_as!(
        BrokenSession,
        r#"select s.session_id, coalesce(g.slug, g.id::text) as "gym!"
             from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
            where s.state = 'processed'
              and not exists (select from public.conversation_summaries c
                               where c.gym_id = s.gym_id and c.session_id = s.session_id
                                 and (c.embedding is not null or c.written_by <> 'jarvis'))
            order by s.started_at"#
    )
    .fetch_all(conn)
    .await?)
}

/// Sessions processed since `since` that the rules read although the gym lets a model, with the reason.
pub async fn read_by_rules_instead(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<(String, i64)>, DbError> {
    let rows = sqlx::query!(
        r#"select degraded_reason as "reason!", count(*) as "sessions!" from public.conversation_sessions
            where degraded_reason is not null and processed_at >= $1 group by degraded_reason order by 2 desc, 1"#,
        since,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.reason, row.sessions)).collect())
}

/// The gyms whose conversations models of a provider may read, by slug or id.
pub async fn gyms_with_external_models(conn: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce(slug, id::text) as "gym!" from public.gyms where external_models order by 1"#
    )
    .fetch_all(conn)
    .await?)
}

/// The gyms that compare the vectors of a provider's `model` and let none read their conversations, by slug or id.
pub async fn gyms_refusing(conn: &mut PgConnection, model: &str) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce(slug, id::text) as "gym!" from public.gyms
            where not external_models and embedding_model = $1 order by 1"#,
        model,
    )
    .fetch_all(conn)
    .await?)
}

/// Sessions that ended `empty` although a user turn with text is stored and `memory` is agreed to.
pub async fn empty_with_user_turns(conn: &mut PgConnection) -> Result<Vec<BrokenSession>, DbError> {
    Ok(sqlx::query_as!(
        BrokenSession,
        r#"select s.session_id, coalesce(g.slug, g.id::text) as "gym!"
             from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
            where s.state = 'empty' and s.state_reason = 'no_user_turn'
              and exists (select from public.conversation_events e
                           where e.gym_id = s.gym_id and e.session_id = s.session_id
                             and e.event_type = 'user_transcript' and btrim(e.transcript) <> '')
            order by s.started_at"#
    )
    .fetch_all(conn)
    .await?)
}

/// Sessions that wait for their memory since before `since`, and not because their member is restricted.
pub async fn waiting_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<BrokenSession>, DbError> {
    Ok(sqlx::query_as!(
        BrokenSession,
        r#"select s.session_id, coalesce(g.slug, g.id::text) as "gym!"
             from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
            where s.state = 'closing' and s.updated_at < $1
              and not exists (select from jarvis.restrictions r where r.gym_id = s.gym_id and r.member_id = s.member_id)
            order by s.started_at"#,
        since,
    )
    .fetch_all(conn)
    .await?)
}

/// Sessions whose processing gave up.
pub async fn failed(conn: &mut PgConnection) -> Result<Vec<BrokenSession>, DbError> {
    Ok(sqlx::query_as!(
        BrokenSession,
        r#"select s.session_id, coalesce(g.slug, g.id::text) as "gym!"
             from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
            where s.state = 'failed' order by s.started_at"#
    )
    .fetch_all(conn)
    .await?)
}

/// Open sessions in which nothing happened since before `since`.
pub async fn open_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<BrokenSession>, DbError> {
    Ok(sqlx::query_as!(
        BrokenSession,
        r#"select s.session_id, coalesce(g.slug, g.id::text) as "gym!"
             from public.conversation_sessions s join public.gyms g on g.id = s.gym_id
            where s.state = 'open' and coalesce(s.last_event_at, s.started_at) < $1 order by s.started_at"#,
        since,
    )
    .fetch_all(conn)
    .await?)
}

/// Summaries with an embedding that recall cannot see: their side row is missing, or differs.
pub async fn unsearchable_summaries(conn: &mut PgConnection) -> Result<Vec<BrokenSession>, DbError> {
    Ok(sqlx::query_as!(
        BrokenSession,
        r#"select c.session_id, coalesce(g.slug, g.id::text) as "gym!"
             from public.conversation_summaries c join public.gyms g on g.id = c.gym_id
            where c.embedding is not null and c.embedding_model <> 'unknown'
              and not exists (select from jarvis.summary_vectors v
                               where v.gym_id = c.gym_id and v.member_id = c.member_id and v.summary_id = c.id
                                 and v.model = c.embedding_model)
            order by c.created_at"#
    )
    .fetch_all(conn)
    .await?)
}

/// Facts of ours whose quote is not in the member's own words, though the session's text is still kept.
pub async fn facts_without_evidence(conn: &mut PgConnection) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from public.member_facts f
            where f.verified and f.source_event_id is not null and f.source_quote is not null
              and exists (select from public.conversation_events e
                           where e.gym_id = f.gym_id and e.id = f.source_event_id
                             and (e.event_type <> 'user_transcript' or e.member_id is distinct from f.member_id
                                or strpos(jarvis.fold(e.transcript), jarvis.fold(f.source_quote)) = 0))"#
    )
    .fetch_one(conn)
    .await?)
}

/// How many writes of facts the guards refused, by code.
pub async fn refusals(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, DbError> {
    let rows = sqlx::query!(
        r#"select coalesce(refusal_code, 'unknown') as "code!", count(*) as "count!"
             from jarvis.member_fact_history where operation = 'refuse' group by 1 order by 1"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| (r.code, r.count)).collect())
}

/// The extensions that are installed.
pub async fn extensions(conn: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(
        sqlx::query_scalar("select extname::text from pg_catalog.pg_extension order by extname")
            .fetch_all(conn)
            .await?,
    )
}

/// What the database's clock shows.
pub async fn clock(conn: &mut PgConnection) -> Result<DateTime<Utc>, DbError> {
    Ok(sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(conn)
        .await?)
}

/// The name of the database and the version of its server.
pub async fn identity(conn: &mut PgConnection) -> Result<(String, String), DbError> {
    let row = sqlx::query!(
        r#"select current_database()::text as "database!", current_setting('server_version') as "server!""#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.database, row.server))
}

/// A table and how many rows it has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TableRows {
    /// `schema.table`.
    pub table: String,
    /// Rows, counted.
    pub rows: i64,
}

/// Every table of ours with its rows, counted one by one.
pub async fn table_rows(conn: &mut PgConnection) -> Result<Vec<TableRows>, DbError> {
    let tables = sqlx::query!(
        r#"select format('%s.%s', n.nspname, c.relname) as "table!",
                  format('select count(*) from %I.%I', n.nspname, c.relname) as "count!"
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where c.relkind = 'r' and n.nspname in ('public', 'jarvis')
            order by n.nspname desc, c.relname"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut counted = Vec::with_capacity(tables.len());
    for t in tables {
        // The statement was put together by PostgreSQL, which quotes the names of its own catalogue.
        let rows = sqlx::query_scalar(AssertSqlSafe(t.count))
            .fetch_one(&mut *conn)
            .await?;
        counted.push(TableRows { table: t.table, rows });
    }
    Ok(counted)
}
