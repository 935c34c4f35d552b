//! Reports: what happened in a gym, what stands out and what to do, as a canonical document that is then written as text,
//! Markdown or a page.
//!
//! A report holds counts alone, no person: nothing in it has to be erased with a member. Every number comes from one
//! statement ([`jarvis_db::queries::report`]) that the report shows beside it. The same `as_of` gives the same bytes.

mod dates;
mod definitions;
mod html;
mod markdown;
mod numbers;
mod period;
mod sql;
mod svg;
mod view;
mod wording;
mod words;

pub use definitions::{definition_of_chart, definition_of_figure};
pub use html::html;
pub use markdown::markdown;
pub use numbers::{Audience, FEW, HIDDEN, Style};
pub use period::{Kind, Period, UnknownKind};
pub use sql::sql;
pub use wording::{Action, Priority, actions, findings, summary, title};

use crate::InsightError;
use chrono::{DateTime, NaiveDate, SubsecRound as _, TimeDelta, Utc};
use chrono_tz::Tz;
use jarvis_core::{GymId, Language, Scope};
use jarvis_db::queries::gym;
use jarvis_db::queries::report::{self, Chart, Figure, Measured, Stored, Window};
use jarvis_db::{Db, ScopedTx};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The form of the canonical document. A document of another version is not read.
pub const VERSION: u16 = 1;

/// Analytics are computed every night: older than this, they are told as out of date.
const FRESH: TimeDelta = TimeDelta::hours(26);

/// A report in its canonical form: numbers and codes, no sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u16,
    /// Which report it is.
    pub kind: Kind,
    /// Of which gym.
    pub gym: GymName,
    /// Which days it is about, in the gym's time zone.
    pub period: Period,
    /// The first moment of the period.
    pub from: DateTime<Utc>,
    /// The first moment after it.
    pub until: DateTime<Utc>,
    /// What was recorded later is not in it.
    pub as_of: DateTime<Utc>,
    /// When the members' analytics were computed that it shows; none when there were none yet.
    pub analytics_as_of: Option<DateTime<Utc>>,
    /// The numbers.
    pub figures: Vec<Reading>,
    /// The charts.
    pub charts: Vec<Plot>,
}

/// The gym that a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GymName {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// IANA time zone in which days are counted.
    pub timezone: Tz,
    /// The language it is written in.
    pub language: Language,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which: [`Figure::key`].
    pub key: String,
    /// The number, to six decimals; none where nothing could be counted.
    pub value: Option<f64>,
    /// Of how many.
    pub n: i64,
    /// The same in the period before, where that can be counted.
    pub before: Option<Before>,
}

/// A number of the period before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// The number.
    pub value: Option<f64>,
    /// Of how many.
    pub n: i64,
}

/// One chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    /// Which: [`Chart::key`].
    pub key: String,
    /// Its bars, in their order.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// A day (`2026-03-02`), an hour (0 to 23), a topic or a band.
    pub label: String,
    /// How many.
    pub value: f64,
}

/// How old the analytics of a report are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Computed within the last 26 hours.
    Fresh(TimeDelta),
    /// Older.
    Stale(TimeDelta),
    /// None are known from before the report's moment.
    Never,
}

impl Report {
    /// How old its analytics are.
    pub fn freshness(&self) -> Freshness {
        match self.analytics_as_of.map(|at| self.as_of - at) {
            None => Freshness::Never,
            Some(age) if age <= FRESH => Freshness::Fresh(age),
            Some(age) => Freshness::Stale(age),
        }
    }

    /// The number of this name, when the report has it.
    pub fn reading(&self, figure: Figure) -> Option<&Reading> {
        self.figures.iter().find(|reading| reading.key == figure.key())
    }

    /// The window that its statements look at.
    pub fn window(&self) -> Window {
        Window {
            from: self.from,
            until: self.until,
            as_of: self.as_of,
        }
    }

    /// As it is stored: the canonical document, and what people read in the gym's language.
    ///
    /// # Errors
    /// [`InsightError::Unreadable`] when it does not serialise.
    pub fn stored(&self, id: Uuid) -> Result<Stored, InsightError> {
        let unreadable = |error: serde_json::Error| InsightError::Unreadable(error.to_string());
        let style = Style::of(self);
        Ok(Stored {
            id,
            gym_id: self.gym.id,
            report_type: self.kind.as_str().to_owned(),
            title: title(self, style.language),
            summary: Some(summary(self, style)),
            insights: serde_json::to_value(findings(self, style)).map_err(unreadable)?,
            metrics: serde_json::to_value(self).map_err(unreadable)?,
            recommendations: serde_json::to_value(actions(self, style)).map_err(unreadable)?,
            period_start: self.from,
            period_end: self.until,
            generated_at: self.as_of,
        })
    }

