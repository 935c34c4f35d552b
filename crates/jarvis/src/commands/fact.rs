//! `jarvis fact`: what is remembered of a member.

use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table};
use jarvis_core::{Clock as _, FactId, SystemClock};
use jarvis_db::queries::fact::{self, FactFilter};

/// What is remembered of a member, with its evidence.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the facts of a member, injuries first
    List {
        /// The member's id or badge
        member: String,
        /// Retired and expired facts too
        #[arg(long)]
        all: bool,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Every change of a member's facts, oldest first
    History {
        /// The member's id or badge
        member: String,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Retire a fact: no longer true, its history stays
    Retire {
        /// The fact's id
        fact: FactId,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::List { member, all, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            let filter = FactFilter {
                include_inactive: all,
                most_others: None,
            };
            let facts = fact::list(&mut tx, desk.gym, id, filter, SystemClock.now()).await?;
            out.data(&facts, |facts| {
                let rows = facts.iter().map(|f| {
                    let quote = f
                        .source_quote
                        .as_deref()
                        .map(|q| format!("« {q} »"))
                        .unwrap_or_default();
                    let category = f.category.as_str().to_owned();
                    [
                        category,
                        f.fact_key.clone(),
                        format!("{:.2}", f.confidence),
                        quote,
                        f.id.to_string(),
                    ]
                });
                table(["category", "key", "sure", "in their words", "id"], rows)
            })?;
        }
        Command::History { member, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            let lines = fact::list_history(&mut tx, desk.gym, id).await?;
            out.data(&lines, |lines| {
                let rows = lines.iter().map(|l| {
                    let what = l.refusal_code.clone().unwrap_or_default();
                    let actor = l.actor.clone().unwrap_or_default();
                    let fact = format!("{}/{}", l.category, l.fact_key);
                    [
                        l.recorded_at.format("%F %T").to_string(),
                        l.operation.clone(),
                        fact,
                        what,
                        actor,
                    ]
                });
                table(["when (UTC)", "what", "fact", "why refused", "who"], rows)
            })?;
        }
        Command::Retire { fact, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            if !fact::retire(&mut tx, desk.gym, fact, None).await? {
                return Err(WrongUse(format!(
                    "this gym has no active fact {fact}; see `jarvis fact list`"
                ))
                .into());
            }
            tx.commit().await?;
            out.data(&serde_json::json!({"retired": fact}), |_| {
                format!("retired {fact}")
            })?;
        }
    }
    Ok(Done::Ok)
}
