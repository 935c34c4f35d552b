//! `jarvis gym`: tenants.

use crate::arguments;
use crate::connection;
use crate::embeddings::ProviderSettings;
use crate::failure::{Done, WrongUse, or_taken};
use crate::global::Global;
use crate::output::{Output, table, talk};
use crate::wiring;
use chrono_tz::Tz;
use jarvis_core::{Actor, Clock as _, GymId, Language, Scope, SystemClock};
use jarvis_db::provision;
use jarvis_db::queries::gym::{self, Gym};
use jarvis_embed::LocalModel;
use jarvis_memory::reembed::{self, Progress};

/// Gyms are tenants: nothing of one is ever seen by another.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create a gym
    Add {
        /// Its name, as members know it
        #[arg(value_parser = arguments::filled)]
        name: String,
        /// A short name for addresses and commands, such as `lyon`
        #[arg(long, value_parser = arguments::slug)]
        slug: String,
        /// IANA time zone
        #[arg(long, default_value = "Europe/Paris", value_parser = arguments::timezone)]
        timezone: Tz,
        /// Language of its pages
        #[arg(long, default_value = "fr", value_parser = |s: &str| s.parse::<Language>())]
        locale: Language,
        /// Let models of a provider read its conversations, as `gym external-models allow` does
        #[arg(long)]
        external_models: bool,
    },
    /// List gyms
    List,
    /// Embed a gym's memory with another model, in the background; recall goes on
    #[command(
        after_help = "The worker does it; ask again with --status. Until all have their new vector, what has one is recalled by words."
    )]
    Reembed {
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
        /// The model [default: the one that a new gym with the same answer would have here]
        #[arg(long, conflicts_with = "status", value_parser = arguments::filled)]
        model: Option<String>,
        /// Only tell how far it is
        #[arg(long)]
        status: bool,
    },
    /// Store for recall what older versions did not, and embed what has no vector yet, in the background
    #[command(
        after_help = "The worker does it; ask again with --status. It can be stopped and asked for again at any time."
    )]
    Backfill {
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
        /// Only tell how far it is
        #[arg(long)]
        status: bool,
    },
    /// Let models of a provider read a gym's conversations, or no longer
    ExternalModels {
        /// Whether they may
        #[arg(value_enum)]
        answer: Answer,
        /// The gym, by slug or id
        #[arg(long)]
        gym: String,
    },
}

/// What a gym says.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Answer {
    /// They may: what members say goes to the provider
    Allow,
    /// They may not: rules and models on this machine read it, and no word goes to a provider
    Refuse,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    match command {
        Command::Add {
            name,
            slug,
            timezone,
            locale,
            external_models,
        } => {
            let gym = Gym {
                id: GymId::new(SystemClock.now()),
                name,
                slug,
                timezone: timezone.name().to_owned(),
                locale: locale.as_str().to_owned(),
                embedding_model: model_of_choice(external_models)?,
                external_models,
            };
            provision::insert_gym(&mut connection::admin(&urls).await?, &gym)
                .await
                .map_err(|e| {
                    or_taken(e, || {
                        format!("there is a gym `{}` already; see `jarvis gym list`", gym.slug)
                    })
                })?;
            if !external_models && ProviderSettings::from_environment()?.is_some() {
                talk("its memory is embedded on this machine: --external-models lets the provider do it");
            }
            out.data(&gym, |g| format!("{}  {}", g.id, g.slug))?;
        }
        Command::Reembed { gym, model, status } => {
            again(global, out, gym.as_deref(), model, status).await?;
        }
        Command::Backfill { gym, status } => backfill(global, out, gym.as_deref(), status).await?,
        Command::ExternalModels { answer, gym } => external_models(global, out, answer, &gym).await?,
        Command::List => {
            let db = connection::db(&urls).await?;
            let gyms = gym::list(&mut db.begin(&Scope::System).await?).await?;
            out.data(&gyms, |gyms| {
                let rows = gyms.iter().map(|g| {
                    [
                        g.slug.clone(),
                        g.name.clone(),
                        g.timezone.clone(),
                        if g.external_models { "allowed" } else { "-" }.to_owned(),
                        g.id.to_string(),
                    ]
                });
                table(["slug", "name", "time zone", "external models", "id"], rows)
            })?;
        }
    }
    Ok(Done::Ok)
}

