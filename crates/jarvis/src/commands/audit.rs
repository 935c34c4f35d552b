//! `jarvis audit`: who read or changed what.

use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table};
use chrono::{DateTime, SecondsFormat, Utc};
use jarvis_db::queries::audit::{self, Filter};

/// Who read or changed what, never what it said
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List entries, newest first
    #[command(after_help = "\
Examples:
  jarvis audit list --gym lyon --member BADGE_001
  jarvis audit list --action fact --actor operator
  jarvis audit list --action transcript.read --since 2026-01-01T00:00:00Z")]
    List {
        /// Only about this member, by id or badge
        #[arg(long)]
        member: Option<String>,
        /// Only by this actor: operator, server, user:ID, kiosk:ID, service_role
        #[arg(long)]
        actor: Option<String>,
        /// Only this action, or a kind of them: fact, consent, member, restriction, transcript.read, …
        #[arg(long)]
        action: Option<String>,
        /// Not before, as 2026-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<DateTime<Utc>>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// Before this entry (the number that ends the page before)
        #[arg(long, value_name = "NUMBER")]
        before: Option<i64>,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    let Command::List {
        member,
        actor,
        action,
        since,
        limit,
        before,
        gym,
    } = command;
    let desk = connection::desk(global, gym.as_deref()).await?;
    let member = match member {
        Some(member) => Some(connection::find_member(&desk, &member).await?),
        None => None,
    };
    let filter = Filter {
        member,
        actor: actor.as_deref(),
        action: action.as_deref(),
        since,
        before,
    };
    let mut tx = desk.db.begin(&desk.scope).await?;
    let entries = audit::list(&mut tx, desk.gym, &filter, limit).await?;
    tx.commit().await?;
    out.data(&entries, |entries| {
        let rows = entries.iter().map(|e| {
            [
                e.id.to_string(),
                e.recorded_at.to_rfc3339_opts(SecondsFormat::Secs, true),
                e.actor.clone(),
                e.action.clone(),
                e.member_id.map(|id| id.to_string()).unwrap_or_default(),
                e.entity_id.clone().unwrap_or_default(),
            ]
        });
        table(["number", "when", "who", "what", "member", "on"], rows)
    })?;
    Ok(Done::Ok)
}
