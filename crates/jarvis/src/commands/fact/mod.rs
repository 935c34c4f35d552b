//! `jarvis fact`: what is remembered of a member.

mod decide;
mod read;
mod write;

use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;
use chrono::NaiveDate;
use jarvis_core::{Category, FactId};
use uuid::Uuid;

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
        /// As they were known at the end of this day in the gym's zone
        #[arg(long, value_name = "DATE")]
        as_of: Option<NaiveDate>,
        #[command(flatten)]
        at: At,
    },
    /// Show a fact with its evidence and its life
    Show {
        /// The fact's id
        fact: FactId,
        #[command(flatten)]
        at: At,
    },
    /// Every change of a member's facts, oldest first
    History {
        /// The member's id or badge
        member: String,
        #[command(flatten)]
        at: At,
    },
    /// State a fact as a person; one of the same key is corrected
    Set {
        /// The member's id or badge
        member: String,
        /// goal, injury, preference, progress or concern
        #[arg(value_parser = |s: &str| s.parse::<Category>())]
        category: Category,
        /// The key, such as knee_right_pain
        key: String,
        /// The value, a JSON object such as '{"location": "right_knee"}'
        #[arg(value_parser = object)]
        value: serde_json::Value,
        /// How sure, 0 to 1
        #[arg(long, default_value_t = 1.0, value_parser = share)]
        confidence: f64,
        #[command(flatten)]
        at: At,
    },
    /// Say that a fact is still true, or true again
    Confirm {
        /// The fact's id
        fact: FactId,
        #[command(flatten)]
        at: At,
    },
    /// Give a fact another value; a person's correction wins
    Correct {
        /// The fact's id
        fact: FactId,
        /// The value, a JSON object
        #[arg(value_parser = object)]
        value: serde_json::Value,
        /// How sure, 0 to 1
        #[arg(long, default_value_t = 1.0, value_parser = share)]
        confidence: f64,
        #[command(flatten)]
        at: At,
    },
    /// Retire a fact: no longer true, its history stays
    Retire {
        /// The fact's id
        fact: FactId,
        #[command(flatten)]
        at: At,
    },
    /// Forget a fact: value, quote, history, the words it came from, and what was made of them
    Forget {
        /// The fact's id
        fact: FactId,
        /// Do it; without it, only say what it is
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        at: At,
    },
    /// List what a person should look at: keys of no slot, facts that nobody said for long
    Review {
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        #[command(flatten)]
        at: At,
    },
    /// List merges that are proposed
    Proposals {
        /// Only those of this member, by id or badge
        #[arg(long)]
        member: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        #[command(flatten)]
        at: At,
    },
    /// Merge two facts as proposed: one is confirmed, the other retired
    Accept {
        /// The proposal's id
        proposal: Uuid,
        /// The fact that stays [default: the better proven one]
        #[arg(long, value_name = "FACT")]
        keep: Option<FactId>,
        #[command(flatten)]
        at: At,
    },
    /// Leave two facts apart; they are not proposed again
    Reject {
        /// The proposal's id
        proposal: Uuid,
        #[command(flatten)]
        at: At,
    },
    /// Do now what a job does each night: tell gyms of injuries that expired, purge what may go
    Tend,
}

/// Where a command looks.
#[derive(Debug, clap::Args)]
pub struct At {
    /// The gym, by slug or id
    #[arg(long)]
    pub gym: Option<String>,
}

impl At {
    fn gym(&self) -> Option<&str> {
        self.gym.as_deref()
    }
}

fn object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        _ => Err(r#"a JSON object, such as '{"location": "right_knee"}'"#.to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "a number from 0 to 1".to_owned())
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::List {
            member,
            all,
            as_of,
            at,
        } => match as_of {
            None => read::list(global, out, &member, all, &at).await,
            Some(day) => read::list_as_of(global, out, &member, (day, all), &at).await,
        },
        Command::Show { fact, at } => read::show(global, out, fact, &at).await,
        Command::History { member, at } => read::history(global, out, &member, &at).await,
        Command::Review { limit, at } => read::review(global, out, limit, &at).await,
        Command::Set {
            member,
            category,
            key,
            value,
            confidence,
            at,
        } => {
            let new = jarvis_memory::facts::StateFact {
                category,
                fact_key: key,
                fact_value: value,
                confidence,
            };
            write::set(global, out, &member, &new, &at).await
        }
        Command::Confirm { fact, at } => write::confirm(global, out, fact, &at).await,
        Command::Correct {
            fact,
            value,
            confidence,
            at,
        } => write::correct(global, out, fact, (value, confidence), &at).await,
        Command::Retire { fact, at } => write::retire(global, out, fact, &at).await,
        Command::Forget { fact, yes, at } => write::forget(global, out, fact, yes, &at).await,
        Command::Proposals { member, limit, at } => {
            decide::proposals(global, out, member.as_deref(), limit, &at).await
        }
        Command::Accept { proposal, keep, at } => decide::accept(global, out, proposal, keep, &at).await,
        Command::Reject { proposal, at } => decide::reject(global, out, proposal, &at).await,
        Command::Tend => write::tend(global, out).await,
    }
}
