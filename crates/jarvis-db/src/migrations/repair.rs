use super::error::MigrationError;
use super::history;
use super::run::{connect, lock};
use super::source::Source;
use crate::error::DbError;
use secrecy::SecretString;
use sqlx::{Connection, PgConnection};

/// What the history shall say of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is applied.
    Applied,
    /// It is not.
    Reverted,
}

/// What became of one version in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// 14 digits.
    pub version: String,
    /// What it does; empty when neither the history nor we know.
    pub name: String,
    /// Whether it was on record before.
    pub was_recorded: bool,
    /// Whether the history is another one now. A version marked as applied again gets the text of its file on record.
    pub changed: bool,
}

/// Writes into the history, and nowhere else, that `versions` are applied or not. All of them or none.
///
/// # Errors
/// [`MigrationError::NoSuchVersion`] for a version that `source` does not know (nor, to revert it, the history).
pub async fn repair(
    url: &SecretString,
    source: &Source,
    versions: &[String],
    mark: Mark,
) -> Result<Vec<Repaired>, MigrationError> {
    let mut connection = connect(url).await?;
    lock(&mut connection).await?;
    let recorded = history::recorded(&mut connection).await?;
    refuse_unknown(source, &recorded, versions, mark)?;
    let mut tx = connection.begin().await.map_err(DbError::from)?;
    history::ensure(&mut tx).await?;
    let texts = history::recorded_texts(&mut tx).await?;
    let mut repaired = Vec::new();
    for version in versions {
        let text = texts.iter().find(|(v, _)| v == version).map(|(_, text)| text);
        repaired.push(match mark {
            Mark::Applied => record(&mut tx, source, version, text).await?,
            Mark::Reverted => forget(&mut tx, source, &recorded, version).await?,
        });
    }
    history::share(&mut tx).await?;
    tx.commit().await.map_err(DbError::from)?;
    connection.close().await.map_err(DbError::from)?;
    Ok(repaired)
}

fn refuse_unknown(
    source: &Source,
    recorded: &[(String, String)],
    versions: &[String],
    mark: Mark,
) -> Result<(), MigrationError> {
    let known = |version: &String| {
        let on_record = || recorded.iter().any(|(v, _)| v == version);
        source.find(version).is_some() || (mark == Mark::Reverted && on_record())
    };
    let Some(version) = versions.iter().find(|v| !known(v)) else {
        return Ok(());
    };
    let mut list: Vec<String> = source.migrations().iter().map(|m| m.version.clone()).collect();
    if mark == Mark::Reverted {
        list.extend(recorded.iter().map(|(v, _)| v.clone()));
    }
    list.sort();
    list.dedup();
    Err(MigrationError::NoSuchVersion {
        version: version.clone(),
        known: list,
    })
}

async fn record(
    connection: &mut PgConnection,
    source: &Source,
    version: &str,
    text: Option<&Option<String>>,
) -> Result<Repaired, MigrationError> {
    let migration = source
        .find(version)
        .ok_or_else(|| MigrationError::NoSuchVersion {
            version: version.to_owned(),
            known: Vec::new(),
        })?;
    let same = text.is_some_and(|text| text.as_deref() == Some(migration.up.trim()));
    if !same {
        history::remove(connection, version).await?;
        history::insert(connection, migration)
            .await
            .map_err(DbError::from)?;
    }
    Ok(Repaired {
        version: version.to_owned(),
        name: migration.name.clone(),
        was_recorded: text.is_some(),
        changed: !same,
    })
}

async fn forget(
    connection: &mut PgConnection,
    source: &Source,
    recorded: &[(String, String)],
    version: &str,
) -> Result<Repaired, MigrationError> {
    let on_record = recorded.iter().find(|(v, _)| v == version);
    history::remove(connection, version).await?;
    let known = source.find(version).map(|m| m.name.clone());
    Ok(Repaired {
        version: version.to_owned(),
        name: known
            .or_else(|| on_record.map(|(_, name)| name.clone()))
            .unwrap_or_default(),
        was_recorded: on_record.is_some(),
        changed: on_record.is_some(),
    })
}
