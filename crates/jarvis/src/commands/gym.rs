//! `jarvis gym`: tenants.

use crate::arguments;
use crate::connection;
use crate::embeddings::ProviderSettings;
use crate::failure::{Done, WrongUse, or_taken};
use crate::global::Global;
use crate::output::{Output, table, talk};
use crate::wiring;
use chrono_tz::Tz;
use jarvis_core::{Clock as _, GymId, Language, Scope, SystemClock};
use jarvis_db::provision;
use jarvis_db::queries::gym::{self, Gym};
use jarvis_memory::reembed;

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
    },
    /// List gyms
    List,
    /// Embed a gym's summaries with another model, in the background; recall goes on
    #[command(
        after_help = "The worker does it; ask again with --status. Until all have their new vector, what has one is recalled by words."
    )]
    Reembed {
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
        /// The model [default: the one that a new gym would have here]
        #[arg(long, conflicts_with = "status", value_parser = arguments::filled)]
        model: Option<String>,
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
    /// They may not: rules on this machine read it
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
        } => {
            let gym = Gym {
                id: GymId::new(SystemClock.now()),
                name,
                slug,
                timezone: timezone.name().to_owned(),
                locale: locale.as_str().to_owned(),
                embedding_model: model_of_choice()?,
                external_models: false,
            };
            provision::insert_gym(&mut connection::admin(&urls).await?, &gym)
                .await
                .map_err(|e| {
                    or_taken(e, || {
                        format!("there is a gym `{}` already; see `jarvis gym list`", gym.slug)
                    })
                })?;
            out.data(&gym, |g| format!("{}  {}", g.id, g.slug))?;
        }
        Command::Reembed { gym, model, status } => {
            again(global, out, gym.as_deref(), model, status).await?;
        }
        Command::ExternalModels { answer, gym } => {
            let allowed = matches!(answer, Answer::Allow);
            let mut admin = connection::admin(&urls).await?;
            let id = provision::find_gym(&mut admin, &gym).await?;
            let id = id.ok_or_else(|| WrongUse(format!("there is no gym `{gym}`; see `jarvis gym list`")))?;
            provision::allow_external_models(&mut admin, id, allowed).await?;
            out.data(
                &serde_json::json!({"gym": id, "external_models": allowed}),
                |_| match answer {
                    Answer::Allow => {
                        format!("{gym}: models of a provider read its conversations from now on")
                    }
                    Answer::Refuse => format!("{gym}: its conversations stay with the rules of this machine"),
                },
            )?;
        }
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

/// The model that the summaries of a new gym are embedded with: the provider's where one is chosen, else our own.
fn model_of_choice() -> anyhow::Result<String> {
    Ok(match ProviderSettings::from_environment()? {
        Some(provider) => provider.model,
        None => jarvis_embed::LocalModel::DEFAULT.name().to_owned(),
    })
}

/// Asks for a gym's summaries to be embedded again, or only tells how far that is.
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
        let model = match model {
            Some(model) => model,
            None => model_of_choice()?,
        };
        reembed::ask(&memory, desk.gym, &model).await?;
        talk("asked for; the worker does it, and --status tells how far it is");
    }
    let progress = reembed::progress(&memory, desk.gym).await?;
    out.data(&progress, |progress| {
        let rows = progress.summaries.iter().map(|row| {
            let compared = if row.model == progress.model {
                "compared"
            } else {
                "by words"
            };
            [row.model.clone(), row.summaries.to_string(), compared.to_owned()]
        });
        table(["model", "summaries", "recall"], rows)
    })?;
    Ok(())
}
