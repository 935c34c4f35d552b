use super::exported::{self, Read, Refusal, Row};
use crate::connection;
use crate::failure::{Done, WithHint, WrongUse};
use crate::global::Global;
use crate::output::{Output, table, talk};
use anyhow::Context as _;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::auth_import::{self, Outcome};
use jarvis_db::queries::auth_session;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use std::path::PathBuf;

/// Where they come from.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("source").required(true).args(["file", "from_database_url"]),
    after_help = "\
Without --yes nothing is changed: it says what would be. Ids and bcrypt passwords are kept. Nobody gets rights: those
are given by `jarvis user add EMAIL --keep-password`, or stand in public.users already. Somebody whose id is known here
is left as they are, so that it can run again. A row that cannot be taken is told with its line, and the others go on;
exit code 3 then.
Example, in psql on the project, then here:
  \\copy (select id, email, encrypted_password, email_confirmed_at, banned_until, raw_user_meta_data, created_at,
         deleted_at, is_sso_user from auth.users) to 'users.csv' csv header      (on one line)
  jarvis import auth-users users.csv --yes"
)]
pub struct Arguments {
    /// CSV with a head, or a JSON array of objects
    file: Option<PathBuf>,
    /// The project's database itself, which is only read
    #[arg(
        long,
        env = "JARVIS_IMPORT_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    from_database_url: Option<SecretString>,
    /// Do it
    #[arg(long)]
    yes: bool,
}

/// What became of the rows.
#[derive(serde::Serialize)]
struct Report {
    done: bool,
    found: usize,
    added: usize,
    /// Known by their id, and left as they are.
    known: usize,
    refused: Vec<Refused>,
}

/// A row that was left out. No address: this may be kept.
#[derive(serde::Serialize)]
struct Refused {
    at: String,
    code: Refusal,
    reason: String,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let rows = rows(arguments).await?;
    let mut owner = connection::admin(&connection::urls(global)?).await?;
    if !auth_session::identities_are_ours(&mut owner).await? {
        return Err(WithHint {
            problem: "this database has an `auth` schema that is not ours".to_owned(),
            hint: "its platform signs people in, and keeps them already: there is nothing to import"
                .to_owned(),
        }
        .into());
    }
    let mut report = Report {
        done: arguments.yes,
        found: rows.len(),
        added: 0,
        known: 0,
        refused: Vec::new(),
    };
    let now = SystemClock.now();
    let mut tx = owner.begin().await?;
    for row in rows {
        let (at, identity) = match row {
            Ok(row) => {
                let identity = row.identity(now);
                (row.at, identity)
            }
            Err((at, refusal)) => (at, Err(refusal)),
        };
        let refusal = match identity {
            Err(refusal) => refusal,
            Ok(identity) => match auth_import::insert(&mut tx, &identity).await? {
                Outcome::Added => {
                    report.added += 1;
                    continue;
                }
                Outcome::Known => {
                    report.known += 1;
                    continue;
                }
                Outcome::AddressTaken => Refusal::AddressTaken,
            },
        };
        report.refused.push(Refused {
            at,
            code: refusal,
            reason: refusal.to_string(),
        });
    }
    if arguments.yes {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    out.data(&report, for_people)?;
    if !out.is_json() && !arguments.yes {
        talk("nothing was changed: this is what would be; repeat with --yes to do it");
    }
    Ok(if report.refused.is_empty() {
        Done::Ok
    } else {
        Done::Findings
    })
}

async fn rows(arguments: &Arguments) -> anyhow::Result<Vec<Read>> {
    if let Some(path) = &arguments.file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(exported::read(&text)?);
    }
    let url = arguments
        .from_database_url
        .as_ref()
        .ok_or_else(|| WrongUse("a file, or --from-database-url".to_owned()))?;
    let mut project = PgConnection::connect(url.expose_secret())
        .await
        .context("cannot reach the project's database")?;
    let found = auth_import::read_project(&mut project)
        .await
        .context("cannot read the project's auth.users")?;
    let objects = found.into_iter().filter_map(|row| match row {
        Value::Object(object) => Some(object),
        _ => None,
    });
    Ok(objects
        .enumerate()
        .map(|(n, object)| Ok(Row::of_object(n, object)))
        .collect())
}

fn for_people(report: &Report) -> String {
    let Report {
        found, added, known, ..
    } = report;
    let mut text = format!(
        "{found} found, {added} added, {known} known already, {} refused",
        report.refused.len()
    );
    if !report.refused.is_empty() {
        let rows = report.refused.iter().map(|r| [r.at.clone(), r.reason.clone()]);
        text.push_str("\n\n");
        text.push_str(&table(["row", "why it is left out"], rows));
    }
    text
}
