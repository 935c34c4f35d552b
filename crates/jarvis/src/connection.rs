//! Which database a command talks to.

use crate::failure::{WithHint, WrongUse};
use crate::global::Global;
use jarvis_core::{Actor, GymId, MemberId, Scope};
use jarvis_db::queries::gym::Gym;
use jarvis_db::{ConnectSettings, Db, DbError, embedded};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection as _, PgConnection};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How to reach a database: as its owner, and as the running server.
#[derive(Debug, Clone)]
pub struct Urls {
    /// The owner: migrations, gyms, accounts, checks over all gyms.
    pub admin: SecretString,
    /// The server: may only act in a scope.
    pub login: SecretString,
}

/// The data folder that was asked for, or the default.
pub fn data_dir(global: &Global) -> anyhow::Result<PathBuf> {
    Ok(match &global.data_dir {
        Some(dir) => dir.clone(),
        None => embedded::data_dir()?,
    })
}

/// The database of this command: the one that was given, or that of a running `jarvis up` or `jarvis demo`.
pub fn urls(global: &Global) -> anyhow::Result<Urls> {
    if let Some(url) = &global.database_url {
        let admin = global.admin_database_url.clone().unwrap_or_else(|| url.clone());
        return Ok(Urls {
            admin,
            login: url.clone(),
        });
    }
    if let Some((_, urls)) = running(global)? {
        return Ok(urls);
    }
    Err(WithHint {
        problem: "no database to talk to".to_owned(),
        hint: "start `jarvis up` (or `jarvis demo`) in another terminal, or set DATABASE_URL".to_owned(),
    }
    .into())
}

/// The data folder and the database of a running `jarvis up`, else of a running `jarvis demo`.
fn running(global: &Global) -> anyhow::Result<Option<(PathBuf, Urls)>> {
    let base = data_dir(global)?;
    for dir in [base.clone(), base.join("demo")] {
        if let Some(found) = embedded::running(&dir)? {
            return Ok(Some((
                dir,
                Urls {
                    admin: found.admin_url,
                    login: found.login_url,
                },
            )));
        }
    }
    Ok(None)
}

/// The data folder of the server that this command talks to.
pub fn home(global: &Global) -> anyhow::Result<PathBuf> {
    Ok(match (&global.database_url, running(global)?) {
        (None, Some((dir, _))) => dir,
        _ => data_dir(global)?,
    })
}

/// The signing key of the server that this command talks to.
pub fn signing_key(global: &Global) -> anyhow::Result<PathBuf> {
    Ok(crate::signing::default_path(&home(global)?))
}

/// The database as the server sees it.
pub async fn db(urls: &Urls) -> anyhow::Result<Db> {
    Ok(Db::connect(&ConnectSettings::new(urls.login.clone())).await?)
}

/// As [`db`], for a server: while the database cannot be reached, it is waited for up to `patience`. After a reboot
/// of the machine, and during an upgrade of PostgreSQL, either may be up first. What waiting does not mend, such as a
/// refused login or a missing schema, fails at once.
pub async fn db_when_up(url: &SecretString, patience: Duration) -> anyhow::Result<Db> {
    let settings = ConnectSettings::new(url.clone());
    let begun = Instant::now();
    let mut pause = Duration::from_millis(250);
    loop {
        let error = match Db::connect(&settings).await {
            Err(error @ DbError::Unavailable { .. }) => error,
            connected => return Ok(connected?),
        };
        if is_unknown(url).await {
            return Err(WithHint {
                problem: "there is no database of that name on the server".to_owned(),
                hint: "create it, or correct the name at the end of DATABASE_URL".to_owned(),
            }
            .into());
        }
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(error.into());
        }
        tracing::warn!(%error, gives_up_in_s = left.as_secs(), "waiting for the database");
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Whether the server answers that it has no such database. While the program runs, one may be away for a moment, as when
/// it is restored under another name; at the start a wrong name is more likely, and waiting mends none.
async fn is_unknown(url: &SecretString) -> bool {
    let tried = tokio::time::timeout(Duration::from_secs(2), PgConnection::connect(url.expose_secret()));
    match tried.await {
        Ok(Err(sqlx::Error::Database(error))) => error.code().as_deref() == Some("3D000"),
        _ => false,
    }
}

/// For how long a server waits for its database at the start.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DatabasePatience {
    /// Seconds to wait for the database at the start; 0 fails at once
    #[arg(
        long = "wait-for-database",
        env = "JARVIS_WAIT_FOR_DATABASE",
        default_value_t = 60,
        value_name = "SECONDS"
    )]
    seconds: u32,
}

