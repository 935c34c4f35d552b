//! `jarvis user`: people who sign in.

use crate::arguments;
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table};
use anyhow::Context as _;
use jarvis_api::password;
use jarvis_core::{Clock as _, Scope, SystemClock, UserId};
use jarvis_db::provision;
use jarvis_db::queries::account::{self, Account};
use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::{ExposeSecret as _, SecretString};
use std::env::VarError;

/// People who sign in.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create an account, or give an existing one these rights and a new password
    #[command(after_help = "\
Roles: super_admin (all gyms), gym_manager, gym_staff.
The password is read from JARVIS_USER_PASSWORD, or with --password-stdin; without either one is made and printed once.
Example:
  jarvis user add claire@example.org --role gym_manager --gym lyon --gym paris")]
    Add {
        /// E-mail address
        email: String,
        /// What they may do
        #[arg(long, value_parser = ["super_admin", "gym_manager", "gym_staff"])]
        role: String,
        /// A gym they work for, by slug or id; may be repeated
        #[arg(long)]
        gym: Vec<String>,
        /// Full name
        #[arg(long)]
        name: Option<String>,
        /// Read their password from standard input
        #[arg(long)]
        password_stdin: bool,
        /// Leave the password of somebody who is known already, such as an imported one
        #[arg(long, conflicts_with = "password_stdin")]
        keep_password: bool,
    },
    /// List accounts
    List,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    match command {
        Command::Add {
            email,
            role,
            gym,
            name,
            password_stdin,
            keep_password,
        } => {
            if keep_password {
                let account = new_account(&urls, email, role, &gym, name).await?;
                let mut admin = connection::admin(&urls).await?;
                let id = provision::give_rights(&mut admin, &account)
                    .await?
                    .ok_or_else(|| {
                        WrongUse(format!(
                            "nobody is known as {}: leave --keep-password out",
                            account.email
                        ))
                    })?;
                out.data(
                    &serde_json::json!({"id": id, "email": account.email, "password": null}),
                    |_| format!("{id}  {}  (password kept)", account.email),
                )?;
                return Ok(Done::Ok);
            }
            let password = given_password(password_stdin)?;
            let made = password.is_none();
            let password = password.unwrap_or_else(new_password);
            let account = new_account(&urls, email, role, &gym, name).await?;
            let id = store(&urls, &account, &password).await?;
            let shown = made.then(|| password.expose_secret().to_owned());
            out.data(
                &serde_json::json!({"id": id, "email": account.email, "password": shown}),
                |_| match &shown {
                    Some(password) => format!("{id}  {}\npassword {password}  (shown once)", account.email),
                    None => format!("{id}  {}", account.email),
                },
            )?;
        }
        Command::List => {
            let db = connection::db(&urls).await?;
            let accounts = account::list(&mut db.begin(&Scope::System).await?).await?;
            out.data(&accounts, |accounts| {
                let rows = accounts.iter().map(|a| {
                    let state = if a.is_active { "active" } else { "inactive" };
                    let gyms = a.gym_access.len().to_string();
                    [
                        a.email.clone(),
                        a.role.clone(),
                        gyms,
                        state.to_owned(),
                        a.id.to_string(),
                    ]
                });
                table(["e-mail", "role", "gyms", "state", "id"], rows)
            })?;
        }
    }
    Ok(Done::Ok)
}

/// A command line is seen by everybody on the machine, so that a password never stands there.
fn given_password(stdin: bool) -> anyhow::Result<Option<SecretString>> {
    if stdin {
        let text = std::io::read_to_string(std::io::stdin()).context("cannot read the password")?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        return Ok(Some(text.into()));
    }
    match std::env::var("JARVIS_USER_PASSWORD") {
        Ok(text) => Ok(Some(text.into())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(WrongUse("JARVIS_USER_PASSWORD is no text".to_owned()).into()),
    }
}

/// A password nobody chose.
pub fn new_password() -> SecretString {
    Alphanumeric.sample_string(&mut rand::rng(), 20).into()
}

async fn new_account(
    urls: &connection::Urls,
    email: String,
    role: String,
    gyms: &[String],
    full_name: Option<String>,
) -> anyhow::Result<Account> {
    let email = arguments::email(&email).map_err(WrongUse)?;
    if role != "super_admin" && gyms.is_empty() {
        return Err(WrongUse(format!("a {role} works for at least one gym: --gym …")).into());
    }
    let mut admin = connection::admin(urls).await?;
    let mut gym_access = Vec::new();
    for gym in gyms {
        let found = provision::find_gym(&mut admin, gym).await?;
        gym_access
            .push(found.ok_or_else(|| WrongUse(format!("there is no gym `{gym}`; see `jarvis gym list`")))?);
    }
    Ok(Account {
        id: UserId::new(SystemClock.now()),
        email,
        full_name,
        role,
        gym_access,
        is_active: true,
    })
}

/// Stores an account with its password.
pub async fn store(
    urls: &connection::Urls,
    account: &Account,
    password: &SecretString,
) -> anyhow::Result<UserId> {
    if password.expose_secret().chars().count() < password::MIN_CHARS {
        return Err(WrongUse(format!(
            "a password has at least {} characters",
            password::MIN_CHARS
        ))
        .into());
    }
    let hash = password::hash(password)?;
    let mut admin = connection::admin(urls).await?;
    Ok(provision::upsert_account(&mut admin, account, &hash)
        .await?
        .into())
}
