//! `jarvis consent`: what members agreed to.

use crate::arguments;
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table};
use jarvis_core::{Actor, Clock as _, ConsentSet, GymId, MemberId, Purpose, SystemClock};
use jarvis_db::queries::consent::{self, NewConsent};
use jarvis_db::queries::privacy::{self, WithdrawalStatus};
use jarvis_db::{DbError, ScopedTx};

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
        /// A guardian answers: under 15 only they can agree
        #[arg(long)]
        by_guardian: bool,
        /// Version of the text that was shown
        #[arg(long, default_value = "consent-1", value_parser = arguments::filled)]
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
            check(&grant, &refuse)?;
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            let answer = Answer {
                grant,
                refuse,
                by_guardian,
                statement: &statement,
                source: "cli",
            };
            let mut tx = desk.db.begin(&desk.scope).await?;
            record(&mut tx, desk.gym, id, &answer).await?;
            let in_force = consent::in_force(&mut tx, desk.gym, id).await?;
            tx.commit().await?;
            let value = serde_json::json!({"member_id": id, "in_force": in_force});
            out.data(&value, |_| format!("in force: {}", names(&in_force)))?;
        }
        Command::Show { member, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            let in_force = consent::in_force(&mut tx, desk.gym, id).await?;
            let ledger = consent::list(&mut tx, desk.gym, id).await?;
            let withdrawals = privacy::withdrawals(&mut tx, desk.gym, id).await?;
            let restriction = privacy::restriction(&mut tx, desk.gym, id).await?;
            let value = serde_json::json!({
                "member_id": id, "in_force": in_force, "ledger": ledger,
                "withdrawals": withdrawals, "restriction": restriction,
            });
            out.data(&value, |_| {
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
                let lines = table(["when (UTC)", "purpose", "what", "where", "who"], rows);
                let removals = removals(&withdrawals);
                format!("in force: {}{removals}\n\n{lines}", names(&in_force))
            })?;
        }
    }
    Ok(Done::Ok)
}

/// What became of what rested on a consent that was withdrawn.
fn removals(withdrawals: &[WithdrawalStatus]) -> String {
    let lines = withdrawals.iter().map(|w| {
        let state = match (w.done_at, w.state.as_str()) {
            (Some(at), "completed") => format!("removed {}", at.format("%F %T")),
            (_, "discarded") => "NOT removed, given up: see jarvis doctor".to_owned(),
            (_, state) => format!("being removed ({state})"),
        };
        format!("\nwhat rested on {}: {state}", w.purpose)
    });
    lines.collect()
}

fn check(grant: &[Purpose], refuse: &[Purpose]) -> Result<(), WrongUse> {
    if grant.is_empty() && refuse.is_empty() {
        return Err(WrongUse(
            "say what: --grant memory,… or --refuse health_memory,…".to_owned(),
        ));
    }
    match grant.iter().find(|p| refuse.contains(p)) {
        Some(both) => Err(WrongUse(format!("{both} is both granted and refused"))),
        None => Ok(()),
    }
}

fn names(purposes: &ConsentSet) -> String {
    let names: Vec<_> = purposes.iter().map(Purpose::as_str).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

/// What a member answered when they were asked.
pub struct Answer<'a> {
    /// Agreed to.
    pub grant: Vec<Purpose>,
    /// Refused or withdrawn.
    pub refuse: Vec<Purpose>,
    /// A guardian answered.
    pub by_guardian: bool,
    /// Version of the text that was shown.
    pub statement: &'a str,
    /// Where it was asked: `cli` or `reception`.
    pub source: &'a str,
}

/// Appends an answer to the ledger.
pub async fn record(
    tx: &mut ScopedTx,
    gym: GymId,
    member: MemberId,
    answer: &Answer<'_>,
) -> Result<(), DbError> {
    let now = SystemClock.now();
    let actor = Actor::Operator.to_string();
    let granted = answer.grant.iter().map(|p| (*p, true));
    for (purpose, granted) in granted.chain(answer.refuse.iter().map(|p| (*p, false))) {
        let line = NewConsent {
            id: jarvis_core::ids::uuid_v7(now),
            member,
            purpose,
            granted,
            by_guardian: answer.by_guardian,
            statement_version: answer.statement,
            source: answer.source,
            actor: &actor,
            recorded_at: now,
        };
        consent::insert(tx, gym, &line).await?;
    }
    Ok(())
}
