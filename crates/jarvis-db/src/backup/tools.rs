//! The programs of PostgreSQL that write and read dumps.

use super::error::BackupError;
use crate::embedded::cached_program;
use crate::error::DbError;
use secrecy::{ExposeSecret as _, SecretString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use url::Url;

/// A program of PostgreSQL, beside our own server's or in the search path.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    name: &'static str,
    path: PathBuf,
}

impl Tool {
    /// Finds a program that understands a server of this major version; and its own major version.
    pub(super) fn find(name: &'static str, server_major: u32) -> Result<(Self, u32), BackupError> {
        let ours = cached_program(name).into_iter();
        let candidates: Vec<PathBuf> = ours.chain([PathBuf::from(name)]).collect();
        let mut newest: Option<(u32, PathBuf)> = None;
        for path in candidates {
            let Some(found) = major_of(&path) else { continue };
            if found >= server_major {
                return Ok((Self { name, path }, found));
            }
            if newest.as_ref().is_none_or(|(major, _)| found > *major) {
                newest = Some((found, path));
            }
        }
        Err(match newest {
            Some((found, program)) => BackupError::OldProgram {
                program,
                found,
                server: server_major,
            },
            None => BackupError::MissingProgram { program: name },
        })
    }

    /// A command that knows the database at `url`, and nothing else of our surroundings.
    pub(super) fn command(&self, url: &SecretString) -> Result<Command, BackupError> {
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            // Where passwords and certificates are kept is the operator's to say; which database is not.
            let name = name.to_string_lossy().into_owned();
            if !matches!(
                name.as_str(),
                "PGPASSWORD" | "PGPASSFILE" | "PGSSLROOTCERT" | "PGSSLCERT" | "PGSSLKEY"
            ) {
                command.env_remove(&name);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("PGCONNECT_TIMEOUT", "10")
            .envs(connection_variables(url)?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// The program cannot be started, or its pipe broke for no reason of its own.
    pub(super) fn broken(&self, error: &std::io::Error) -> BackupError {
        BackupError::ProgramFailed {
            program: self.name,
            reason: error.to_string(),
        }
    }

    /// The program ended with an error.
    pub(super) fn failed(&self, stderr: &str) -> BackupError {
        BackupError::ProgramFailed {
            program: self.name,
            reason: without_data(stderr),
        }
    }
}

fn major_of(path: &Path) -> Option<u32> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "pg_dump (PostgreSQL) 15.18 (Debian …)"
    let version = text.split_once("(PostgreSQL) ")?.1;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The lines in which the program speaks itself. Those of the server's DETAIL and CONTEXT quote rows, and so may the
/// text of an error of conversion.
fn without_data(stderr: &str) -> String {
    let said: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("pg_dump: ") || line.starts_with("pg_restore: "))
        .filter(|line| !line.contains("detail:") && !line.contains("while "))
        .map(|line| {
            ["invalid input", "invalid value", "out of range", "is malformed"]
                .iter()
                .find_map(|word| line.find(word).map(|at| &line[..at + word.len()]))
                .unwrap_or(line)
        })
        .collect();
    let first: Vec<&str> = said
        .iter()
        .filter_map(|line| line.split_once("error: ").map(|(_, text)| text))
        .take(3)
        .collect();
    if first.is_empty() {
        said.last().map_or("it said nothing", |line| line).to_owned()
    } else {
        first.join("; ")
    }
}

/// What libpq reads from its environment. An argument could be read by everybody on the machine.
fn connection_variables(url: &SecretString) -> Result<Vec<(&'static str, String)>, BackupError> {
    let unfit = |problem: &str| {
        BackupError::Database(DbError::Unfit {
            problem: format!("the database URL cannot be used: {problem}"),
            hint: "write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE".into(),
        })
    };
    let url = Url::parse(url.expose_secret()).map_err(|error| unfit(&error.to_string()))?;
    let decoded = |text: &str| {
        let form = format!("v={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(form.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let mut variables = Vec::new();
    if let Some(host) = url.host_str().filter(|host| !host.is_empty()) {
        variables.push((
            "PGHOST",
            decoded(host.trim_start_matches('[').trim_end_matches(']')),
        ));
    }
    if let Some(port) = url.port() {
        variables.push(("PGPORT", port.to_string()));
    }
    if !url.username().is_empty() {
        variables.push(("PGUSER", decoded(url.username())));
    }
    if let Some(password) = url.password() {
        variables.push(("PGPASSWORD", decoded(password)));
    }
    let database = decoded(url.path().trim_start_matches('/'));
    if !database.is_empty() {
        variables.push(("PGDATABASE", database));
    }
    for (name, value) in url.query_pairs() {
        let variable = match name.as_ref() {
            "sslmode" | "ssl-mode" => "PGSSLMODE",
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
            "sslcert" | "ssl-cert" => "PGSSLCERT",
            "sslkey" | "ssl-key" => "PGSSLKEY",
            "host" | "hostaddr" => "PGHOST",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "dbname" => "PGDATABASE",
            "options" => "PGOPTIONS",
            _ => continue,
        };
        variables.retain(|(known, _)| *known != variable);
        variables.push((variable, value.into_owned()));
    }
    Ok(variables)
}

/// The same URL with another database.
pub(super) fn with_database(url: &SecretString, database: &str) -> Result<SecretString, BackupError> {
    let mut parsed = Url::parse(url.expose_secret()).map_err(|error| {
        BackupError::Database(DbError::Unfit {
            problem: format!("the database URL cannot be used: {error}"),
            hint: "write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE".into(),
        })
    })?;
    parsed.set_path(&format!("/{database}"));
    Ok(String::from(parsed).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_what_libpq_reads() {
        let url = "postgres://op%40gym:p%2Bw%3Aord@db.example:6543/my%20db?sslmode=require&statement-cache-capacity=5";
        let mut variables = connection_variables(&url.to_owned().into()).unwrap();
        variables.sort();
        assert_eq!(
            variables,
            [
                ("PGDATABASE", "my db".to_owned()),
                ("PGHOST", "db.example".to_owned()),
                ("PGPASSWORD", "p+w:ord".to_owned()),
                ("PGPORT", "6543".to_owned()),
                ("PGSSLMODE", "require".to_owned()),
                ("PGUSER", "op@gym".to_owned()),
            ]
        );
        let socket = "postgres:///jarvis?host=/var/run/postgresql&user=op";
        let variables = connection_variables(&socket.to_owned().into()).unwrap();
        assert!(
            variables.contains(&("PGHOST", "/var/run/postgresql".to_owned())),
            "{variables:?}"
        );
        assert!(connection_variables(&"no url".to_owned().into()).is_err());
    }

    #[test]
    fn what_a_program_says_is_passed_on_without_rows() {
        let said = "pg_restore: while PROCESSING TOC:\n\
                    pg_restore: from TOC entry 1; 2 3 TABLE DATA member_facts postgres\n\
                    pg_restore: error: COPY failed for table \"member_facts\": ERROR:  invalid input syntax for type uuid: \"mal au genou\"\n\
                    CONTEXT:  COPY member_facts, line 1, column id: \"mal au genou\"\n";
        let kept = without_data(said);
        assert!(kept.contains("member_facts") && !kept.contains("genou"), "{kept}");
        let said = "pg_dump: error: query failed: ERROR:  query would be affected by row-level security policy for table \"gyms\"\n\
                    pg_dump: detail: Query was: COPY public.gyms TO stdout;";
        assert!(without_data(said).ends_with("table \"gyms\""));
        assert_eq!(without_data(""), "it said nothing");
    }

    #[test]
    fn the_database_of_a_url_is_changed_and_nothing_else() {
        let url: SecretString = "postgres://u:p%40@h:1/a?sslmode=disable".to_owned().into();
        let other = with_database(&url, "b c").unwrap();
        assert_eq!(
            other.expose_secret(),
            "postgres://u:p%40@h:1/b%20c?sslmode=disable"
        );
    }
}
