//! What an adoption leaves behind: the reconciliation, and consents that may be stated later.

use super::{Adopted, AdoptionSettings, TABLES, TableAccount, Verdict};
use crate::error::DbError;
use crate::migrations::error::MigrationError;
use crate::migrations::history;
use jarvis_core::Purpose;
use sqlx::{Connection, PgConnection};
use std::time::Instant;
use uuid::Uuid;

/// Writes what the operator states of adopted members. An answer on record, whatever it says, is never overridden, and
/// under 15 (the age of digital consent in France) only a guardian can agree, whom nobody asked.
pub(super) async fn state_consents(tx: &mut PgConnection, consents: &[Purpose]) -> Result<i64, sqlx::Error> {
    let purposes: Vec<&str> = consents.iter().map(|p| p.as_str()).collect();
    // Answers that are being given at this moment come first.
    sqlx::raw_sql("lock table jarvis.consent_ledger in share row exclusive mode")
        .execute(&mut *tx)
        .await?;
    let written = sqlx::query(
        "insert into jarvis.consent_ledger (gym_id, member_id, purpose, granted, statement_version, source, actor)
         select a.gym_id, a.member_id, p, true, 'imported', 'import', 'adoption'
           from jarvis.adopted_members a
           join public.gym_members_v2 m on m.gym_id = a.gym_id and m.id = a.member_id
          cross join unnest($1::text[]) as p
          where not coalesce(m.date_of_birth > current_date - interval '15 years', false)
            and not exists (select from jarvis.consent_ledger l
                             where l.gym_id = a.gym_id and l.member_id = a.member_id and l.purpose = p)",
    )
    .bind(purposes)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    Ok(i64::try_from(written).unwrap_or(i64::MAX))
}

pub(super) async fn read_accounts(tx: &mut PgConnection, id: Uuid) -> Result<Vec<TableAccount>, sqlx::Error> {
    let rows: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(
        "select table_name, found, kept, held, changed from jarvis.adoption_tables where adoption_id = $1
          order by array_position($2, table_name)",
    )
    .bind(id)
    .bind(TABLES.as_slice())
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(table, found, kept, held, changed)| TableAccount {
            table,
            found,
            kept,
            held,
            changed,
        })
        .collect())
}

/// A database that is adopted already: tells what became of it, and writes what is stated of consents only now.
pub(super) async fn again(
    connection: &mut PgConnection,
    settings: &AdoptionSettings,
    for_good: bool,
) -> Result<Adopted, MigrationError> {
    let begun = Instant::now();
    let nothing = MigrationError::NothingToAdopt {
        found: "the schema is JARVIS's own",
    };
    if !history::table_exists(connection, "jarvis.adoptions").await? {
        return Err(nothing);
    }
    let newest: Option<Uuid> =
        sqlx::query_scalar("select id from jarvis.adoptions order by adopted_at desc limit 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(DbError::from)?;
    let Some(id) = newest else {
        return Err(nothing);
    };
    let tables = read_accounts(connection, id).await.map_err(DbError::from)?;
    let consents = if settings.consents.is_empty() {
        0
    } else {
        state_later(connection, &settings.consents, for_good)
            .await
            .map_err(DbError::from)?
    };
    Ok(Adopted {
        id: Some(id),
        verdict: Verdict::AlreadyAdopted,
        tables,
        findings: Vec::new(),
        consents,
        locked_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Conversations that waited for this consent are processed now.
async fn state_later(
    connection: &mut PgConnection,
    consents: &[Purpose],
    for_good: bool,
) -> Result<i64, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let written = state_consents(&mut tx, consents).await?;
    if consents.contains(&Purpose::Memory) {
        sqlx::query(
            "update public.conversation_sessions s set state = 'closing', state_reason = null
              where s.state = 'empty' and s.state_reason = 'no_consent' and s.notes @> '{adopted}'
                and exists (select from jarvis.consent_ledger l
                             where l.gym_id = s.gym_id and l.member_id = s.member_id and l.purpose = 'memory'
                               and l.source = 'import' and l.recorded_at >= now())",
        )
        .execute(&mut *tx)
        .await?;
    }
    if for_good {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(written)
}
