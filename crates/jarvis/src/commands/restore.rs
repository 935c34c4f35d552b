//! `jarvis restore`: the way back, checked before it counts.

use crate::commands::backup::{self as backing, KeyFile};
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, spinner, talk};
use crate::{private_file, serving, signing};
use anyhow::Context as _;
use chrono::SecondsFormat;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup::{self, JOURNAL, Keys, RestoreRequest, Restored};
use jarvis_db::embedded::{Embedded, EmbeddedSettings};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::{Path, PathBuf};

/// Bring a database back from a backup
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It is loaded beside the target, compared table by table, and cleaned of members who were erased since; then it takes
the target's name. Until then the target is as it was. Without --into and DATABASE_URL it goes into the data folder
of `jarvis up`, which must be stopped.
  jarvis restore FILE
  jarvis restore FILE --into postgres://owner@host/jarvis --replace --confirm jarvis
  jarvis restore --verify FILE           only compares, in a throw-away database

Exit code 3: restored, but erasures made after the backup may be unknown here (say them with --erasures FILE), or
consents and restrictions are those of the backup.")]
pub struct Arguments {
    /// The backup
    #[arg(value_name = "FILE", required_unless_present = "verify")]
    file: Option<PathBuf>,
    #[command(flatten)]
    key: KeyFile,
    /// The database to restore to, as its owner; it is made when it is not there
    #[arg(long, value_name = "URL")]
    into: Option<SecretString>,
    /// Replace a database that holds something
    #[arg(long, requires = "confirm")]
    replace: bool,
    /// With --replace: type the database's name to show that you mean it
    #[arg(long, value_name = "DATABASE")]
    confirm: Option<String>,
    /// Bring the schema of an older backup up to date before anybody uses it
    #[arg(long)]
    migrate: bool,
    /// Members erased up to now, as written by `jarvis member erasures --json`; may be given several times
    #[arg(long, value_name = "FILE")]
    erasures: Vec<PathBuf>,
    /// Where the key that signs access tokens goes [default: signing-key.pem in the data folder]
    #[arg(long, env = "JARVIS_SIGNING_KEY_FILE", value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Only restore this one into a throw-away database, compare everything, and drop it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "replace", "migrate", "erasures"])]
    verify: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let keys = arguments.key.read(global)?;
    if let Some(file) = &arguments.verify {
        return verify(out, file, &keys, arguments.into.as_ref()).await;
    }
    let Some(file) = arguments.file.clone() else {
        return Err(WrongUse("say which backup: jarvis restore FILE".into()).into());
    };
    let data = connection::data_dir(global)?;
    let given = match (&arguments.into, &global.database_url) {
        (Some(url), _) => Some(url.clone()),
        (None, Some(url)) => Some(global.admin_database_url.clone().unwrap_or_else(|| url.clone())),
        (None, None) => None,
    };
    let restored = if let Some(url) = given {
        restore(&arguments, &file, &keys, &data, &url).await?
    } else {
        let server = Embedded::start_server(&EmbeddedSettings::new(&data), &|_| {}).await?;
        let url = server.url_of(jarvis_db::embedded::DATABASE);
        let done = restore(&arguments, &file, &keys, &data, &url).await;
        server.stop().await?;
        done?
    };
    // The database is in place, whatever becomes of the key.
    let done = report(out, &restored)?;
    if let Some(pem) = &restored.signing_key {
        let path = arguments.signing_key.clone();
        place_signing_key(&path.unwrap_or_else(|| signing::default_path(&data)), pem)?;
    }
    Ok(done)
}

async fn restore(
    arguments: &Arguments,
    file: &Path,
    keys: &Keys,
    data: &Path,
    url: &SecretString,
) -> anyhow::Result<Restored> {
    let mut journals = vec![data.join(JOURNAL)];
    let beside = file
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if beside != data {
        journals.push(beside.join(JOURNAL));
    }
    let request = RestoreRequest {
        file,
        keys,
        url,
        replace: arguments.confirm.as_deref().filter(|_| arguments.replace),
        migrate: arguments.migrate,
        erasures: &arguments.erasures,
        journals: &journals,
        now: SystemClock.now(),
    };
    let stop = serving::catch_signals()?;
    let bar = spinner("restore");
    let restored = backup::restore(&request, stop.cancelled(), &|stage| {
        bar.set_message(backing::word(stage));
    })
    .await;
    bar.finish_and_clear();
    Ok(restored?)
}

