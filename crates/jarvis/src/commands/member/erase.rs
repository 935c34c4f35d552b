//! `jarvis member erase`: everything of a member goes, and a certificate stays.

use super::kept_exports;
use crate::commands::backup;
use crate::connection::{self, GymDesk};
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table, talk};
use crate::private_file::Reserved;
use jarvis_core::{Clock as _, GymId, MemberId, SystemClock, ids};
use jarvis_db::backup::keep_journal;
use jarvis_db::queries::erasure::{self, Erasure, Fate, Touched};
use std::path::PathBuf;
use uuid::Uuid;

/// Which member, and whether it is meant.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --yes it only says what would go. What another member said stays theirs, also when it names this one.
Backups made before still hold the member until they are removed; `jarvis restore` erases them again.")]
pub struct Arguments {
    /// Id or badge
    member: String,
    /// The gym, by slug or id
    #[arg(long)]
    gym: Option<String>,
    /// Do it; it cannot be undone
    #[arg(long)]
    yes: bool,
    /// Where the certificate goes [default: the folder erasures in the data folder]
    #[arg(long, value_name = "FILE", requires = "yes")]
    certificate: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let desk = connection::desk(global, arguments.gym.as_deref()).await?;
    let member = connection::find_member(&desk, &arguments.member).await?;
    let mut admin = connection::admin(&connection::urls(global)?).await?;
    if !arguments.yes {
        let plan = erasure::plan(&mut admin, desk.gym, member).await?;
        return show_plan(out, member, &plan);
    }
    let now = SystemClock.now();
    let id = ids::uuid_v7(now);
    let file = reserve(global, &arguments, id, desk.gym, member)?;
    let certificate = match erasure::erase(&mut admin, desk.gym, member, id, now).await {
        Ok(certificate) => certificate,
        Err(error) => {
            file.give_up()?;
            return Err(error.into());
        }
    };
    // From here on it is done, and whatever cannot be written, the certificate is said.
    let written = file.fill(&serde_json::to_string_pretty(&certificate)?);
    let journals = match erasure::list(&mut admin, None).await {
        Ok(all) => keep(global, &all),
        Err(error) => Err(error.into()),
    };
    let exports = connection::home(global).and_then(|home| kept_exports::drop_of(&home, member));
    let path = file.path();
    let kept = journals.as_deref().unwrap_or_default();
    let value = serde_json::json!({
        "certificate": certificate, "path": path, "journals": kept, "exports": exports.as_ref().ok(),
    });
    out.data(&value, |_| {
        format!(
            "{}\nerased      {}\nrows left   {}\ncertificate {}",
            rows(&certificate.touched),
            certificate.member_id,
            certificate.left,
            path.display()
        )
    })?;
    let erased = |error: anyhow::Error| {
        error.context(format!(
            "member {} is erased, and the ledger knows it, but not every paper was written: keep what is printed here",
            certificate.member_id
        ))
    };
    written.map_err(erased)?;
    journals.map_err(erased)?;
    exports.map_err(|error| {
        error.context("the member is erased, and an export of them is still there: remove it by hand")
    })?;
    Ok(Done::Ok)
}

/// Makes the certificate's file before anything happens: where it cannot be made, nobody is erased.
fn reserve(
    global: &Global,
    arguments: &Arguments,
    id: Uuid,
    gym: GymId,
    member: MemberId,
) -> anyhow::Result<Reserved> {
    let path = match &arguments.certificate {
        Some(path) => path.clone(),
        None => connection::home(global)?
            .join("erasures")
            .join(format!("{id}.json")),
    };
    let begun = serde_json::json!({
        "id": id, "gym_id": gym, "member_id": member,
        "begun": "whether it was carried out, `jarvis member erasures` tells"
    });
    let reserved = Reserved::begin(path.clone(), &serde_json::to_string_pretty(&begun)?)?;
    reserved.ok_or_else(|| {
        WrongUse(format!(
            "{} is there already; a certificate replaces nothing. Nobody was erased",
            path.display()
        ))
        .into()
    })
}

fn show_plan(out: Output, member: MemberId, plan: &[Touched]) -> anyhow::Result<Done> {
    for table in plan.iter().filter(|t| !t.mapped) {
        talk(&format!(
            "note: {} has columns that the data map does not know",
            table.table
        ));
    }
    out.data(&serde_json::json!({"member_id": member, "plan": plan}), |_| {
        rows(plan)
    })?;
    talk("Nothing was changed. To do it, repeat with --yes; it cannot be undone.");
    Ok(Done::Ok)
}

fn rows(touched: &[Touched]) -> String {
    let lines = touched.iter().map(|t| {
        let fate = match t.fate {
            Fate::Deleted => "deleted",
            Fate::Cleaned => "the member's words and ids taken out",
        };
        [t.table.clone(), t.rows.to_string(), fate.to_owned()]
    });
    table(["table", "rows", "what happens"], lines)
}

/// The journals outlive the database: in the data folder, and beside the backups when they are kept here.
fn keep(global: &Global, all: &[Erasure]) -> anyhow::Result<Vec<PathBuf>> {
    let mut journals = vec![keep_journal(&connection::home(global)?, all)?];
    let backups = backup::default_folder(global)?;
    if backups.is_dir() {
        journals.push(keep_journal(&backups, all)?);
    }
    Ok(journals)
}

/// Lists the ledger: identifiers and times.
pub async fn list(global: &Global, out: Output, gym: Option<&str>) -> anyhow::Result<Done> {
    let gym = match gym {
        Some(name) => {
            let GymDesk { gym, .. } = connection::desk(global, Some(name)).await?;
            Some(gym)
        }
        None => None,
    };
    let mut admin = connection::admin(&connection::urls(global)?).await?;
    let all = erasure::list(&mut admin, gym).await?;
    out.data(&all, |all| {
        let lines = all.iter().map(|e| {
            [
                e.erased_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                e.gym_id.to_string(),
                e.member_id.to_string(),
                e.id.to_string(),
            ]
        });
        table(["erased", "gym", "member", "erasure"], lines)
    })?;
    Ok(Done::Ok)
}