/// The model that the memory of a new gym is embedded with: the provider's where one is chosen and the gym lets it read
/// its conversations, else our own.
fn model_of_choice(external_models: bool) -> anyhow::Result<String> {
    let provider = ProviderSettings::from_environment()?.filter(|_| external_models);
    Ok(match provider {
        Some(provider) => provider.model,
        None => LocalModel::DEFAULT.name().to_owned(),
    })
}

/// Notes a gym's answer. A gym that refuses goes back to the model of this machine.
async fn external_models(global: &Global, out: Output, answer: Answer, gym: &str) -> anyhow::Result<()> {
    let allowed = matches!(answer, Answer::Allow);
    let mut admin = connection::admin(&connection::urls(global)?).await?;
    let id = provision::find_gym(&mut admin, gym).await?;
    let id = id.ok_or_else(|| WrongUse(format!("there is no gym `{gym}`; see `jarvis gym list`")))?;
    provision::allow_external_models(&mut admin, id, allowed).await?;
    let desk = connection::desk(global, Some(gym)).await?;
    let memory = wiring::memory_without_model(desk.db.clone());
    let model = reembed::progress(&memory, desk.gym).await?.model;
    let ours = LocalModel::named(&model).is_some();
    if !allowed && !ours {
        reembed::ask(&memory, desk.gym, LocalModel::DEFAULT.name()).await?;
        talk(
            "its memory is embedded anew on this machine by the worker; until that is done it recalls by words",
        );
    }
    if allowed && ours && ProviderSettings::from_environment()?.is_some() {
        talk("its memory is still embedded on this machine: `jarvis gym reembed` lets the provider do it");
    }
    out.data(
        &serde_json::json!({"gym": id, "external_models": allowed}),
        |_| match answer {
            Answer::Allow => format!("{gym}: models of a provider read its conversations from now on"),
            Answer::Refuse => format!("{gym}: its conversations stay on this machine"),
        },
    )
}

/// Asks for a gym's memory to be embedded again, or only tells how far that is.
async fn again(
    global: &Global,
    out: Output,
    gym: Option<&str>,
    model: Option<String>,
    status: bool,
) -> anyhow::Result<()> {
    let desk = connection::desk(global, gym).await?;
    let memory = wiring::memory_without_model(desk.db.clone());
    if !status {
        let mut tx = desk.db.begin(&Scope::gym(desk.gym, Actor::Operator)).await?;
        let external = gym::embedding_model(&mut tx, desk.gym).await?.external;
        tx.commit().await?;
        let model = model.map_or_else(|| model_of_choice(external), Ok)?;
        reembed::ask(&memory, desk.gym, &model).await?;
        talk("asked for; the worker does it, and --status tells how far it is");
    }
    show(out, &reembed::progress(&memory, desk.gym).await?)
}

/// Asks for what a gym's memory lacks, or only tells how much that is.
async fn backfill(global: &Global, out: Output, gym: Option<&str>, status: bool) -> anyhow::Result<()> {
    let desk = connection::desk(global, gym).await?;
    let memory = wiring::memory_without_model(desk.db.clone());
    if !status {
        reembed::ask_backfill(&memory, desk.gym).await?;
        talk("asked for; the worker does it, and --status tells how far it is");
    }
    show(out, &reembed::progress(&memory, desk.gym).await?)
}

fn show(out: Output, progress: &Progress) -> anyhow::Result<()> {
    if let Some(model) = progress
        .asked_for
        .as_ref()
        .filter(|model| **model != progress.model)
    {
        talk(&format!("{model} is asked for, and the worker is not done"));
    }
    if progress.refused {
        talk(
            "the gym compares vectors of a provider and lets none read its conversations: recall is by words. \
             `jarvis gym external-models allow` lets it; `jarvis gym reembed` goes back to this machine",
        );
    }
    if progress.sessions_without_turns > 0 {
        talk(&format!(
            "{} conversations are recalled by their summary alone: `jarvis gym backfill` stores their turns",
            progress.sessions_without_turns
        ));
    }
    out.data(progress, |progress| {
        let rows = progress.summaries.iter().map(|row| {
            let compared = if row.model == progress.model && !progress.refused {
                "compared"
            } else {
                "by words"
            };
            [
                row.model.clone(),
                row.summaries.to_string(),
                row.turns.to_string(),
                compared.to_owned(),
            ]
        });
        table(["model", "summaries", "turns", "recall"], rows)
    })
}
