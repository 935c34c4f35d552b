//! `jarvis consent`: what members agreed to.

use crate::cli::Global;
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::output::{Output, table};
use jarvis_core::{Actor, Clock as _, Purpose, SystemClock};
use jarvis_db::queries::consent::{self, NewConsent};

/// What members agreed to: an append-only ledger, the newest line of a purpose counts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Record what a member agreed to or withdrew
    #[command(after_help = "\
Purposes: voice, memory, health_memory, profiling, share_with_staff.
Example:
  jarvis consent record BADGE_001 --grant voice,memory --refuse health_memory --gym lyon")]
    Record {
        /// The member's id or badge
        member: String,
        /// Agreed to, separated by commas
        #[arg(long, value_delimiter = ',', value_parser = |s: &str| s.parse::<Purpose>())]
        grant: Vec<Purpose>,
        /// Refused or withdrawn, separated by commas
        #[arg(long, value_delimiter = ',', value_parser = |s: &str| s.parse::<Purpose>())]
        refuse: Vec<Purpose>,
        /// The guardian of a member under 15 agreed
        #[arg(long)]
        by_guardian: bool,
        /// Version of the text that was shown
        #[arg(long, default_value = "consent-1")]
        statement: String,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Show what is in force, and every line of the ledger
    Show {
        /// The member's id or badge
        member: String,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Record {
            member,
            grant,
            refuse,
            by_guardian,
            statement,
            gym,
        } => {
            if grant.is_empty() && refuse.is_empty() {
                return Err(
                    WrongUse("say what: --grant memory,… or --refuse health_memory,…".to_owned()).into(),
                );
            }
            if let Some(both) = grant.iter().find(|p| refuse.contains(p)) {
                return Err(WrongUse(format!("{both} is both granted and refused")).into());
            }
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            let now = SystemClock.now();
            let actor = Actor::Operator.to_string();
            let mut tx = desk.db.begin(&desk.scope).await?;
            let lines = grant
                .iter()
                .map(|p| (*p, true))
                .chain(refuse.iter().map(|p| (*p, false)));
            for (purpose, granted) in lines {
                let line = NewConsent {
                    id: jarvis_core::ids::uuid_v7(now),
                    member: id,
                    purpose,
                    granted,
                    by_guardian,
                    statement_version: &statement,
                    source: "cli",
                    actor: &actor,
                    recorded_at: now,
                };
                consent::insert(&mut tx, desk.gym, &line).await?;
            }
            let in_force = consent::in_force(&mut tx, desk.gym, id).await?;
            tx.commit().await?;
            out.data(
                &serde_json::json!({"member_id": id, "in_force": in_force}),
                |_| {
                    let names: Vec<_> = in_force.iter().map(|p| p.as_str()).collect();
                    format!(
                        "in force: {}",
                        if names.is_empty() {
                            "nothing".to_owned()
                        } else {
                            names.join(", ")
                        }
                    )
                },
            )?;
        }
        Command::Show { member, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            let in_force = consent::in_force(&mut tx, desk.gym, id).await?;
            let ledger = consent::list(&mut tx, desk.gym, id).await?;
            let value = serde_json::json!({"member_id": id, "in_force": in_force, "ledger": ledger});
            out.data(&value, |_| {
                let names: Vec<_> = in_force.iter().map(|p| p.as_str()).collect();
                let rows = ledger.iter().map(|l| {
                    let what = if l.granted { "granted" } else { "refused" };
                    let when = l.recorded_at.format("%F %T").to_string();
                    [
                        when,
                        l.purpose.clone(),
                        what.to_owned(),
                        l.source.clone(),
                        l.actor.clone(),
                    ]
                });
                format!(
                    "in force: {}\n\n{}",
                    names.join(", "),
                    table(["when (UTC)", "purpose", "what", "where", "who"], rows)
                )
            })?;
        }
    }
    Ok(Done::Ok)
}
