//! Which database a command talks to.

use crate::cli::Global;
use crate::failure::{WithHint, WrongUse};
use anyhow::Context as _;
use jarvis_core::{Actor, GymId, MemberId, Scope};
use jarvis_db::{ConnectSettings, Db, provision};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// How to reach a database: as its owner, and as the running server.
#[derive(Debug, Clone)]
pub struct Urls {
    /// The owner: migrations, gyms, accounts, checks over all gyms.
    pub admin: SecretString,
    /// The server: may only act in a scope.
    pub login: SecretString,
}

/// What a running embedded server leaves for the other commands, readable by its owner only.
#[derive(Serialize, Deserialize)]
struct Note {
    admin_url: String,
    login_url: String,
}

fn note_path(data_dir: &Path) -> PathBuf {
    data_dir.join("connection.json")
}

/// The data folder that was asked for, or the default.
pub fn data_dir(global: &Global) -> anyhow::Result<PathBuf> {
    Ok(match &global.data_dir {
        Some(dir) => dir.clone(),
        None => jarvis_db::embedded::data_dir()?,
    })
}

/// Leaves a note for other commands; it goes when the guard is dropped.
pub fn announce(data_dir: &Path, urls: &Urls) -> anyhow::Result<Announcement> {
    let note = Note {
        admin_url: urls.admin.expose_secret().to_owned(),
        login_url: urls.login.expose_secret().to_owned(),
    };
    let path = note_path(data_dir);
    let _ = std::fs::remove_file(&path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(serde_json::to_string(&note)?.as_bytes())?;
    Ok(Announcement(path))
}

/// Removes the note when the server ends.
#[derive(Debug)]
pub struct Announcement(PathBuf);

impl Drop for Announcement {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The database of this command: the one that was given, or that of a running `jarvis up` or `jarvis demo`.
pub fn urls(global: &Global) -> anyhow::Result<Urls> {
    if let Some(url) = &global.database_url {
        let admin = global.admin_database_url.clone().unwrap_or_else(|| url.clone());
        return Ok(Urls { admin, login: url.clone() });
    }
    let base = data_dir(global)?;
    for dir in [base.clone(), base.join("demo")] {
        let Ok(text) = std::fs::read_to_string(note_path(&dir)) else { continue };
        let note: Note = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged", note_path(&dir).display()))?;
        return Ok(Urls { admin: note.admin_url.into(), login: note.login_url.into() });
    }
    Err(WithHint {
        problem: "no database to talk to".to_owned(),
        hint: "start `jarvis up` (or `jarvis demo`) in another terminal, or set DATABASE_URL".to_owned(),
    }
    .into())
}

/// The database as the server sees it.
pub async fn db(urls: &Urls) -> anyhow::Result<Db> {
    Ok(Db::connect(&ConnectSettings::new(urls.login.clone())).await?)
}

/// One connection of the owner.
pub async fn admin(urls: &Urls) -> anyhow::Result<PgConnection> {
    let connection = PgConnection::connect(urls.admin.expose_secret()).await;
    Ok(connection.map_err(jarvis_db::DbError::from)?)
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
    let gym = match gym {
        Some(name) => {
            let mut connection = admin(&urls).await?;
            provision::find_gym(&mut connection, name)
                .await?
                .ok_or_else(|| WrongUse(format!("there is no gym `{name}`; see `jarvis gym list`")))?
        }
        None => only_gym(&db).await?,
    };
    Ok(GymDesk { db, gym, scope: Scope::gym(gym, Actor::Operator) })
}

async fn only_gym(db: &Db) -> anyhow::Result<GymId> {
    let mut tx = db.begin(&Scope::System).await?;
    let gyms = jarvis_db::queries::gym::list(&mut tx).await?;
    match gyms.as_slice() {
        [gym] => Ok(gym.id),
        [] => Err(WrongUse("there is no gym yet; make one with `jarvis gym add`".to_owned()).into()),
        several => {
            let names: Vec<_> = several.iter().map(|g| g.slug.as_str()).collect();
            Err(WrongUse(format!("say which gym: --gym {}", names.join(" | --gym "))).into())
        }
    }
}

/// The member with this id or badge in the desk's gym.
pub async fn find_member(desk: &GymDesk, id_or_badge: &str) -> anyhow::Result<MemberId> {
    use jarvis_db::queries::member;
    let mut tx = desk.db.begin(&desk.scope).await?;
    let found = match id_or_badge.parse() {
        Ok(id) => member::find(&mut tx, id).await?,
        Err(_) => member::find_by_badge(&mut tx, desk.gym, id_or_badge).await?,
    };
    let found = found.ok_or_else(|| {
        WrongUse(format!("this gym has no member with id or badge `{id_or_badge}`; see `jarvis member list`"))
    })?;
    Ok(found.id)
}
