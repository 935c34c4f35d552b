//! A project's `auth.users` as its owner exports them, and which of its rows can be taken.

use crate::arguments;
use crate::failure::WrongUse;
use chrono::{DateTime, Utc};
use jarvis_api::password;
use jarvis_db::auth_import::Identity;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The columns without which nothing can be taken.
const NEEDED: [&str; 4] = ["id", "email", "encrypted_password", "email_confirmed_at"];

/// A row of the export: where it stands, and its columns. What is empty or `null` is left out.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// Such as `line 3` or `entry 2`.
    pub at: String,
    columns: Map<String, Value>,
}

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    #[error("the row has another number of columns than the head")]
    Columns,
    #[error("`id` is no UUID")]
    Id,
    #[error("there is no e-mail address, or it is none")]
    Email,
    #[error("the address was never confirmed: anybody can have claimed it")]
    EmailNotConfirmed,
    #[error("they signed in through a provider of single sign-on, or without any account of their own")]
    SingleSignOn,
    #[error("the account was deleted")]
    Deleted,
    #[error(
        "the password's hash is not bcrypt with a cost of at most 13; export the row without it and set a new one"
    )]
    PasswordHash,
    #[error("a time is not written as PostgreSQL writes it")]
    Time,
    #[error("`raw_user_meta_data` is no JSON object")]
    Metadata,
    #[error("somebody else here has this address")]
    AddressTaken,
}

/// A row, or where one stands that is none.
pub(super) type Read = Result<Row, (String, Refusal)>;

/// Reads an export: CSV with a head, or a JSON array of objects. A row that cannot be read at all is a refusal.
pub(super) fn read(text: &str) -> Result<Vec<Read>, WrongUse> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['[', '{']) {
        return json(text);
    }
    csv(text)
}

fn csv(text: &str) -> Result<Vec<Read>, WrongUse> {
    let mut reader = ::csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let unfit = |error: ::csv::Error| WrongUse(format!("the CSV cannot be read: {error}"));
    let head = reader.headers().map_err(unfit)?.clone();
    let missing: Vec<_> = NEEDED
        .into_iter()
        .filter(|n| !head.iter().any(|h| h == *n))
        .collect();
    if !missing.is_empty() {
        return Err(WrongUse(format!(
            "the first line names no column {}; export with `csv header`",
            missing.join(", ")
        )));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unfit)?;
        let line = record.position().map_or(0, ::csv::Position::line);
        let at = format!("line {line}");
        if record.len() != head.len() {
            rows.push(Err((at, Refusal::Columns)));
            continue;
        }
        let filled = head.iter().zip(&record).filter(|(_, value)| !value.is_empty());
        let columns = filled
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect();
        rows.push(Ok(Row { at, columns }));
    }
    Ok(rows)
}

fn json(text: &str) -> Result<Vec<Read>, WrongUse> {
    let unfit = |error: serde_json::Error| {
        WrongUse(format!(
            "the JSON must be an array of objects, as json_agg writes it: {error}"
        ))
    };
    let entries: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(unfit)?;
    if let Some(first) = entries.first() {
        let missing: Vec<_> = NEEDED.into_iter().filter(|n| !first.contains_key(*n)).collect();
        if !missing.is_empty() {
            return Err(WrongUse(format!("the first entry has no {}", missing.join(", "))));
        }
    }
    Ok(entries
        .into_iter()
        .enumerate()
        .map(|(n, entry)| Ok(Row::of_object(n, entry)))
        .collect())
}

impl Row {
    /// The entry with this number, counted from 0.
    pub(super) fn of_object(number: usize, mut columns: Map<String, Value>) -> Self {
        columns.retain(|_, value| !value.is_null() && *value != "");
        Self {
            at: format!("entry {}", number + 1),
            columns,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.columns.get(name)?.as_str()
    }

    fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let Some(value) = self.columns.get(name) else {
            return Ok(None);
        };
        value.as_str().and_then(time).map(Some).ok_or(Refusal::Time)
    }

    /// The identity, if it can be taken. `now` is when it was made, where the export does not say.
    pub(super) fn identity(&self, now: DateTime<Utc>) -> Result<Identity, Refusal> {
        let id: Uuid = self
            .text("id")
            .and_then(|id| id.parse().ok())
            .ok_or(Refusal::Id)?;
        if self.columns.contains_key("deleted_at") {
            return Err(Refusal::Deleted);
        }
        if ["is_sso_user", "is_anonymous"]
            .into_iter()
            .any(|name| self.is_true(name))
        {
            return Err(Refusal::SingleSignOn);
        }
        let email =
            arguments::email(self.text("email").ok_or(Refusal::Email)?).map_err(|_| Refusal::Email)?;
        let confirmed = self
            .time("email_confirmed_at")?
            .ok_or(Refusal::EmailNotConfirmed)?;
        let hash = match self.columns.get("encrypted_password") {
            None => None,
            Some(Value::String(hash)) if password::is_understood(hash) => Some(hash.clone()),
            Some(_) => return Err(Refusal::PasswordHash),
        };
        Ok(Identity {
            id,
            email,
            password_hash: hash,
            email_confirmed_at: confirmed,
            banned_until: self.time("banned_until")?,
            user_metadata: self.metadata()?,
            created_at: self.time("created_at")?.unwrap_or(now),
        })
    }

