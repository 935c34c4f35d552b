//! `jarvis db reset`: empties the database.

use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::Output;
use jarvis_db::migrations::{self, Source};
use jarvis_db::queries::invariant;

/// Runs the command.
pub async fn run(global: &Global, out: Output, confirm: &str) -> anyhow::Result<Done> {
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
