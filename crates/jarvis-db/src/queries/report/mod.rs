//! The numbers of a report. Each is one statement of its own in a file of its own, so that a report can show, beside every
//! number, the statement it comes from.

use crate::{DbError, ScopedTx};
use chrono::{DateTime, Utc};
use jarvis_core::GymId;
use uuid::Uuid;

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The number; none where nothing could be counted, such as the mean of nothing.
    pub value: Option<f64>,
    /// Of how many.
    pub n: i64,
}

/// One bar of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// A day, an hour, a topic, a band.
    pub label: String,
    /// How many.
    pub value: f64,
}

/// From when until when (exclusive), and what was written down by when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: DateTime<Utc>,
    /// The first moment after.
    pub until: DateTime<Utc>,
    /// What was recorded later is left out.
    pub as_of: DateTime<Utc>,
}

struct Row {
    value: Option<f64>,
    n: Option<i64>,
}

struct Bar {
    label: Option<String>,
    value: Option<f64>,
}

macro_rules! statements {
    ($(#[$doc:meta])* $name:ident: $($(#[$each:meta])* $variant:ident = $key:literal, $shape:ident $path:literal;)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$each])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name, in the report.
            pub fn key(self) -> &'static str {
                match self { $(Self::$variant => $key,)+ }
            }

            /// The one of this name.
            pub fn named(key: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.key() == key)
            }

            /// The statement: `$1` is the gym; `$2`, `$3` and `$4` the window's `from`, `until` and `as_of`, or `$2` the
            /// window's `as_of` where [`Self::is_of_now`].
            pub fn sql(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)),)+ }
            }

            /// Whether it tells how things stood at `as_of`, not what happened between two moments.
            pub fn is_of_now(self) -> bool {
                match self { $(Self::$variant => statements!(@now $shape),)+ }
            }
        }
    };
    (@now period) => { false };
    (@now now) => { true };
}

macro_rules! fetch {
    ($row:ident, $fetch:ident, $tx:ident, $path:literal, period, $gym:ident, $w:ident) => {
        sqlx::query_file_as!($row, $path, $gym.as_uuid() as Uuid, $w.from, $w.until, $w.as_of)
            .$fetch(&mut **$tx)
            .await?
    };
    ($row:ident, $fetch:ident, $tx:ident, $path:literal, now, $gym:ident, $w:ident) => {
        sqlx::query_file_as!($row, $path, $gym.as_uuid() as Uuid, $w.as_of)
            .$fetch(&mut **$tx)
            .await?
    };
}

/// Calls a macro with every number of a report.
macro_rules! figures {
    ($with:ident) => {
        $with! {
            /// A number of a report.
            Figure:
            /// Visits.
            Visits = "visits", period "src/queries/report/visits.sql";
            /// Members who came.
            Visitors = "visitors", period "src/queries/report/visitors.sql";
            /// Visits of a member who came, on average.
            VisitsPerVisitor = "visits_per_visitor", period "src/queries/report/visits_per_visitor.sql";
            /// Conversations.
            Conversations = "conversations", period "src/queries/report/conversations.sql";
            /// Members who spoke.
            Speakers = "speakers", period "src/queries/report/speakers.sql";
            /// Conversations that could not be processed.
            FailedConversations = "failed_conversations", period "src/queries/report/failed_conversations.sql";
            /// Mean sentiment, −1 to 1.
            Mood = "mood", period "src/queries/report/mood.sql";
            /// Share of negative conversations.
            NegativeShare = "negative_share", period "src/queries/report/negative_share.sql";
            /// Share of positive conversations.
            PositiveShare = "positive_share", period "src/queries/report/positive_share.sql";
            /// Memberships that began.
            NewMembers = "new_members", period "src/queries/report/new_members.sql";
            /// Alerts raised.
            AlertsRaised = "alerts_raised", period "src/queries/report/alerts_raised.sql";
            /// Complaints.
            Complaints = "complaints", period "src/queries/report/complaints.sql";
            /// Alerts resolved.
            AlertsResolved = "alerts_resolved", period "src/queries/report/alerts_resolved.sql";
            /// Median hours from an alert to its resolution.
            AlertHours = "alert_hours", period "src/queries/report/alert_hours.sql";
            /// Active members.
            Members = "members", now "src/queries/report/members.sql";
            /// Active members who have not come for 14 days.
            Away = "away", now "src/queries/report/away.sql";
            /// Members at high or critical risk of leaving.
            AtRisk = "at_risk", now "src/queries/report/at_risk.sql";
            /// Mean engagement, 0 to 1.
            Engagement = "engagement", now "src/queries/report/engagement.sql";
            /// Open alerts.
            AlertsOpen = "alerts_open", now "src/queries/report/alerts_open.sql";
            /// Open alerts of high or urgent priority.
            AlertsPressing = "alerts_pressing", now "src/queries/report/alerts_pressing.sql";
            /// Kiosks not heard of for an hour.
            KiosksSilent = "kiosks_silent", now "src/queries/report/kiosks_silent.sql";
        }
    };
}

