//! `jarvis member`: the people of a gym.

mod erase;
mod export;
pub mod kept_exports;

use crate::arguments;
use crate::connection::{self, GymDesk};
use crate::failure::{Done, WrongUse, or_taken};
use crate::global::Global;
use crate::output::{Output, table, talk};
use crate::wiring;
use chrono::NaiveDate;
use jarvis_core::{Clock as _, Language, MemberId, SystemClock};
use jarvis_db::queries::consent;
use jarvis_db::queries::member::{self, NewMember};
use jarvis_db::queries::privacy as rows;
use jarvis_memory::{context, privacy};

/// The people of a gym.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Enrol a member
    Add {
        /// Their badge, unique within the gym
        #[arg(value_parser = arguments::badge)]
        badge: String,
        /// First name
        #[arg(value_parser = arguments::filled)]
        first_name: String,
        /// Last name
        #[arg(value_parser = arguments::filled)]
        last_name: String,
        /// Language they speak
        #[arg(long, default_value = "fr", value_parser = |s: &str| s.parse::<Language>())]
        language: Language,
        /// Date of birth, as 1990-12-31
        #[arg(long, value_name = "DATE")]
        born: Option<NaiveDate>,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// List the members of a gym
    List {
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// Begin after this member (the id that ends the page before)
        #[arg(long)]
        after: Option<MemberId>,
    },
    /// Show a member with consents and the context of their next session
    Show {
        /// Id or badge
        member: String,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Show what the assistant would be given: when the badge is read, or when the member says something
    #[command(
        after_help = "Example:\n  jarvis member context BADGE_001 \"mon genou me refait mal\" --gym lyon"
    )]
    Context {
        /// Id or badge
        member: String,
        /// What the member says
        #[arg(value_parser = arguments::filled)]
        words: Option<String>,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Hand out everything that is kept of a member
    Export(export::Arguments),
    /// Make an encrypted export readable, to hand it over
    OpenExport(export::OpenArguments),
    /// Keep a member's data and use it for nothing, until it is lifted (GDPR, article 18)
    Restrict {
        /// Id or badge
        member: String,
        /// Why, such as the number of the request; no word of the member
        #[arg(long, value_parser = arguments::filled)]
        reason: Option<String>,
        /// Lift the restriction
        #[arg(long, conflicts_with = "reason")]
        lift: bool,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Erase a member everywhere; first says what would go
    Erase(erase::Arguments),
    /// List past erasures: ids and times, for a restore
    Erasures {
        /// The gym, by slug or id [default: all]
        #[arg(long)]
        gym: Option<String>,
    },
}

impl Command {
    /// Whether it acts as the owner of the database.
    pub fn needs_owner(&self) -> bool {
        matches!(self, Self::Erase(_) | Self::Erasures { .. })
    }
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Add {
            badge,
            first_name,
            last_name,
            language,
            born,
            gym,
        } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let new = NewMember {
                id: MemberId::new(SystemClock.now()),
                badge_id: &badge,
                first_name: &first_name,
                last_name: &last_name,
                language,
                date_of_birth: born,
            };
            let mut tx = desk.db.begin(&desk.scope).await?;
            member::insert(&mut tx, desk.gym, &new).await.map_err(|e| {
                or_taken(e, || {
                    format!("this gym already uses badge `{badge}`; see `jarvis member show {badge}`")
                })
            })?;
            tx.commit().await?;
            let id = new.id;
            out.data(&serde_json::json!({"id": id, "badge_id": badge}), |_| {
                format!("{id}\nNothing is remembered until they agree: jarvis consent record {badge} --grant memory")
            })?;
        }
        Command::List { gym, limit, after } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            let members = member::list(&mut tx, desk.gym, after, limit).await?;
            out.data(&members, |members| {
                let rows = members.iter().map(|m| {
                    let name = format!("{} {}", m.first_name, m.last_name);
                    let state = if m.is_active { "active" } else { "inactive" };
                    [
                        m.badge_id.clone(),
                        name,
                        m.language.to_string(),
                        state.to_owned(),
                        m.id.to_string(),
                    ]
                });
                table(["badge", "name", "language", "state", "id"], rows)
            })?;
        }
        Command::Show { member, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            show(&desk, out, id).await?;
        }
        Command::Context { member, words, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            show_context(&desk, out, id, words.as_deref()).await?;
        }
        Command::Export(arguments) => return export::run(global, out, arguments).await,
        Command::OpenExport(arguments) => return export::open(global, out, &arguments),
        Command::Restrict {
            member,
            reason,
            lift,
            gym,
        } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = connection::find_member(&desk, &member).await?;
            restrict(&desk, out, id, reason.as_deref(), lift).await?;
        }
        Command::Erase(arguments) => return erase::run(global, out, arguments).await,
        Command::Erasures { gym } => return erase::list(global, out, gym.as_deref()).await,
    }
    Ok(Done::Ok)
}

