use super::moment::{self, NoMoment};
use super::sheet::{Line, Sheet};
use crate::connection::{self, GymDesk};
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, progress, table, talk};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use jarvis_core::text::badge_key;
use jarvis_core::{Clock as _, MemberId, SystemClock};
use jarvis_db::queries::{gym, visit};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Visits that are written together: what is written stays when the rest fails, and running again goes on.
const BATCH: usize = 5_000;
/// Refused rows that are shown to people; JSON has them all.
const SHOWN: usize = 20;
/// Rows of the file that are shown to judge the columns by.
const SAMPLE: usize = 3;

const BADGE: [&str; 13] = [
    "badge_id",
    "badge",
    "numero de badge",
    "n badge",
    "no badge",
    "num badge",
    "code badge",
    "carte",
    "numero de carte",
    "card",
    "card id",
    "card number",
    "badge number",
];
const MOMENT: [&str; 13] = [
    "visited_at",
    "date et heure",
    "date heure",
    "horodatage",
    "date de passage",
    "passage",
    "timestamp",
    "datetime",
    "date time",
    "check in",
    "entree",
    "date d entree",
    "date",
];
const TIME: [&str; 5] = [
    "heure",
    "heure de passage",
    "heure d entree",
    "time",
    "check in time",
];

/// Where they stand.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --yes nothing is changed: it shows which columns are taken, the first rows, and what would be. Badges are
compared without case; days come before months (03/02/2026 is the 3rd of February); a time without an offset is in the
gym's time zone. A visit that is known, of the same member at the same moment, is left as it is, so that it can run
again. A row that cannot be taken is told with its line, and the others go on; exit code 3 then.
Examples:
  jarvis import visits passages.csv --gym lyon
  jarvis import visits passages.csv --gym lyon --badge 'N° carte' --at Jour --time Heure --yes")]
pub struct Arguments {
    /// CSV with a head, parted by semicolons, tabs or commas
    file: PathBuf,
    /// The gym, by slug or id
    #[arg(long)]
    gym: Option<String>,
    /// The column of the badge, where its name is none that is known
    #[arg(long, value_name = "COLUMN")]
    badge: Option<String>,
    /// The column of the moment, or of the day
    #[arg(long, value_name = "COLUMN")]
    at: Option<String>,
    /// The column of the time of day, where it is apart from the day
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// The file has days without a time: take noon
    #[arg(long, conflicts_with = "time")]
    days_only: bool,
    /// Do it
    #[arg(long)]
    yes: bool,
}

