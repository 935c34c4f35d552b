//! `jarvis db status`: version, migrations, rows.

use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table};
use jarvis_db::migrations::{self, Source};
use jarvis_db::queries::invariant;

#[derive(serde::Serialize)]
struct Status {
    database: String,
    server: String,
    pending_migrations: usize,
    tables: Vec<invariant::TableRows>,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let entries = migrations::status(&urls.admin, Source::embedded()).await?;
    let pending = entries
        .iter()
        .filter(|e| e.state == migrations::State::Pending)
        .count();
    let mut admin = connection::admin(&urls).await?;
    let (database, server) = invariant::identity(&mut admin).await?;
    let tables = invariant::table_rows(&mut admin).await?;
    let status = Status {
        database,
        server,
        pending_migrations: pending,
        tables,
    };
    out.data(&status, |s| {
        let rows = s.tables.iter().map(|t| [t.table.clone(), t.rows.to_string()]);
        let pending = match s.pending_migrations {
            0 => "up to date".to_owned(),
            n => format!("{n} pending: run `jarvis migration up`"),
        };
        let head = format!(
            "database    {}\nPostgreSQL  {}\nmigrations  {pending}\n",
            s.database, s.server
        );
        format!("{head}\n{}", table(["table", "rows"], rows))
    })?;
    Ok(if pending > 0 { Done::Findings } else { Done::Ok })
}