async fn restrict(
    desk: &GymDesk,
    out: Output,
    id: MemberId,
    reason: Option<&str>,
    lift: bool,
) -> anyhow::Result<()> {
    let memory = wiring::memory_without_model(desk.db.clone());
    let changed = if lift {
        privacy::lift(&memory, &desk.scope, desk.gym, id).await?
    } else {
        privacy::restrict(&memory, &desk.scope, desk.gym, id, reason).await?
    };
    let value = serde_json::json!({"member_id": id, "restricted": !lift, "changed": changed});
    out.data(&value, |_| {
        match (lift, changed) {
            (false, true) => {
                "restricted: kept, and used for nothing; to lift it: jarvis member restrict --lift"
            }
            (false, false) => "was restricted already",
            (true, true) => "lifted; conversations that waited are made into memory now",
            (true, false) => "was not restricted",
        }
        .to_owned()
    })
}

async fn show(desk: &GymDesk, out: Output, id: MemberId) -> anyhow::Result<()> {
    let mut tx = desk.db.begin(&desk.scope).await?;
    let member = member::find(&mut tx, id).await?;
    let member = member.ok_or_else(|| WrongUse("the member was removed just now".to_owned()))?;
    let consents = consent::in_force(&mut tx, desk.gym, id).await?;
    let restriction = rows::restriction(&mut tx, desk.gym, id).await?;
    tx.commit().await?;
    let memory = wiring::memory_without_model(desk.db.clone());
    let context = context::preview(&memory, desk.scope, id).await?;
    let value = serde_json::json!({"member": member, "consents": consents, "restriction": restriction, "next_context": context});
    out.data(&value, |_| {
        let agreed: Vec<_> = consents.iter().map(jarvis_core::Purpose::as_str).collect();
        let agreed = if agreed.is_empty() {
            "nothing".to_owned()
        } else {
            agreed.join(", ")
        };
        let restricted = restriction
            .as_ref()
            .map(|r| {
                format!(
                    "\nRESTRICTED since {}: kept, and used for nothing",
                    r.since.format("%F %T")
                )
            })
            .unwrap_or_default();
        let prompt = context.as_ref().map(|c| c.prompt.as_str()).unwrap_or_default();
        format!(
            "{} {}  (badge {}, {})\nid        {}\nvisits    {}\nagreed to {agreed}{restricted}\n\n{prompt}",
            member.first_name,
            member.last_name,
            member.badge_id,
            member.language,
            member.id,
            member.total_visits,
        )
    })
}

async fn show_context(desk: &GymDesk, out: Output, id: MemberId, words: Option<&str>) -> anyhow::Result<()> {
    let context = if let Some(words) = words {
        let memory = wiring::memory(desk.db.clone()).await?;
        Some(context::preview_for_words(&memory, desk.scope, id, words).await?)
    } else {
        let memory = wiring::memory_without_model(desk.db.clone());
        context::preview(&memory, desk.scope, id).await?
    };
    let context = context.ok_or_else(|| WrongUse("the member was removed just now".to_owned()))?;
    for (note, told) in [
        (
            context::NO_MEMORY_CONSENT,
            "they do not agree to be remembered: nothing is told",
        ),
        (
            context::NO_HEALTH_MEMORY_CONSENT,
            "they do not agree to it: health is left out",
        ),
        (
            context::BY_WORDS_ALONE,
            "no embedding model answered: what fits was found by words alone",
        ),
        (
            context::OUT_OF_TIME,
            "time ran out: not everything that was said was looked at",
        ),
    ] {
        if context.notes.contains(&note) {
            talk(told);
        }
    }
    out.data(&context, |context| context.prompt.clone())
}