/// Which column is what.
#[derive(Clone, Copy)]
struct Columns {
    badge: usize,
    at: usize,
    time: Option<usize>,
}

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Refusal {
    #[error("the row has another number of columns than the head")]
    Columns,
    #[error("nobody in this gym has that badge; enrol them first with `jarvis member add`")]
    UnknownBadge,
    #[error("the moment is yet to come")]
    YetToCome,
    #[error(transparent)]
    #[serde(untagged)]
    NoMoment(#[from] NoMoment),
}

/// What became of the rows.
#[derive(serde::Serialize)]
struct Report {
    done: bool,
    columns: Vec<String>,
    found: usize,
    added: u64,
    /// The same visit is known here, or stands in the file before.
    known: u64,
    /// Members whose earlier visits came as a number already, so that `total_visits` now counts both.
    opening_balances: i64,
    refused: Vec<Refused>,
}

#[derive(serde::Serialize)]
struct Refused {
    line: u64,
    code: Refusal,
    reason: String,
}

pub(super) async fn run(global: &Global, out: Output, arguments: &Arguments) -> anyhow::Result<Done> {
    let sheet = Sheet::open(&arguments.file)?;
    let columns = columns(&sheet, arguments)?;
    let desk = connection::desk(global, arguments.gym.as_deref()).await?;
    if !out.is_json() {
        talk(&preview(&sheet, columns));
    }
    let zone = zone(&desk).await?;
    let mut tx = desk.db.begin(&desk.scope).await?;
    let badges: HashMap<String, MemberId> = visit::badges(&mut tx, desk.gym)
        .await?
        .into_iter()
        .filter_map(|(badge, member)| Some((badge_key(&badge)?, member)))
        .collect();
    tx.commit().await?;
    let now = SystemClock.now();
    let mut refused = Vec::new();
    let mut seen = HashSet::new();
    let mut visits = Vec::new();
    for row in &sheet.rows {
        match read(row, columns, &badges, zone, arguments.days_only, now) {
            Ok(visit) if seen.insert(visit) => visits.push(visit),
            Ok(_) => {}
            Err(refusal) => refused.push(Refused {
                line: row.0,
                code: refusal,
                reason: refusal.to_string(),
            }),
        }
    }
    let added = write(&desk, &visits, arguments.yes).await?;
    let mut tx = desk.db.begin(&desk.scope).await?;
    let members: HashSet<MemberId> = visits.iter().map(|(member, _)| *member).collect();
    let members: Vec<MemberId> = members.into_iter().collect();
    let report = Report {
        done: arguments.yes,
        columns: [Some(columns.badge), Some(columns.at), columns.time]
            .into_iter()
            .flatten()
            .map(|column| sheet.title(column).to_owned())
            .collect(),
        found: sheet.rows.len(),
        added,
        known: (sheet.rows.len() - refused.len()) as u64 - added,
        opening_balances: visit::with_opening_balance(&mut tx, desk.gym, &members).await?,
        refused,
    };
    tx.commit().await?;
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

fn columns(sheet: &Sheet, arguments: &Arguments) -> Result<Columns, WrongUse> {
    let missing = |what: &str, option: &str| {
        WrongUse(format!(
            "no column looks like {what}; name it with {option}; the file has: {}",
            sheet.titles()
        ))
    };
    let stated = |name: &Option<String>| name.as_deref().map(|name| sheet.named(name)).transpose();
    let badge = stated(&arguments.badge)?.or_else(|| sheet.guess(&BADGE));
    let at = stated(&arguments.at)?.or_else(|| sheet.guess(&MOMENT));
    let at = at.ok_or_else(|| missing("the moment of a visit", "--at"))?;
    let first = sheet.rows.iter().find_map(|(_, cells)| cells.as_ref());
    let apart = !arguments.days_only && first.is_some_and(|cells| moment::is_day(&cells[at]));
    let time = stated(&arguments.time)?.or_else(|| sheet.guess(&TIME).filter(|_| apart));
    Ok(Columns {
        badge: badge.ok_or_else(|| missing("a badge", "--badge"))?,
        at,
        time,
    })
}

fn preview(sheet: &Sheet, columns: Columns) -> String {
    let time = columns
        .time
        .map_or(String::new(), |time| format!(" + {}", sheet.title(time)));
    let (badge, at) = (sheet.title(columns.badge), sheet.title(columns.at));
    let rows = sheet.rows.iter().filter_map(|(line, cells)| {
        let cells = cells.as_ref()?;
        Some([
            line.to_string(),
            cells[columns.badge].clone(),
            moment_of(cells, columns),
        ])
    });
    format!(
        "badge: column `{badge}`; moment: column `{at}`{time}\n\n{}\n",
        table(["line", "badge", "moment"], rows.take(SAMPLE))
    )
}

fn moment_of(cells: &[String], columns: Columns) -> String {
    match columns.time {
        Some(time) => format!("{} {}", cells[columns.at], cells[time]),
        None => cells[columns.at].clone(),
    }
}

async fn zone(desk: &GymDesk) -> anyhow::Result<Tz> {
    let mut tx = desk.db.begin(&desk.scope).await?;
    let gyms = gym::list(&mut tx).await?;
    tx.commit().await?;
    let gym = gyms.iter().find(|gym| gym.id == desk.gym);
    let gym = gym.context("the gym was removed just now")?;
    gym.timezone
        .parse()
        .map_err(|_| anyhow::anyhow!("the gym's time zone `{}` is unknown", gym.timezone))
}

fn read(
    (_, cells): &Line,
    columns: Columns,
    badges: &HashMap<String, MemberId>,
    zone: Tz,
    days_only: bool,
    now: DateTime<Utc>,
) -> Result<(MemberId, DateTime<Utc>), Refusal> {
    let cells = cells.as_ref().ok_or(Refusal::Columns)?;
    let key = badge_key(&cells[columns.badge]).ok_or(Refusal::UnknownBadge)?;
    let member = badges.get(&key).ok_or(Refusal::UnknownBadge)?;
    let at = moment::read(&moment_of(cells, columns), zone, days_only)?;
    if at > now {
        return Err(Refusal::YetToCome);
    }
    Ok((*member, at))
}

/// Writes the visits batch by batch; how many were new.
async fn write(desk: &GymDesk, visits: &[(MemberId, DateTime<Utc>)], for_good: bool) -> anyhow::Result<u64> {
    let bar = progress(visits.len() as u64);
    let mut added = 0;
    for batch in visits.chunks(BATCH) {
        let mut tx = desk.db.begin(&desk.scope).await?;
        added += visit::import(&mut tx, desk.gym, batch).await?;
        if for_good {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(added)
}

fn for_people(report: &Report) -> String {
    let Report {
        found, added, known, ..
    } = report;
    let mut text = format!(
        "{found} found, {added} added, {known} known already, {} refused",
        report.refused.len()
    );
    if report.opening_balances > 0 {
        let _ = write!(
            text,
            "\n{} of the members brought a number of visits with them when they moved here: `total_visits` counts both",
            report.opening_balances
        );
    }
    if !report.refused.is_empty() {
        let rows = report.refused.iter().take(SHOWN);
        text.push_str("\n\n");
        text.push_str(&table(
            ["line", "why it is left out"],
            rows.map(|r| [r.line.to_string(), r.reason.clone()]),
        ));
        if report.refused.len() > SHOWN {
            let _ = write!(
                text,
                "\n… and {} more; --json tells them all",
                report.refused.len() - SHOWN
            );
        }
    }
    text
}