impl DatabasePatience {
    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

/// One connection of the owner.
pub async fn admin(urls: &Urls) -> anyhow::Result<PgConnection> {
    let connection = PgConnection::connect(urls.admin.expose_secret()).await;
    connection.map_err(|error| match DbError::from(error) {
        DbError::Denied { reason } => WithHint {
            problem: format!("PostgreSQL refuses the login: {reason}"),
            hint: "check the user name and the password in the database URL".to_owned(),
        }
        .into(),
        other => other.into(),
    })
}

/// An operator working for one gym.
pub struct GymDesk {
    /// The database.
    pub db: Db,
    /// The gym.
    pub gym: GymId,
    /// What the operator may see.
    pub scope: Scope,
}

/// Opens the desk of a gym, named by slug or id; the only gym there is when no name is given.
pub async fn desk(global: &Global, gym: Option<&str>) -> anyhow::Result<GymDesk> {
    let urls = urls(global)?;
    let db = db(&urls).await?;
    let gyms = jarvis_db::queries::gym::list(&mut db.begin(&Scope::System).await?).await?;
    let gym = match gym {
        Some(name) => named_gym(&gyms, name),
        None => only_gym(&gyms),
    }?;
    Ok(GymDesk {
        db,
        gym,
        scope: Scope::gym(gym, Actor::Operator),
    })
}

fn named_gym(gyms: &[Gym], slug_or_id: &str) -> Result<GymId, WrongUse> {
    let by_slug = gyms.iter().find(|g| g.slug == slug_or_id);
    let found = by_slug.or_else(|| {
        let id: GymId = slug_or_id.parse().ok()?;
        gyms.iter().find(|g| g.id == id)
    });
    let missing = || WrongUse(format!("there is no gym `{slug_or_id}`; see `jarvis gym list`"));
    Ok(found.ok_or_else(missing)?.id)
}

fn only_gym(gyms: &[Gym]) -> Result<GymId, WrongUse> {
    match gyms {
        [gym] => Ok(gym.id),
        [] => Err(WrongUse(
            "there is no gym yet; make one with `jarvis gym add`".to_owned(),
        )),
        several => {
            let names: Vec<_> = several.iter().map(|g| g.slug.as_str()).collect();
            Err(WrongUse(format!(
                "say which gym: --gym {}",
                names.join(" | --gym ")
            )))
        }
    }
}

/// The member with this id or badge in the desk's gym.
pub async fn find_member(desk: &GymDesk, id_or_badge: &str) -> anyhow::Result<MemberId> {
    use jarvis_db::queries::member;
    let mut tx = desk.db.begin(&desk.scope).await?;
    let by_id = match id_or_badge.parse() {
        Ok(id) => member::find(&mut tx, id).await?,
        Err(_) => None,
    };
    // A badge may look like an id.
    let found = match by_id {
        Some(member) => Some(member),
        None => member::find_by_badge(&mut tx, desk.gym, id_or_badge).await?,
    };
    let found = found.ok_or_else(|| {
        WrongUse(format!(
            "this gym has no member with id or badge `{id_or_badge}`; see `jarvis member list`"
        ))
    })?;
    Ok(found.id)
}
