//! `jarvis retention`: how long things are kept, and what is past its time.

use crate::commands::member::kept_exports;
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table, talk};
use crate::wiring;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::queries::retention;
use jarvis_memory::privacy::{self, Retention};

/// How long things are kept; a worker applies it every day
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --run nothing is changed: it says what is past its time.
  jarvis retention                     periods, and the rows that are past them
  jarvis retention --run               takes them away now, in all gyms
  jarvis retention --set events=60     as the owner of the database
A health fact that still holds is never dropped silently: its time begins when it is retired or has run out.")]
pub struct Arguments {
    /// Only say what would go; this is the default
    #[arg(long, conflicts_with = "run")]
    dry_run: bool,
    /// Take it away now
    #[arg(long)]
    run: bool,
    /// Change a period, in days
    #[arg(long, value_name = "SUBJECT=DAYS", value_parser = period, conflicts_with_all = ["run", "dry_run"])]
    set: Vec<(String, i32)>,
}

fn period(text: &str) -> Result<(String, i32), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(subject, days)| Some((subject.to_owned(), days.parse().ok()?)));
    parsed
        .filter(|(_, days)| (1..=36_500).contains(days))
        .ok_or_else(|| "write it as events=90, with 1 to 36500 days".to_owned())
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    if !arguments.set.is_empty() {
        return set(&urls, out, &arguments.set).await;
    }
    let memory = wiring::memory_without_model(connection::db(&urls).await?);
    let how = if arguments.run {
        Retention::Asked
    } else {
        Retention::Counted
    };
    if arguments.run {
        wiring::clocks_agree(&memory).await?;
    }
    let expired = privacy::expire(&memory, how).await?;
    if arguments.run {
        let dropped = kept_exports::drop_old(&connection::home(global)?, SystemClock.now())?;
        if dropped > 0 {
            talk(&format!(
                "removed {dropped} exports of members that are older than 30 days"
            ));
        }
    }
    out.data(&expired, |expired| {
        let rows = expired
            .iter()
            .map(|e| [e.subject.clone(), e.days.to_string(), e.rows.to_string()]);
        let what = if arguments.run { "taken away" } else { "past it" };
        table(["subject", "days", what], rows)
    })?;
    if !arguments.run {
        talk("Nothing was changed. To take these rows away now: jarvis retention --run");
    }
    Ok(Done::Ok)
}

async fn set(urls: &connection::Urls, out: Output, periods: &[(String, i32)]) -> anyhow::Result<Done> {
    let mut admin = connection::admin(urls).await?;
    let known = retention::periods(&mut admin).await?;
    if let Some((wrong, _)) = periods
        .iter()
        .find(|(subject, _)| !known.iter().any(|(k, _)| k == subject))
    {
        let names: Vec<&str> = known.iter().map(|(subject, _)| subject.as_str()).collect();
        return Err(WrongUse(format!(
            "nothing is kept as `{wrong}`; there are {}",
            names.join(", ")
        ))
        .into());
    }
    for (subject, days) in periods {
        retention::set_period(&mut admin, subject, *days).await?;
    }
    let now = retention::periods(&mut admin).await?;
    out.data(&now, |now| {
        table(
            ["subject", "days"],
            now.iter().map(|(s, d)| [s.clone(), d.to_string()]),
        )
    })?;
    Ok(Done::Ok)
}
