//! The predecessor's tables, as long as `jarvis migration cleanup` has not dropped them: their rows name a member by
//! identifiers of their own, which only the import's ledger can ascribe.

use super::{Fate, Touched};
use crate::error::DbError;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// The tables, those that refer to others first.
const TABLES: [&str; 3] = [
    "jarvis_conversation_logs",
    "openai_realtime_audio_events",
    "gym_members",
];

/// Identifies a row as `jarvis.legacy_source` does, and asks whose it is: by the import's ledger, and for what was not
/// imported as the import would. `$1` is the member, `$2` the gym, `$3` the table's name.
const ROWS_OF_MEMBER: &str = "
  with source as (
    select t.ctid as place, t.raw, md5(t.raw::text) as mark,
           row_number() over (partition by t.raw ->> 'id' order by md5(t.raw::text)) as nth
      from (select s.ctid, to_jsonb(s) as raw from $table s) as t
  ), known as (
    select s.place, s.raw, r.source_id is not null as imported, r.gym_id, r.member_id,
           r.outcome = 'erased' or r.source_id is not null and r.member_id is not null as settled
      from source s
      left join jarvis.legacy_rows r on r.source_table = $3
        and r.source_id = left(coalesce(s.raw ->> 'id', 'row-' || s.mark), 150) || case when s.nth > 1 then '#' || s.nth else '' end
  )
  select k.place from known k
   where k.member_id = $1 and k.gym_id = $2
      or not coalesce(k.settled, false)
         and (k.raw ->> 'id' = $1::text
              or exists (select from jarvis.legacy_member((jarvis.legacy_mend_row(k.raw)).mended) as w where w.member = $1 and w.gym = $2))";

/// Deletes what these tables hold of a member, and says how much that was. Their ids must still be in the import's
/// ledger.
///
/// # Errors
/// [`DbError::Refused`] with the code `JE002` when a row that may be theirs cannot be ascribed, unless `again`.
pub(super) async fn delete(
    conn: &mut PgConnection,
    gym: Uuid,
    member: Uuid,
    again: bool,
) -> Result<Vec<Touched>, DbError> {
    // A schema that is older than the import.
    let knows: bool = sqlx::query_scalar("select to_regprocedure('jarvis.legacy_table(text)') is not null")
        .fetch_one(&mut *conn)
        .await?;
    if !knows {
        return Ok(Vec::new());
    }
    // The import's ledger was written with these settings, and a row's fingerprint depends on them.
    sqlx::raw_sql(
        "set local timezone = 'UTC'; set local bytea_output = 'hex'; set local extra_float_digits = 1",
    )
    .execute(&mut *conn)
    .await?;
    let mut deleted = Vec::new();
    for name in TABLES {
        let table: Option<String> = sqlx::query_scalar("select jarvis.legacy_table($1)::text")
            .bind(name)
            .fetch_one(&mut *conn)
            .await?;
        let Some(table) = table else { continue };
        // Quoted by PostgreSQL.
        let rows = ROWS_OF_MEMBER.replace("$table", &table);
        let statement = format!("delete from {table} where ctid = any (array({rows}))");
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(member)
            .bind(gym)
            .bind(name)
            .execute(&mut *conn)
            .await?;
        if done.rows_affected() > 0 {
            deleted.push(Touched {
                table,
                fate: Fate::Deleted,
                rows: i64::try_from(done.rows_affected()).unwrap_or(i64::MAX),
                mapped: false,
            });
        }
    }
    if !again {
        refuse_what_nobody_can_ascribe(conn, gym, member).await?;
    }
    Ok(deleted)
}

/// A row of the predecessor's members that was never imported, with the member's badge or address and of a gym that
/// nobody named, may be theirs or another gym's.
async fn refuse_what_nobody_can_ascribe(
    conn: &mut PgConnection,
    gym: Uuid,
    member: Uuid,
) -> Result<(), DbError> {
    let doubtful: i64 = sqlx::query_scalar(
        "select count(*) from jarvis.legacy_source('gym_members') s
           join public.gym_members_v2 m on m.gym_id = $1 and m.id = $2
            and (lower(btrim(s.raw ->> 'badge_id')) = lower(btrim(m.badge_id)) or lower(btrim(s.raw ->> 'email')) = lower(m.email))
          where jarvis.legacy_gym(s.raw ->> 'gym_id') is null
            and not exists (select from jarvis.legacy_rows r
                             where r.source_table = 'gym_members' and r.source_id = s.source_id
                               and r.outcome in ('imported', 'erased'))",
    )
    .bind(gym)
    .bind(member)
    .fetch_one(conn)
    .await?;
    if doubtful == 0 {
        return Ok(());
    }
    Err(DbError::Refused {
        code: "JE002".into(),
        message: "predecessor_unsettled".into(),
        detail: Some(format!("public.gym_members: {doubtful}")),
        hint: Some(
            "rows of the predecessor with this badge or address belong to a gym that was never named: import them \
             (`jarvis migration legacy`) and clean up (`jarvis migration cleanup`) first"
                .into(),
        ),
    })
}
