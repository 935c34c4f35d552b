//! `jarvis backup`: an encrypted copy that is checked, and the key that opens it.

use crate::commands::restore;
use crate::connection;
use crate::failure::{Done, WithHint, WrongUse};
use crate::global::Global;
use crate::output::{Output, spinner, table, talk};
use crate::{private_file, serving};
use chrono::SecondsFormat;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::backup::{self, BackupRequest, Keys, Made, Pruned, Stage};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::{Path, PathBuf};

/// Write an encrypted backup of the database and of the signing key
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
A backup holds the whole database as one snapshot, also under load. Without the key nobody can read it, you included:
  jarvis backup key                      once; keep a copy away from this machine
  jarvis backup --keep 14                a backup; the newest 14 stay
  jarvis backup --verify FILE            restores it into a throw-away database and compares everything
  jarvis restore FILE                    the way back"
)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// A folder, or the file to write [default: the folder backups in the data folder]
    #[arg(long, env = "JARVIS_BACKUP_DIR", value_name = "PATH")]
    to: Option<PathBuf>,
    #[command(flatten)]
    key: KeyFile,
    /// Keep the newest N sound backups of this database in the folder, and remove older ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "verify")]
    keep: Option<u32>,
    /// Instead of a new backup: restore this one into a throw-away database, compare everything, and drop it
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    /// With --verify: the server to restore to, as its owner [default: a throw-away PostgreSQL]
    #[arg(long, value_name = "URL", requires = "verify")]
    into: Option<SecretString>,
    /// The key that signs access tokens, to be kept along [default: signing-key.pem in the data folder]
    #[arg(long, env = "JARVIS_SIGNING_KEY_FILE", value_name = "FILE")]
    signing_key: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a key; whoever loses it loses every backup made with it
    Key {
        /// The file to write [default: backup-key.txt in the data folder]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// List the backups of a folder, newest first
    List {
        /// The folder [default: the folder backups in the data folder]
        #[arg(env = "JARVIS_BACKUP_DIR", value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

/// Which key.
#[derive(Debug, clap::Args)]
pub struct KeyFile {
    /// The key of the backups; to write them a file with public keys (age1…) is enough [default: backup-key.txt in the data folder]
    #[arg(long, env = "JARVIS_BACKUP_KEY_FILE", value_name = "FILE")]
    key: Option<PathBuf>,
}

impl KeyFile {
    /// Reads it.
    pub fn read(&self, global: &Global) -> anyhow::Result<Keys> {
        let path = match &self.key {
            Some(path) => path.clone(),
            None => default_key(global)?,
        };
        Ok(Keys::read(&path)?)
    }
}

fn default_key(global: &Global) -> anyhow::Result<PathBuf> {
    Ok(connection::home(global)?.join("backup-key.txt"))
}

/// Where backups go when nothing else is said.
pub fn default_folder(global: &Global) -> anyhow::Result<PathBuf> {
    match std::env::var_os("JARVIS_BACKUP_DIR") {
        Some(folder) if !folder.is_empty() => Ok(folder.into()),
        _ => Ok(connection::home(global)?.join("backups")),
    }
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    match arguments.verb {
        Some(Verb::Key { to }) => key(global, out, to),
        Some(Verb::List { folder }) => list(global, out, folder),
        None => match &arguments.verify {
            Some(file) => {
                restore::verify(out, file, &arguments.key.read(global)?, arguments.into.as_ref()).await
            }
            None => create(global, out, arguments).await,
        },
    }
}

fn key(global: &Global, out: Output, to: Option<PathBuf>) -> anyhow::Result<Done> {
    let path = match to {
        Some(path) => path,
        None => default_key(global)?,
    };
    let (text, public) = backup::generate(SystemClock.now());
    if !private_file::place(&path, text.expose_secret())? {
        return Err(WrongUse(format!(
            "{} is there already; a new key cannot open older backups, so it is not replaced",
            path.display()
        ))
        .into());
    }
    talk("Keep a copy of this file away from the server: whoever loses it loses every backup made with it.");
    out.data(&serde_json::json!({"path": path, "public_key": public}), |_| {
        format!("{}\npublic key  {public}", path.display())
    })?;
    Ok(Done::Ok)
}

fn list(global: &Global, out: Output, folder: Option<PathBuf>) -> anyhow::Result<Done> {
    let folder = match folder {
        Some(folder) => folder,
        None => default_folder(global)?,
    };
    let kept = if folder.is_dir() {
        backup::list(&folder)?
    } else {
        Vec::new()
    };
    out.data(&kept, |kept| {
        let rows = kept.iter().map(|k| {
            let name = k.path.display().to_string();
            match &k.label {
                Some(l) => [
                    l.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
                    l.database.clone(),
                    l.rows.to_string(),
                    size(l.bytes),
                    name,
                ],
                None => [
                    "unknown".into(),
                    String::new(),
                    String::new(),
                    String::new(),
                    name,
                ],
            }
        });
        table(["made", "database", "rows", "size", "file"], rows)
    })?;
    Ok(Done::Ok)
}

async fn create(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let keys = arguments.key.read(global)?;
    let urls = connection::urls(global)?;
    let to = match &arguments.to {
        Some(to) => to.clone(),
        None => default_folder(global)?,
    };
    let signing_key = match &arguments.signing_key {
        Some(path) => path.clone(),
        None => connection::signing_key(global)?,
    };
    let request = BackupRequest {
        url: &urls.admin,
        to: &to,
        keys: &keys,
        signing_key: read_signing_key(&signing_key)?,
        made_by: env!("CARGO_PKG_VERSION"),
        now: SystemClock.now(),
    };
    let stop = serving::catch_signals()?;
    let bar = spinner("backup");
    let made = backup::create(&request, stop.cancelled(), &|stage| bar.set_message(word(stage))).await;
    bar.finish_and_clear();
    let made = made?;
    if !made.holds_signing_key {
        talk(&format!(
            "warning: there is no signing key at {}; it is not in the backup (--signing-key FILE)",
            signing_key.display()
        ));
    }
    let folder = made
        .path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !made.erasures.is_empty() {
        backup::keep_journal(folder, &made.erasures)?;
    }
    let pruned = match arguments.keep {
        Some(keep) => backup::prune(folder, &made.label.database, keep as usize)?,
        None => Pruned::default(),
    };
    report(out, &made, &pruned)
}

fn read_signing_key(path: &Path) -> anyhow::Result<Option<SecretString>> {
    match std::fs::read_to_string(path) {
        Ok(pem) => Ok(Some(pem.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WithHint {
            problem: format!("cannot read the signing key at {}: {error}", path.display()),
            hint: "run as the user of the server, or name the file with --signing-key".to_owned(),
        }
        .into()),
    }
}

fn report(out: Output, made: &Made, pruned: &Pruned) -> anyhow::Result<Done> {
    for schema in &made.left_out {
        talk(&format!(
            "note: schema {schema} belongs to the platform and is not in the backup"
        ));
    }
    for path in &pruned.damaged {
        talk(&format!(
            "warning: {} is damaged; it is kept and does not count",
            path.display()
        ));
    }
    let value = serde_json::json!({
        "path": made.path, "label": made.label, "holds_signing_key": made.holds_signing_key,
        "left_out": made.left_out, "removed": pruned.removed, "damaged": pruned.damaged,
    });
    out.data(&value, |_| {
        let removed = match pruned.removed.len() {
            0 => String::new(),
            n => format!("\nremoved    {n} older"),
        };
        format!(
            "{}\ndatabase   {}\ntables     {}\nrows       {}\nsize       {}{removed}",
            made.path.display(),
            made.label.database,
            made.label.tables,
            made.label.rows,
            size(made.label.bytes),
        )
    })?;
    Ok(if pruned.damaged.is_empty() {
        Done::Ok
    } else {
        Done::Findings
    })
}

/// What is going on, for the progress line.
pub fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Counting => "counting and summing every table",
        Stage::Dumping => "writing the backup",
        Stage::Reading => "reading the backup from end to end",
        Stage::Loading => "loading it into a new database",
        Stage::Comparing => "comparing every table",
        Stage::Migrating => "bringing the schema up to date",
        Stage::Erasing => "applying past erasures",
        Stage::Swapping => "putting the new database into place",
    }
}

/// A length for people.
fn size(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    let unit = units.iter().find(|(_, unit)| bytes >= *unit);
    match unit {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_in_units_of_a_thousand() {
        let told: Vec<String> = [999, 1_000, 1_250_000, 3_000_000_000].map(size).to_vec();
        assert_eq!(told, ["999 B", "1.0 kB", "1.2 MB", "3.0 GB"]);
    }
}
