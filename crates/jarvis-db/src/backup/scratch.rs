//! A database that is built under a name nobody knows, and takes its real name when everything in it is right.

use super::create::connect;
use super::error::BackupError;
use super::manifest::{Manifest, Right, Setting};
use super::tools::with_database;
use crate::error::DbError;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::str::FromStr as _;
use std::time::Duration;

/// What stands at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// There is no such database.
    Absent,
    /// It is there and holds nothing.
    Empty,
    /// It holds something.
    Full,
}

/// The server that is restored to, spoken to through a database that is not the target.
pub(super) struct Server {
    url: SecretString,
    database: String,
    connection: PgConnection,
}

impl Server {
    /// Connects beside the target `database`.
    pub(super) async fn connect(url: &SecretString, database: &str) -> Result<Self, BackupError> {
        let mut last = None;
        for beside in ["postgres", "template1"]
            .into_iter()
            .filter(|name| *name != database)
        {
            match connect(&with_database(url, beside)?).await {
                Ok(connection) => {
                    return Ok(Self {
                        url: url.clone(),
                        database: database.to_owned(),
                        connection,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(DbError::NotFound).into())
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The major version.
    pub(super) async fn major(&mut self) -> Result<u32, DbError> {
        let major: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int / 10000")
            .fetch_one(&mut self.connection)
            .await?;
        Ok(major.unsigned_abs())
    }

    /// What stands at the target, and how to reach it.
    pub(super) async fn target(&mut self) -> Result<(Target, SecretString), BackupError> {
        let url = with_database(&self.url, &self.database)?;
        let present: bool =
            sqlx::query_scalar("select exists (select from pg_catalog.pg_database where datname = $1)")
                .bind(&self.database)
                .fetch_one(&mut self.connection)
                .await?;
        if !present {
            return Ok((Target::Absent, url));
        }
        let mut there = connect(&url).await?;
        let objects: i64 = sqlx::query_scalar(
            "select (select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                      where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
                        and not exists (select from pg_catalog.pg_depend e where e.objid = c.oid and e.deptype = 'e'))
                  + (select count(*) from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace
                      where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
                        and not exists (select from pg_catalog.pg_depend e where e.objid = f.oid and e.deptype = 'e'))",
        )
        .fetch_one(&mut there)
        .await?;
        there.close().await?;
        Ok((if objects == 0 { Target::Empty } else { Target::Full }, url))
    }

    /// Makes an empty database that nobody but its owner and superusers may enter.
    pub(super) async fn make(&mut self) -> Result<Scratch, BackupError> {
        let target: String = self.database.to_lowercase().chars().take(30).collect();
        let target = target.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = format!("restore_{target}_{:016x}", rand::random::<u64>());
        self.run(&format!(
            "create database {name} template template0 encoding 'UTF8'"
        ))
        .await?;
        let scratch = Scratch {
            url: with_database(&self.url, &name)?,
            name,
        };
        if let Err(error) = self
            .run(&format!(
                "revoke connect on database {} from public",
                scratch.name
            ))
            .await
        {
            self.drop_database(&scratch.name).await?;
            return Err(error.into());
        }
        Ok(scratch)
    }

    pub(super) async fn drop_database(&mut self, name: &str) -> Result<(), DbError> {
        self.run(&format!("drop database if exists {} with (force)", quoted(name)))
            .await
    }

    /// Settings and rights of the database itself, which no dump of its content holds.
    pub(super) async fn dress(&mut self, scratch: &Scratch, manifest: &Manifest) -> Result<(), DbError> {
        for Setting { role, setting } in &manifest.settings {
            let Some((name, value)) = setting.split_once('=') else {
                continue;
            };
            let target = match role {
                Some(role) => format!("role {} in database {}", quoted(role), scratch.name),
                None => format!("database {}", scratch.name),
            };
            self.run(&format!(
                "alter {target} set {} to {}",
                quoted(name),
                setting_value(name, value)
            ))
            .await?;
        }
        Ok(())
    }

    /// Lets others in again, as they were let into the database that was backed up.
    async fn open(&mut self, name: &str, rights: Option<&[Right]>) -> Result<(), DbError> {
        let everybody = [Right {
            role: None,
            privilege: "CONNECT".into(),
        }];
        for right in rights.unwrap_or(&everybody) {
            let role = right.role.as_deref().map_or_else(|| "public".to_owned(), quoted);
            self.run(&format!(
                "grant {} on database {} to {role}",
                right.privilege,
                quoted(name)
            ))
            .await?;
        }
        Ok(())
    }

    /// Gives the new database the target's name. The old one, if there is one, stays under the name that is returned,
    /// for the caller to drop; when anything fails, it is as it was.
    pub(super) async fn swap(
        &mut self,
        scratch: &Scratch,
        replaces: bool,
        rights: Option<&[Right]>,
    ) -> Result<Option<String>, BackupError> {
        self.open(&scratch.name, rights).await?;
        let target = quoted(&self.database);
        if !replaces {
            self.run(&format!("alter database {} rename to {target}", scratch.name))
                .await?;
            return Ok(None);
        }
        let owner: Option<String> = sqlx::query_scalar(
            "select r.rolname::text from pg_catalog.pg_database d join pg_catalog.pg_roles r on r.oid = d.datdba
              where d.datname = $1 and r.rolname <> current_user",
        )
        .bind(&self.database)
        .fetch_optional(&mut self.connection)
        .await?;
        if let Some(owner) = owner {
            self.run(&format!(
                "alter database {} owner to {}",
                scratch.name,
                quoted(&owner)
            ))
            .await?;
        }
        let old = format!("{}_old", scratch.name);
        self.rename_both(&target, &old, &scratch.name).await?;
        Ok(Some(old))
    }

    /// How to reach another database of this server.
    pub(super) fn url_of(&self, database: &str) -> Result<SecretString, BackupError> {
        with_database(&self.url, database)
    }

    /// Both names change in one transaction. PostgreSQL waits some seconds for others to leave the old database, lets
    /// nobody in meanwhile, and we show those inside the door.
    async fn rename_both(&mut self, target: &str, old: &str, new: &str) -> Result<(), BackupError> {
        let mut doorman = connect(&with_database(
            &self.url,
            if self.database == "postgres" {
                "template1"
            } else {
                "postgres"
            },
        )?)
        .await?;
        let name = self.database.clone();
        let clearing = async move {
            loop {
                drop(
                    sqlx::query(
                        "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
                      where datname = $1 and pid <> pg_catalog.pg_backend_pid()",
                    )
                    .bind(&name)
                    .execute(&mut doorman)
                    .await,
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let renaming = async {
            let mut tx = self.connection.begin().await?;
            for statement in [
                format!("alter database {target} rename to {old}"),
                format!("alter database {new} rename to {target}"),
            ] {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await?;
            }
            tx.commit().await
        };
        let renamed: Result<(), sqlx::Error> = tokio::select! {
            done = renaming => done,
            () = clearing => unreachable!("it never ends by itself"),
        };
        renamed.map_err(|error| match DbError::from(error) {
            DbError::Bug { code: Some(code), .. } if code == "55006" => BackupError::InUse {
                database: self.database.clone(),
            },
            other => other.into(),
        })
    }

    async fn run(&mut self, statement: &str) -> Result<(), DbError> {
        sqlx::query(AssertSqlSafe(statement.to_owned()))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

/// A database under a name nobody knows.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    pub(super) name: String,
    pub(super) url: SecretString,
}

/// An identifier, quoted.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Settings that are lists of names are kept already quoted, and quoting them again would make one name of them.
fn setting_value(name: &str, value: &str) -> String {
    let list = [
        "search_path",
        "session_preload_libraries",
        "local_preload_libraries",
        "temp_tablespaces",
        "datestyle",
    ];
    if list.contains(&name.to_lowercase().as_str()) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

/// The name of the database that a URL leads to.
pub(super) fn name_in(url: &SecretString) -> Result<String, BackupError> {
    let options = PgConnectOptions::from_str(url.expose_secret())?;
    Ok(options
        .get_database()
        .unwrap_or(options.get_username())
        .to_owned())
}
