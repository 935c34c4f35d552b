//! `jarvis db`: the database itself.

use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table};
use jarvis_db::migrations::{self, Source};
use jarvis_db::queries::invariant;

/// Look at the database, or empty it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Version, migrations, and how many rows each table has
    Status,
    /// Undo every migration and apply them again: everything is lost
    Reset {
        /// Type the database's name to show that you mean it
        #[arg(long, value_name = "DATABASE")]
        confirm: String,
    },
}

#[derive(serde::Serialize)]
struct Status {
    database: String,
    server: String,
    pending_migrations: usize,
    tables: Vec<invariant::TableRows>,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Status => status(global, out).await,
        Command::Reset { confirm } => reset(global, out, &confirm).await,
    }
}

async fn status(global: &Global, out: Output) -> anyhow::Result<Done> {
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

async fn reset(global: &Global, out: Output, confirm: &str) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let mut admin = connection::admin(&urls).await?;
    let (database, _) = invariant::identity(&mut admin).await?;
    if database != confirm {
        return Err(WrongUse(format!(
            "this would erase everything in database `{database}`; say so with --confirm {database}"
        ))
        .into());
    }
    drop(admin);
    let source = Source::embedded();
    let undone = migrations::down(&urls.admin, source, usize::MAX, true)
        .await?
        .len();
    let applied = migrations::up(&urls.admin, source).await?.len();
    out.data(&serde_json::json!({"undone": undone, "applied": applied}), |_| {
        format!("{undone} migrations undone, {applied} applied: the database is empty")
    })?;
    Ok(Done::Ok)
}