    fn metadata(&self) -> Result<Value, Refusal> {
        let value = match self.columns.get("raw_user_meta_data") {
            None => return Ok(Value::Object(Map::new())),
            Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| Refusal::Metadata)?,
            Some(value) => value.clone(),
        };
        // PostgreSQL keeps no NUL in its JSON.
        let fits = value.is_object() && !value.to_string().contains("\\u0000");
        fits.then_some(value).ok_or(Refusal::Metadata)
    }

    fn is_true(&self, name: &str) -> bool {
        match self.columns.get(name) {
            Some(Value::Bool(is)) => *is,
            Some(Value::String(text)) => ["t", "true"].contains(&text.as_str()),
            _ => false,
        }
    }
}

/// A time as PostgreSQL writes it, in CSV or in JSON.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let written = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"));
    Some(written.ok()?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
    const ID: &str = "0b8f3e5e-6a39-4d7a-9d6b-3f4b1c2d3e4f";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn first(text: &str) -> Result<Identity, Refusal> {
        let row = read(text).unwrap().remove(0).map_err(|(_, refusal)| refusal)?;
        row.identity(now())
    }

    fn line(rest: &str) -> String {
        format!("id,email,encrypted_password,email_confirmed_at,banned_until,raw_user_meta_data\n{rest}\n")
    }

    #[test]
    fn a_row_is_read_alike_from_csv_and_from_json() {
        let csv = line(&format!(
            r#"{ID},Claire@Example.org,{HASH},2025-01-02 03:04:05.678+00,,"{{""langue"": ""fr""}}""#
        ));
        let json = format!(
            r#"[{{"id": "{ID}", "email": "Claire@Example.org", "encrypted_password": "{HASH}", "banned_until": null,
                "email_confirmed_at": "2025-01-02T04:04:05.678+01:00", "raw_user_meta_data": {{"langue": "fr"}}}}]"#
        );
        for text in [csv, json] {
            let identity = first(&text).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
            assert_eq!(identity.id.to_string(), ID);
            assert_eq!(identity.email, "claire@example.org");
            assert_eq!(identity.password_hash.as_deref(), Some(HASH));
            assert_eq!(identity.email_confirmed_at.timestamp_millis(), 1_735_787_045_678);
            assert_eq!((identity.banned_until, identity.created_at), (None, now()));
            assert_eq!(identity.user_metadata, serde_json::json!({"langue": "fr"}));
        }
    }

    #[test]
    fn what_cannot_be_taken_says_why() {
        let when = "2025-01-02 03:04:05+00";
        for (row, expected) in [
            (format!("7,a@b.fr,{HASH},{when},,"), Refusal::Id),
            (format!("{ID},,{HASH},{when},,"), Refusal::Email),
            (format!("{ID},nobody,{HASH},{when},,"), Refusal::Email),
            (format!("{ID},a@b.fr,{HASH},,,"), Refusal::EmailNotConfirmed),
            (format!("{ID},a@b.fr,secret,{when},,"), Refusal::PasswordHash),
            (
                format!("{ID},a@b.fr,{},{when},,", HASH.replace("$10$", "$14$")),
                Refusal::PasswordHash,
            ),
            (format!("{ID},a@b.fr,{HASH},{when},infinity,"), Refusal::Time),
            (format!("{ID},a@b.fr,{HASH},{when},,[]"), Refusal::Metadata),
            (format!("{ID},a@b.fr,{HASH}"), Refusal::Columns),
        ] {
            assert_eq!(first(&line(&row)).err(), Some(expected), "{row}");
        }
        let nobody =
            first(&line(&format!("{ID},a@b.fr,,{when},,"))).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(nobody.password_hash, None, "somebody without a password");
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let text = line(&format!("{ID},a@b.fr,,,,\"{{\n\n}}\"\n7,b@b.fr,,,,"));
        let at: Vec<_> = read(&text)
            .unwrap()
            .into_iter()
            .map(|row| row.unwrap().at)
            .collect();
        assert_eq!(at, ["line 2", "line 5"]);
    }

    #[test]
    fn an_export_without_its_columns_is_refused_as_a_whole() {
        assert!(
            read("id,email\n")
                .unwrap_err()
                .to_string()
                .contains("encrypted_password")
        );
        assert!(read("[{\"id\": 1}]").unwrap_err().to_string().contains("email"));
        assert!(read("{\"id\": 1}").is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_breaks_it(text in "\\PC{0,80}") {
            for row in read(&line(&text)).into_iter().flatten().flatten() {
                drop(row.identity(now()));
            }
        }
    }
}