/// Calls a macro with every chart of a report.
macro_rules! charts {
    ($with:ident) => {
        $with! {
            /// A chart of a report.
            Chart:
            /// Visits on each day.
            VisitsByDay = "visits_by_day", period "src/queries/report/visits_by_day.sql";
            /// Visits in each hour of the day.
            VisitsByHour = "visits_by_hour", period "src/queries/report/visits_by_hour.sql";
            /// What at least five members spoke of, and how many did.
            Topics = "topics", period "src/queries/report/topics.sql";
            /// Active members in each band of risk.
            Bands = "bands", now "src/queries/report/bands.sql";
        }
    };
}

macro_rules! measure {
    ($(#[$doc:meta])* $name:ident: $($(#[$each:meta])* $variant:ident = $key:literal, $shape:ident $path:literal;)+) => {
        /// Counts one number.
        pub async fn measure(tx: &mut ScopedTx, figure: Figure, gym: GymId, window: Window) -> Result<Measured, DbError> {
            let row = match figure { $(Figure::$variant => fetch!(Row, fetch_one, tx, $path, $shape, gym, window),)+ };
            Ok(Measured { value: row.value, n: row.n.unwrap_or_default() })
        }
    };
}

macro_rules! plot {
    ($(#[$doc:meta])* $name:ident: $($(#[$each:meta])* $variant:ident = $key:literal, $shape:ident $path:literal;)+) => {
        /// Counts the bars of one chart, in their order.
        pub async fn plot(tx: &mut ScopedTx, chart: Chart, gym: GymId, window: Window) -> Result<Vec<Point>, DbError> {
            let bars = match chart { $(Chart::$variant => fetch!(Bar, fetch_all, tx, $path, $shape, gym, window),)+ };
            let point = |bar: Bar| Point { label: bar.label.unwrap_or_default(), value: bar.value.unwrap_or_default() };
            Ok(bars.into_iter().map(point).collect())
        }
    };
}

figures!(statements);
charts!(statements);
figures!(measure);
charts!(plot);

/// When the analytics of the gym's members were last computed, at or before this moment.
pub async fn analytics_as_of(
    tx: &mut ScopedTx,
    gym: GymId,
    as_of: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, DbError> {
    let at = sqlx::query_scalar!(
        "select max(updated_at) from public.member_analytics where gym_id = $1 and updated_at <= $2",
        gym.as_uuid(),
        as_of
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(at)
}

/// A report as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// The gym.
    pub gym_id: Uuid,
    /// Its kind, such as `weekly_digest`.
    pub report_type: String,
    /// Its title, in the gym's language.
    pub title: String,
    /// One sentence.
    pub summary: Option<String>,
    /// What stands out: a list of sentences.
    pub insights: serde_json::Value,
    /// The whole report in its canonical form.
    pub metrics: serde_json::Value,
    /// What to do: `{title, description, priority}` each.
    pub recommendations: serde_json::Value,
    /// The first moment it is about.
    pub period_start: DateTime<Utc>,
    /// The first moment after.
    pub period_end: DateTime<Utc>,
    /// As of when it was made.
    pub generated_at: DateTime<Utc>,
}

/// Keeps a report, in the place of an earlier one of the same kind and period, whose id it then has; returns the id.
pub async fn keep(tx: &mut ScopedTx, report: &Stored) -> Result<Uuid, DbError> {
    let id = sqlx::query_scalar!(
        "insert into public.insights_reports as r
           (id, gym_id, report_type, title, summary, insights, metrics, recommendations, period_start, period_end, generated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (gym_id, report_type, period_start, period_end) do update
            set title = excluded.title, summary = excluded.summary, insights = excluded.insights, metrics = excluded.metrics,
                recommendations = excluded.recommendations, generated_at = excluded.generated_at
         returning id",
        report.id,
        report.gym_id,
        report.report_type,
        report.title,
        report.summary,
        report.insights,
        report.metrics,
        report.recommendations,
        report.period_start,
        report.period_end,
        report.generated_at,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(id)
}

/// The reports of a gym, the newest period first; of one kind alone when it is named.
pub async fn list(
    tx: &mut ScopedTx,
    gym: GymId,
    report_type: Option<&str>,
    most: i64,
) -> Result<Vec<Stored>, DbError> {
    let stored = sqlx::query_as!(
        Stored,
        "select id, gym_id, report_type, title, summary, insights, metrics, recommendations, period_start, period_end, generated_at
           from public.insights_reports
          where gym_id = $1 and ($2::text is null or report_type = $2)
          order by period_end desc, period_start desc, report_type, id limit $3",
        gym.as_uuid(),
        report_type,
        most,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(stored)
}

/// One report; none when there is no such, or it is another gym's.
pub async fn find(tx: &mut ScopedTx, id: Uuid) -> Result<Option<Stored>, DbError> {
    let stored = sqlx::query_as!(
        Stored,
        "select id, gym_id, report_type, title, summary, insights, metrics, recommendations, period_start, period_end, generated_at
           from public.insights_reports where id = $1",
        id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(stored)
}