/// Servers and kiosks that were paired go on only with the key that signed for them; one that is there is kept.
fn place_signing_key(path: &Path, pem: &SecretString) -> anyhow::Result<()> {
    if private_file::place(path, pem.expose_secret())? {
        talk(&format!("put the signing key back at {}", path.display()));
        return Ok(());
    }
    let there = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if there.trim() != pem.expose_secret().trim() {
        talk(&format!(
            "note: another signing key is at {} and is kept; tokens of the time of the backup are not accepted",
            path.display()
        ));
    }
    Ok(())
}

fn report(out: Output, restored: &Restored) -> anyhow::Result<Done> {
    let made = restored.backed_up_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    if let Some(since) = restored.unknown_since {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        talk(&format!(
            "WARNING: members who were erased after {since} may be back. Nothing here knows of every erasure since. \
             Compare with your certificates, and erase again: jarvis member erase MEMBER --yes"
        ));
    }
    if let Some(since) = restored.answers_as_of {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        talk(&format!(
            "WARNING: consents and restrictions are as they were at {since}, and facts forgotten since are back. Nothing \
             here knows what members answered later. Record it again before you serve: jarvis consent record MEMBER \
             --refuse …, jarvis member restrict MEMBER"
        ));
    } else if restored.replaced {
        talk(
            "note: facts that were forgotten after the backup, and the words they were read out of, are back: forget them again",
        );
    }
    if restored.pending > 0 {
        talk(&format!(
            "note: {} migrations are pending: run `jarvis migration up`",
            restored.pending
        ));
    }
    out.data(restored, |r| {
        let sources: Vec<String> = r
            .sources
            .iter()
            .map(|s| format!("  {} ({} erasures)", s.name, s.erasures))
            .collect();
        format!(
            "database   {}{}\nas of      {made}\ntables     {}, {} rows, all as in the backup{}\nmigrated   {}\n\
             answers    {} consents, {} restrictions and {} lifted ones taken over; {} facts forgotten again\n\
             erasures   {} applied again; known from\n{}",
            r.database.as_deref().unwrap_or_default(),
            if r.replaced { " (replaced)" } else { "" },
            r.tables,
            r.rows,
            compared(r),
            r.migrated.len(),
            r.answers.consents,
            r.answers.restricted,
            r.answers.lifted,
            r.answers.forgotten,
            r.reapplied.len(),
            sources.join("\n"),
        )
    })?;
    Ok(
        if restored.unknown_since.is_some() || restored.answers_as_of.is_some() {
            Done::Findings
        } else {
            Done::Ok
        },
    )
}

/// Restores a backup into a throw-away database, compares everything, and drops it.
pub async fn verify(
    out: Output,
    file: &Path,
    keys: &Keys,
    url: Option<&SecretString>,
) -> anyhow::Result<Done> {
    let stop = serving::catch_signals()?;
    let bar = spinner("verify");
    let progress = |stage| bar.set_message(backing::word(stage));
    let verified = if let Some(url) = url {
        backup::verify(file, keys, url, stop.cancelled(), &progress).await?
    } else {
        let folder = Throwaway::new();
        let settings = EmbeddedSettings {
            durable: false,
            ..EmbeddedSettings::new(&folder.0)
        };
        let server = Embedded::start_server(&settings, &|_| {}).await?;
        let done = backup::verify(file, keys, server.admin_url(), stop.cancelled(), &progress).await;
        server.stop().await?;
        done?
    };
    bar.finish_and_clear();
    out.data(&verified, |v| {
        format!(
            "sound      {}\nmade       {}\ntables     {}, {} rows, all as in the backup{}",
            file.display(),
            v.backed_up_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            v.tables,
            v.rows,
            compared(v),
        )
    })?;
    Ok(Done::Ok)
}

/// Whether the structure is known to be the same as well.
fn compared(restored: &Restored) -> &'static str {
    if restored.structure_compared {
        ", and the structure too"
    } else {
        "\nstructure  NOT compared: this server is of another major version than the one that was backed up"
    }
}

/// A folder that is gone with this value.
struct Throwaway(PathBuf);

impl Throwaway {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!(
            "jarvis-verify-{}",
            jarvis_core::ids::uuid_v7(SystemClock.now())
        )))
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if self.0.exists()
            && let Err(error) = std::fs::remove_dir_all(&self.0)
        {
            talk(&format!("warning: remove {} by hand: {error}", self.0.display()));
        }
    }
}
