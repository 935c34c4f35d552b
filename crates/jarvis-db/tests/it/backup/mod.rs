//! What comes back is what went in, or nothing at all.

mod erased;
mod keeping;
mod restoring;

use crate::world::{World, lines};
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup::{self, BackupError, BackupRequest, Keys, Made, RestoreRequest, Restored};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::future::pending;
use std::path::{Path, PathBuf};

/// A folder with a key, gone with the test; and the names of databases to drop.
struct Desk {
    folder: PathBuf,
    server: SecretString,
    made: Vec<String>,
}

impl Desk {
    fn new(world: &World) -> Self {
        let folder = std::env::temp_dir().join(format!("jarvis-backup-{:032x}", rand_number()));
        std::fs::create_dir(&folder).unwrap();
        let desk = Self {
            folder,
            server: world.db.url().clone(),
            made: Vec::new(),
        };
        let (text, _) = backup::generate(SystemClock.now());
        std::fs::write(desk.folder.join("key"), text.expose_secret()).unwrap();
        desk
    }

    fn keys(&self) -> Keys {
        Keys::read(&self.folder.join("key")).unwrap()
    }

    /// The URL of a database that does not exist yet.
    fn another(&mut self) -> SecretString {
        let name = format!("r_{:032x}", rand_number());
        let url = with_name(&self.server, &name);
        self.made.push(name);
        url
    }

    async fn back_up(&self, url: &SecretString) -> Made {
        self.try_back_up(url).await.unwrap()
    }

    async fn try_back_up(&self, url: &SecretString) -> Result<Made, BackupError> {
        let keys = self.keys();
        let request = BackupRequest {
            url,
            to: &self.folder,
            keys: &keys,
            signing_key: Some("a signing key".to_owned().into()),
            made_by: "test",
            now: SystemClock.now(),
        };
        backup::create(&request, pending(), &|_| {}).await
    }

    async fn restore(&self, file: &Path, url: &SecretString) -> Result<Restored, BackupError> {
        self.restore_with(file, url, None, &[], false).await
    }

    /// As `restore_with`, replacing the target, while `meanwhile` happens at the stage that is named.
    async fn restore_while(
        &self,
        file: &Path,
        world: &World,
        stage: backup::Stage,
        meanwhile: &(dyn Fn() + Send + Sync),
    ) -> Result<Restored, BackupError> {
        let keys = self.keys();
        let request = RestoreRequest {
            file,
            keys: &keys,
            url: world.db.url(),
            replace: Some(world.db.name()),
            migrate: false,
            erasures: &[],
            journals: &[],
            now: SystemClock.now(),
        };
        backup::restore(&request, pending(), &|now| {
            if now == stage {
                meanwhile();
            }
        })
        .await
    }

    async fn restore_with(
        &self,
        file: &Path,
        url: &SecretString,
        replace: Option<&str>,
        erasures: &[PathBuf],
        migrate: bool,
    ) -> Result<Restored, BackupError> {
        let keys = self.keys();
        let request = RestoreRequest {
            file,
            keys: &keys,
            url,
            replace,
            migrate,
            erasures,
            journals: &[self.folder.join(backup::JOURNAL)],
            now: SystemClock.now(),
        };
        backup::restore(&request, pending(), &|_| {}).await
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("key"))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
        let (server, made) = (self.server.clone(), std::mem::take(&mut self.made));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let url = with_name(&server, "postgres");
                let Ok(mut conn) = PgConnection::connect(url.expose_secret()).await else {
                    return;
                };
                for name in made {
                    let statement = format!("drop database if exists {name} with (force)");
                    drop(sqlx::query(AssertSqlSafe(statement)).execute(&mut conn).await);
                }
            });
        });
        drop(dropping.join());
    }
}

fn rand_number() -> u128 {
    jarvis_core::ids::uuid_v7(SystemClock.now()).as_u128()
}

fn with_name(url: &SecretString, name: &str) -> SecretString {
    let url = url.expose_secret();
    let (server, rest) = url.rsplit_once('/').unwrap();
    let options = rest
        .split_once('?')
        .map(|(_, o)| format!("?{o}"))
        .unwrap_or_default();
    format!("{server}/{name}{options}").into()
}

async fn open(url: &SecretString) -> PgConnection {
    PgConnection::connect(url.expose_secret()).await.unwrap()
}

/// Every row of every table as text, sorted.
async fn rows(conn: &mut PgConnection) -> Vec<String> {
    let tables = lines(
        conn,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'r' and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1",
    )
    .await;
    let mut rows = Vec::new();
    for table in tables {
        rows.extend(
            lines(
                conn,
                &format!("select '{table}: ' || t::text from {table} t order by 1"),
            )
            .await,
        );
    }
    rows
}
