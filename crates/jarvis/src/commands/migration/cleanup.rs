use super::legacy::reasons;
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table};
use jarvis_db::migrations::legacy::{self, Table};

/// Which tables to drop.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --confirm nothing is changed: it says which tables may go and what keeps the others; exit code 3 when one may
not. A row that was written or changed since the import keeps its table.
Example:
  jarvis migration cleanup --confirm gym_members,jarvis_conversation_logs,openai_realtime_audio_events")]
pub struct Arguments {
    /// The tables to drop, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "TABLE,…")]
    confirm: Vec<String>,
}

#[derive(serde::Serialize)]
struct Answer {
    dropped: Vec<String>,
    tables: Vec<Table>,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let dropped = if arguments.confirm.is_empty() {
        Vec::new()
    } else {
        legacy::cleanup(&urls.admin, &arguments.confirm).await?
    };
    let answer = Answer {
        dropped,
        tables: legacy::status(&urls.admin).await?.tables,
    };
    out.data(&answer, |a| {
        if a.dropped.is_empty() {
            tables_for_people(&a.tables)
        } else {
            format!(
                "dropped: {}\n\n{}",
                a.dropped.join(", "),
                tables_for_people(&a.tables)
            )
        }
    })?;
    let blocked = answer.dropped.is_empty() && answer.tables.iter().any(|t| !t.is_droppable());
    Ok(if blocked { Done::Findings } else { Done::Ok })
}

/// What stands in the predecessor's tables, and whether they may go.
pub(super) fn tables_for_people(tables: &[Table]) -> String {
    if tables.is_empty() {
        return "none of the predecessor's tables is left".to_owned();
    }
    let rows = tables.iter().map(|t| {
        [
            t.table.clone(),
            t.rows.to_string(),
            t.accounted.to_string(),
            t.waiting.to_string(),
            t.changed.to_string(),
            format!("{} {}", t.refused, reasons(&t.refused_reasons))
                .trim()
                .to_owned(),
            match (t.is_droppable(), t.dependants.join(", ")) {
                (true, _) => "yes".to_owned(),
                (false, needed) if needed.is_empty() => "no".to_owned(),
                (false, needed) => format!("no: {needed}"),
            },
        ]
    });
    table(
        [
            "table",
            "rows",
            "accounted for",
            "new",
            "changed",
            "refused",
            "may go",
        ],
        rows,
    )
}
