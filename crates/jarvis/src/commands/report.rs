//! `jarvis report`: what happened in a gym, what stands out and what to do.

use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::language::Lang;
use crate::output::{Output, table, talk};
use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};
use jarvis_core::{Clock as _, Language, SystemClock};
use jarvis_db::queries::report as stored;
use jarvis_insight::reports::{self, Audience, Kind, Report, Style};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What happened in a gym, what stands out and what to do
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write a report, and keep it in the place of an earlier one of the same period
    #[command(after_help = "\
Kinds: daily_summary, weekly_digest, monthly_analysis, churn_forecast, member_satisfaction
Examples:
  jarvis report run weekly_digest --gym lyon                             the week that ended last
  jarvis report run daily_summary --of 2026-03-02 --format html --out bilan.html
  jarvis report run monthly_analysis --as-of 2026-04-01T07:00:00+02:00   as it stood then, what came later left out
A report holds counts alone, no person. The same --as-of on the same data gives the same bytes.
Under 20 only counts are shown; --shareable hides counts under 5.")]
    Run {
        /// Which report
        kind: Kind,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
        /// The day, week or month that this day lies in; without it, the one that ended last
        #[arg(long, value_name = "DAY")]
        of: Option<NaiveDate>,
        /// As it stood at this moment, as 2026-03-09T07:00:00+01:00; without it, now
        #[arg(long, value_name = "TIME")]
        as_of: Option<DateTime<Utc>>,
        /// Only show it, keep nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        how: How,
    },
    /// List the reports that are kept, the newest period first
    List {
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
        /// Only this kind
        #[arg(long)]
        kind: Option<Kind>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a report that is kept
    Show {
        /// Its id, as `jarvis report list` prints it
        id: Uuid,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
        #[command(flatten)]
        how: How,
    },
}

/// How a report is written.
#[derive(Debug, clap::Args)]
pub struct How {
    /// As Markdown, as a page that prints on A4, as the canonical document, or as the statements behind its numbers, for psql
    #[arg(long, value_enum, default_value_t = Format::Md)]
    format: Format,
    /// Its language; without it, the gym's
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// Hide counts under 5: for readers outside the gym
    #[arg(long)]
    shareable: bool,
    /// Into this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Markdown
    Md,
    /// A page
    Html,
    /// The canonical document
    Json,
    /// The statements, for psql
    Sql,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::Run {
            kind,
            gym,
            of,
            as_of,
            dry_run,
            how,
        } => {
            how.check(out)?;
            let now = SystemClock.now();
            let as_of = as_of.unwrap_or(now);
            if as_of > now {
                return Err(
                    WrongUse("--as-of lies in the future: nothing is known of it yet".to_owned()).into(),
                );
            }
            // No zone is more than a day ahead.
            let last = as_of.date_naive() + Days::new(1);
            if as_of < DateTime::UNIX_EPOCH || of.is_some_and(|day| day < NaiveDate::default() || day > last)
            {
                return Err(WrongUse(
                    "--of and --as-of lie after 1970, and --of no later than the moment of the report"
                        .to_owned(),
                )
                .into());
            }
            let desk = connection::desk(global, gym.as_deref()).await?;
            let report = if dry_run {
                reports::make(&desk.db, &desk.scope, desk.gym, kind, of, as_of).await?
            } else {
                let (id, report) = reports::write(&desk.db, &desk.scope, desk.gym, kind, of, as_of).await?;
                talk(&format!("kept as {id}"));
                report
            };
            if report.until > as_of {
                talk("The period is not over at the moment of the report: its numbers still grow.");
            }
            how.write(out, &report)
        }
        Command::List { gym, kind, limit } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            let kept = stored::list(&mut tx, desk.gym, kind.map(Kind::as_str), limit).await?;
            tx.commit().await?;
            let kept: Vec<_> = kept.iter().map(Kept::of).collect();
            out.data(&kept, |kept| {
                let rows = kept
                    .iter()
                    .map(|k| [k.id.to_string(), k.kind.clone(), k.as_of.clone(), k.title.clone()]);
                table(["id", "kind", "as of", "title"], rows)
            })?;
            Ok(Done::Ok)
        }
        Command::Show { id, gym, how } => {
            how.check(out)?;
            let desk = connection::desk(global, gym.as_deref()).await?;
            let mut tx = desk.db.begin(&desk.scope).await?;
            let found = stored::find(&mut tx, id).await?;
            tx.commit().await?;
            let missing = || WrongUse(format!("this gym has no report `{id}`; see `jarvis report list`"));
            let report = Report::from_stored(&found.ok_or_else(missing)?)?;
            how.write(out, &report)
        }
    }
}

#[derive(serde::Serialize)]
struct Kept {
    id: Uuid,
    kind: String,
    as_of: String,
    title: String,
    summary: Option<String>,
}

impl Kept {
    fn of(stored: &stored::Stored) -> Self {
        Self {
            id: stored.id,
            kind: stored.report_type.clone(),
            as_of: stored.generated_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            title: stored.title.clone(),
            summary: stored.summary.clone(),
        }
    }
}

impl How {
    /// Refuses what contradicts itself, before anything is kept.
    fn check(&self, out: Output) -> Result<(), WrongUse> {
        if out.is_json() && !matches!(self.format, Format::Json | Format::Md) {
            return Err(WrongUse(
                "--json and --format contradict each other; give one of them".to_owned(),
            ));
        }
        if self.shareable && (out.is_json() || matches!(self.format, Format::Json | Format::Sql)) {
            return Err(WrongUse(
                "JSON and SQL tell every count: --shareable is for --format md and html".to_owned(),
            ));
        }
        Ok(())
    }

    fn write(&self, out: Output, report: &Report) -> anyhow::Result<Done> {
        let mut style = Style::of(report);
        match self.lang {
            Some(Lang::Fr) => style.language = Language::Fr,
            Some(Lang::En) => style.language = Language::En,
            None => {}
        }
        if self.shareable {
            style.audience = Audience::Shareable;
        }
        let json = out.is_json() || self.format == Format::Json;
        let text = match self.format {
            _ if json => format!("{}\n", serde_json::to_string_pretty(report)?),
            Format::Html => reports::html(report, style),
            Format::Sql => reports::sql(report),
            Format::Md | Format::Json => reports::markdown(report, style),
        };
        match &self.out {
            Some(path) => keep(path, &text)?,
            None => Output::new(false).data(&(), |()| text)?,
        }
        Ok(Done::Ok)
    }
}

fn keep(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).map_err(|error| {
        let path = path.display();
        anyhow::Error::new(error).context(format!("the report cannot be written to {path}"))
    })?;
    talk(&format!("written to {}", path.display()));
    Ok(())
}
