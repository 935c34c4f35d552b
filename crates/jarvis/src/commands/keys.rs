//! `jarvis keys`: what an application needs to call the data API.

use crate::arguments;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table};
use crate::{connection, signing};
use jarvis_api::keys::{self, Kind};
use jarvis_core::{Clock as _, Scope, SystemClock};
use jarvis_db::Db;
use jarvis_db::queries::api_key::{self, ApiKey};
use secrecy::ExposeSecret as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use uuid::Uuid;

/// Print the URL and the keys of the data API as lines of an .env file; make, replace and revoke keys.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
The two keys printed are JWTs, signed with JARVIS_JWT_SECRET, or with jwt-secret beside the server's signing key (made when
absent). They are good for ten years and end, all of them, when that secret changes and the servers are started again.
Opaque keys are revoked one by one: no server takes one any more after ten seconds.
Example:
  jarvis keys > .env.local
  jarvis keys create --secret --name \"night jobs\""
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where applications reach the server [default: the address at which it listens]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where the server listens
    #[arg(
        long,
        env = "JARVIS_LISTEN",
        default_value = "127.0.0.1:8787",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// The server's signing key, beside which the JWT secret is [default: signing-key.pem in the data folder]
    #[arg(long, env = "JARVIS_SIGNING_KEY_FILE", value_name = "FILE")]
    signing_key: Option<PathBuf>,
}

/// Opaque keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make an opaque key and print it once
    #[command(group = clap::ArgGroup::new("kind").required(true).args(["publishable", "secret"]))]
    Create {
        /// A key for pages and applications, whose users sign in: role anon
        #[arg(long)]
        publishable: bool,
        /// A key for a server that may do everything in all gyms: role service_role
        #[arg(long)]
        secret: bool,
        /// What it is for
        #[arg(long, value_parser = arguments::filled)]
        name: String,
    },
    /// List opaque keys, revoked ones too
    List,
    /// Make a key of the same kind and name, and revoke this one
    Rotate {
        /// The key's id
        key: Uuid,
    },
    /// Revoke an opaque key
    Revoke {
        /// The key's id
        key: Uuid,
    },
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let Some(command) = arguments.command else {
        let path = match arguments.signing_key {
            Some(path) => path,
            None => connection::signing_key(global)?,
        };
        let url = arguments.url.unwrap_or_else(|| reached_at(arguments.listen));
        return show(out, &url, &path);
    };
    let db = connection::db(&connection::urls(global)?).await?;
    match command {
        Command::Create { secret, name, .. } => {
            if name.chars().count() > 100 {
                return Err(WrongUse("a key's name has at most 100 characters".to_owned()).into());
            }
            let kind = if secret { Kind::Secret } else { Kind::Publishable };
            create(&db, out, kind, name, None).await?;
        }
        Command::List => {
            let keys = api_key::list(&mut db.begin(&Scope::System).await?).await?;
            out.data(&keys, |keys| listed(keys))?;
        }
        Command::Rotate { key } => {
            let old = api_key::list(&mut db.begin(&Scope::System).await?).await?;
            let old = old
                .into_iter()
                .find(|k| k.id == key && k.revoked_at.is_none())
                .ok_or_else(|| none(key))?;
            let kind = if old.kind == Kind::Secret.as_str() {
                Kind::Secret
            } else {
                Kind::Publishable
            };
            create(&db, out, kind, old.name, Some(key)).await?;
        }
        Command::Revoke { key } => {
            let mut tx = db.begin(&Scope::System).await?;
            if !api_key::revoke(&mut tx, key, SystemClock.now()).await? {
                return Err(none(key).into());
            }
            tx.commit().await?;
            out.data(&serde_json::json!({"revoked": key}), |_| format!("{key} revoked"))?;
        }
    }
    Ok(Done::Ok)
}

/// Who listens everywhere is reached on this machine.
fn reached_at(mut listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        listen.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{listen}")
}

fn none(key: Uuid) -> WrongUse {
    WrongUse(format!(
        "there is no key {key} that is in use; see `jarvis keys list`"
    ))
}

fn show(out: Output, url: &str, signing_key: &std::path::Path) -> anyhow::Result<Done> {
    let secret = signing::jwt_secret(signing_key)?;
    let now = SystemClock.now();
    let (anon, service) = (
        secret.key(Kind::Publishable, now)?,
        secret.key(Kind::Secret, now)?,
    );
    let (anon, service) = (anon.expose_secret(), service.expose_secret());
    let url = url.trim_end_matches('/');
    let told = serde_json::json!({"url": url, "anon_key": anon, "service_role_key": service});
    out.data(&told, |_| {
        format!(
            "NEXT_PUBLIC_SUPABASE_URL={url}\nNEXT_PUBLIC_SUPABASE_ANON_KEY={anon}\nSUPABASE_SERVICE_ROLE_KEY={service}"
        )
    })?;
    Ok(Done::Ok)
}

/// The new key exists and the old one is revoked at the same moment.
async fn create(
    db: &Db,
    out: Output,
    kind: Kind,
    name: String,
    replaces: Option<Uuid>,
) -> anyhow::Result<()> {
    let made = keys::make(kind);
    let now = SystemClock.now();
    let key = ApiKey {
        id: jarvis_core::ids::uuid_v7(now),
        kind: kind.as_str().to_owned(),
        name,
        shown: made.shown,
        created_at: now,
        revoked_at: None,
    };
    let mut tx = db.begin(&Scope::System).await?;
    if let Some(old) = replaces
        && !api_key::revoke(&mut tx, old, now).await?
    {
        return Err(none(old).into());
    }
    api_key::insert(&mut tx, &key, &made.hash).await?;
    tx.commit().await?;
    let text = made.text.expose_secret();
    let told = serde_json::json!({"id": key.id, "kind": key.kind, "name": key.name, "key": text});
    out.data(&told, |_| format!("{text}\n{}  (shown once)", key.id))?;
    Ok(())
}

fn listed(keys: &[ApiKey]) -> String {
    let rows = keys.iter().map(|k| {
        let state = k.revoked_at.map_or("in use".to_owned(), |at| {
            format!("revoked {}", at.format("%F %T"))
        });
        let made = k.created_at.format("%F %T").to_string();
        [
            k.name.clone(),
            k.kind.clone(),
            k.shown.clone(),
            made,
            state,
            k.id.to_string(),
        ]
    });
    table(["name", "kind", "key", "made (UTC)", "state", "id"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_that_of_the_server() {
        for (listen, url) in [
            ("127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:8787", "http://127.0.0.1:8787"),
            ("[::1]:8787", "http://[::1]:8787"),
        ] {
            assert_eq!(reached_at(listen.parse().unwrap()), url);
        }
    }
}
