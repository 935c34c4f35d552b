//! `jarvis token`: access tokens.

use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::Output;
use crate::{connection, signing};
use jarvis_core::{KioskId, Scope};
use jarvis_db::queries::{account, kiosk};
use jarvis_memory::sessions::KioskIdentity;
use secrecy::ExposeSecret as _;
use std::path::PathBuf;

/// Access tokens for trying the API by hand.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a short-lived token for a kiosk (15 minutes) or a person (1 hour)
    #[command(
        after_help = "Example:\n  curl -H \"Authorization: Bearer $(jarvis token mint --user claire@example.org)\" http://127.0.0.1:8787/api/v1/me"
    )]
    #[command(group = clap::ArgGroup::new("whom").required(true).args(["kiosk", "user"]))]
    Mint {
        /// The kiosk's id
        #[arg(long)]
        kiosk: Option<KioskId>,
        /// The person's e-mail address
        #[arg(long)]
        user: Option<String>,
        /// The server's signing key [default: signing-key.pem in the data folder]
        #[arg(long, env = "JARVIS_SIGNING_KEY_FILE", value_name = "FILE")]
        signing_key: Option<PathBuf>,
    },
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    let Command::Mint {
        kiosk: id,
        user,
        signing_key,
    } = command;
    let path = match signing_key {
        Some(path) => path,
        None => connection::signing_key(global)?,
    };
    if !path.exists() {
        return Err(WrongUse(format!(
            "no signing key at {}; name the server's with --signing-key",
            path.display()
        ))
        .into());
    }
    let tokens = signing::load_or_create(&path)?;
    let db = connection::db(&connection::urls(global)?).await?;
    let mut tx = db.begin(&Scope::System).await?;
    let token = match (id, user) {
        (Some(id), _) => {
            let found = kiosk::find(&mut tx, id).await?;
            let kiosk =
                found.ok_or_else(|| WrongUse(format!("there is no kiosk {id}; see `jarvis kiosk list`")))?;
            tokens.mint_kiosk(&KioskIdentity {
                kiosk: kiosk.id,
                gym: kiosk.gym_id,
            })?
        }
        (None, Some(email)) => {
            let found = account::find_by_email(&mut tx, &email).await?;
            let account = found.filter(|a| a.is_active).ok_or_else(|| {
                WrongUse(format!(
                    "there is no active account `{email}`; see `jarvis user list`"
                ))
            })?;
            tokens.mint_person(account.id)?
        }
        (None, None) => return Err(WrongUse("say for whom: --kiosk ID or --user EMAIL".to_owned()).into()),
    };
    let text = token.token.expose_secret();
    let value =
        serde_json::json!({"access_token": text, "token_type": "Bearer", "expires_in": token.expires_in});
    out.data(&value, |_| text.to_owned())?;
    Ok(Done::Ok)
}
