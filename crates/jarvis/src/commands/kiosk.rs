//! `jarvis kiosk`: the devices at which members talk.

use crate::arguments;
use crate::connection::{self, GymDesk};
use crate::failure::{Done, WrongUse, or_taken};
use crate::global::Global;
use crate::output::{Output, table};
use crate::wiring;
use jarvis_api::pairing;
use jarvis_core::{Clock as _, KioskId, Language, Scope, SystemClock};
use jarvis_db::queries::kiosk;
use jarvis_memory::sessions::{self, KioskIdentity};

/// The devices at which members talk. A kiosk is paired once with a one-time code, valid for ten minutes.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add a kiosk and print its pairing code
    Add {
        /// Its name, such as "Entrée"
        #[arg(value_parser = arguments::filled)]
        name: String,
        /// A short name, unique in the gym
        #[arg(long, value_parser = arguments::slug)]
        slug: String,
        /// Its default language
        #[arg(long, default_value = "fr", value_parser = |s: &str| s.parse::<Language>())]
        language: Language,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Print a new pairing code for a kiosk
    Code {
        /// The kiosk's id
        kiosk: KioskId,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// List the kiosks of a gym
    List {
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Revoke a kiosk at once, with its tokens
    Revoke {
        /// The kiosk's id
        kiosk: KioskId,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Add {
            name,
            slug,
            language,
            gym,
        } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let id = KioskId::new(SystemClock.now());
            let mut tx = desk.db.begin(&desk.scope).await?;
            kiosk::insert(&mut tx, desk.gym, id, &name, &slug, language.as_str())
                .await
                .map_err(|e| {
                    or_taken(e, || {
                        format!("this gym has a kiosk `{slug}` already; see `jarvis kiosk list`")
                    })
                })?;
            tx.commit().await?;
            print_code(&desk, out, id).await?;
        }
        Command::Code { kiosk: id, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            let found = kiosk::find(&mut tx, id).await?;
            if found.ok_or_else(|| no_such_kiosk(id))?.status == "revoked" {
                return Err(WrongUse(format!(
                    "kiosk {id} is revoked and cannot be paired again; add a new one: jarvis kiosk add"
                ))
                .into());
            }
            tx.commit().await?;
            print_code(&desk, out, id).await?;
        }
        Command::List { gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let kiosks = kiosk::list(&mut desk.db.begin(&desk.scope).await?, desk.gym).await?;
            out.data(&kiosks, |kiosks| {
                let rows = kiosks.iter().map(|k| {
                    let seen = k
                        .last_seen_at
                        .map_or("never".to_owned(), |t| t.format("%F %T").to_string());
                    [
                        k.slug.clone(),
                        k.name.clone(),
                        k.status.clone(),
                        seen,
                        k.id.to_string(),
                    ]
                });
                table(["slug", "name", "status", "seen (UTC)", "id"], rows)
            })?;
        }
        Command::Revoke { kiosk: id, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            if !kiosk::revoke(&mut tx, desk.gym, id, SystemClock.now()).await? {
                return Err(no_such_kiosk(id).into());
            }
            tx.commit().await?;
            let memory = wiring::memory_without_model(desk.db.clone());
            let identity = KioskIdentity {
                kiosk: id,
                gym: desk.gym,
            };
            sessions::end_revoked(&memory, &identity, &desk.scope).await?;
            out.data(&serde_json::json!({"revoked": id}), |_| format!("revoked {id}"))?;
        }
    }
    Ok(Done::Ok)
}

fn no_such_kiosk(id: KioskId) -> WrongUse {
    WrongUse(format!("this gym has no kiosk {id}; see `jarvis kiosk list`"))
}

async fn print_code(desk: &GymDesk, out: Output, id: KioskId) -> anyhow::Result<()> {
    let code = new_code(desk, id).await?;
    out.data(&serde_json::json!({"kiosk_id": id, "pairing_code": code, "expires_in_seconds": pairing::LIFETIME.num_seconds()}), |_| {
        format!("kiosk {id}\npairing code {code}  (once, within 10 minutes: POST /api/v1/kiosks/pair)")
    })
}

/// Makes and stores a pairing code.
pub async fn new_code(desk: &GymDesk, id: KioskId) -> anyhow::Result<String> {
    let (code, hash) = pairing::new_code(&mut rand::rng());
    let mut tx = desk.db.begin(&Scope::System).await?;
    let expires = SystemClock.now() + pairing::LIFETIME;
    kiosk::insert_pairing_code(&mut tx, desk.gym, id, &hash, expires).await?;
    tx.commit().await?;
    Ok(code)
}