    /// From what is stored.
    ///
    /// # Errors
    /// [`InsightError::Unreadable`] when it is not the canonical document of this version, such as a report that an
    /// application wrote itself.
    pub fn from_stored(stored: &Stored) -> Result<Self, InsightError> {
        let report: Self = serde_json::from_value(stored.metrics.clone())
            .map_err(|error| InsightError::Unreadable(error.to_string()))?;
        if report.version == VERSION {
            Ok(report)
        } else {
            Err(InsightError::Unreadable(format!(
                "it has version {}, this program reads {VERSION}",
                report.version
            )))
        }
    }
}

/// Makes a report: of the period that ended last before `as_of`, or of the one that `day` lies in.
///
/// # Errors
/// [`InsightError::NoGym`] when the gym is not in scope, [`InsightError::TimeZone`] when its zone is not known,
/// [`InsightError::Db`].
pub async fn make(
    db: &Db,
    scope: &Scope,
    gym: GymId,
    kind: Kind,
    day: Option<NaiveDate>,
    as_of: DateTime<Utc>,
) -> Result<Report, InsightError> {
    let mut tx = db.begin(scope).await?;
    let report = read(&mut tx, gym, kind, day, as_of).await?;
    tx.commit().await?;
    Ok(report)
}

/// Makes a report and keeps it, in the place of an earlier one of the same period; returns it with its id.
///
/// # Errors
/// As [`make`].
pub async fn write(
    db: &Db,
    scope: &Scope,
    gym: GymId,
    kind: Kind,
    day: Option<NaiveDate>,
    as_of: DateTime<Utc>,
) -> Result<(Uuid, Report), InsightError> {
    let mut tx = db.begin(scope).await?;
    let report = read(&mut tx, gym, kind, day, as_of).await?;
    let id = report::keep(&mut tx, &report.stored(Uuid::now_v7())?).await?;
    tx.commit().await?;
    Ok((id, report))
}

async fn read(
    tx: &mut ScopedTx,
    gym: GymId,
    kind: Kind,
    day: Option<NaiveDate>,
    as_of: DateTime<Utc>,
) -> Result<Report, InsightError> {
    let found = gym::list(tx).await?.into_iter().find(|g| g.id == gym);
    let found = found.ok_or(InsightError::NoGym)?;
    let timezone: Tz = found
        .timezone
        .parse()
        .map_err(|_| InsightError::TimeZone(found.timezone.clone()))?;
    // As exactly as PostgreSQL keeps it.
    let as_of = as_of.trunc_subsecs(6);
    let today = as_of.with_timezone(&timezone).date_naive();
    let period = match day {
        None => kind.last_before(today),
        Some(day) => kind.around(day),
    };
    let window = |period: Period| {
        let (from, until) = period.bounds(timezone);
        Window { from, until, as_of }
    };
    let now = window(period);
    let earlier = window(kind.before(period));
    let mut figures = Vec::new();
    for figure in kind.figures() {
        let is = report::measure(tx, *figure, gym, now).await?;
        let before = if figure.is_of_now() {
            None
        } else {
            let was = report::measure(tx, *figure, gym, earlier).await?;
            Some(Before {
                value: rounded(was.value),
                n: was.n,
            })
        };
        figures.push(reading(*figure, is, before));
    }
    let mut charts = Vec::new();
    for chart in kind.charts() {
        charts.push(plot(*chart, report::plot(tx, *chart, gym, now).await?));
    }
    Ok(Report {
        version: VERSION,
        kind,
        gym: GymName {
            id: gym.as_uuid(),
            name: found.name,
            timezone,
            language: found.locale.parse().unwrap_or_default(),
        },
        period,
        from: now.from,
        until: now.until,
        as_of,
        analytics_as_of: report::analytics_as_of(tx, gym, as_of).await?,
        figures,
        charts,
    })
}

fn reading(figure: Figure, is: Measured, before: Option<Before>) -> Reading {
    Reading {
        key: figure.key().to_owned(),
        value: rounded(is.value),
        n: is.n,
        before,
    }
}

fn plot(chart: Chart, points: Vec<report::Point>) -> Plot {
    let bar = |point: report::Point| Bar {
        label: point.label,
        value: point.value,
    };
    Plot {
        key: chart.key().to_owned(),
        bars: points.into_iter().map(bar).collect(),
    }
}

/// Six decimals, so that the last bits of a mean do not depend on the order in which rows were read.
fn rounded(value: Option<f64>) -> Option<f64> {
    value.map(|value| (value * 1e6).round() / 1e6)
}
