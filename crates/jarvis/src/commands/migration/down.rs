use super::{Files, Line, lines_as_table};
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table, talk};
use jarvis_db::migrations::{self, Loss, MigrationError, Which};

/// What to undo.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Exactly these versions; without any, the newest
    #[arg(conflicts_with = "steps")]
    versions: Vec<String>,
    /// How many of the newest
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Undo even when rows are lost
    #[arg(long)]
    allow_data_loss: bool,
    /// Only show what would be undone and which rows would be lost
    #[arg(long, conflicts_with = "allow_data_loss")]
    dry_run: bool,
    #[command(flatten)]
    files: Files,
}

#[derive(serde::Serialize)]
struct Outcome {
    migrations: Vec<Line>,
    lost: Vec<Loss>,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let source = arguments.files.source()?;
    let which = if arguments.versions.is_empty() {
        Which::Newest(usize::from(arguments.steps))
    } else {
        Which::These(arguments.versions.clone())
    };
    let undoing = if arguments.dry_run {
        migrations::plan_undo(&urls.admin, &source, &which).await?
    } else {
        migrations::undo(&urls.admin, &source, &which, arguments.allow_data_loss)
            .await
            .inspect_err(|error| tell_losses(out, error))?
    };
    let state = if arguments.dry_run {
        "would be undone"
    } else {
        "undone"
    };
    let outcome = Outcome {
        migrations: undoing
            .migrations
            .into_iter()
            .map(|m| Line::new(m.version, m.name, state))
            .collect(),
        lost: undoing.lost,
    };
    out.data(&outcome, as_text)?;
    Ok(Done::Ok)
}

/// The table of what would be lost, for the eye; in JSON the error carries it.
fn tell_losses(out: Output, error: &MigrationError) {
    if let MigrationError::DataLoss { lost } = error
        && !out.is_json()
    {
        talk(&losses(lost));
    }
}

fn as_text(outcome: &Outcome) -> String {
    if outcome.migrations.is_empty() {
        return "nothing to undo".to_owned();
    }
    let mut text = lines_as_table(&outcome.migrations);
    if !outcome.lost.is_empty() {
        text.push_str("\n\n");
        text.push_str(&losses(&outcome.lost));
    }
    text
}

fn losses(lost: &[Loss]) -> String {
    let rows = lost.iter().map(|loss| {
        let column = loss.column.clone().unwrap_or_default();
        [loss.table.clone(), column, loss.rows.to_string()]
    });
    table(["table", "column", "rows lost"], rows)
}
