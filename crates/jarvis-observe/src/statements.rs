//! Hears what `sqlx` tells of each statement, and counts it.

use crate::{METRICS, cost};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

const STATEMENT: &str = "sqlx::query";
const POOL: &str = "sqlx::pool::acquire";

/// Counts statements and waits for connections, and prints nothing.
#[derive(Debug, Default)]
pub struct Statements(());

/// The layer to lay beside the one that prints. It has a filter of its own, so that statements are counted whatever
/// is printed.
pub fn statements<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Statements(()).with_filter(ours())
}

fn ours<S>() -> impl Filter<S> {
    let filter: FilterFn<fn(&tracing::Metadata<'_>) -> bool> =
        filter_fn(|told| *told.level() <= Level::DEBUG && matches!(told.target(), STATEMENT | POOL));
    filter.with_max_level_hint(Level::DEBUG)
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seconds = Seconds(None);
        event.record(&mut seconds);
        let Some(took) = seconds.0.and_then(|s| Duration::try_from_secs_f64(s).ok()) else {
            return;
        };
        if event.metadata().target() == STATEMENT {
            cost::add_statement(took);
            METRICS.db_query_duration.observe(took);
        } else {
            cost::add_pool_wait(took);
            METRICS.db_pool_wait.observe(took);
        }
    }
}

/// The one number that is read; the text of the statement is not looked at.
struct Seconds(Option<f64>);

impl Visit for Seconds {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if matches!(field.name(), "elapsed_secs" | "acquired_after_secs") {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Bill;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[tokio::test]
    async fn statements_are_counted_while_nothing_is_printed() {
        let printing =
            tracing_subscriber::fmt::layer().with_filter(tracing_subscriber::filter::LevelFilter::OFF);
        let subscriber = tracing_subscriber::registry().with(printing).with(statements());
        let _guard = tracing::subscriber::set_default(subscriber);
        let bill = Bill::default();
        bill.charge(async {
            tracing::debug!(target: "sqlx::query", elapsed_secs = 0.25, "one");
            tracing::warn!(target: "sqlx::query", elapsed_secs = 1.5, "a slow one");
            tracing::debug!(target: "sqlx::pool::acquire", acquired_after_secs = 0.5, "a connection");
            tracing::debug!(target: "elsewhere", elapsed_secs = 9.0, "not ours");
        })
        .await;
        let cost = bill.so_far();
        assert_eq!((cost.statements, cost.database), (2, Duration::from_millis(1750)));
        assert_eq!(cost.pool_wait, Duration::from_millis(500));
    }

    /// What `sqlx` does after each statement of a few hundred bytes, when somebody listens.
    fn tell(sql: &str) {
        if tracing::enabled!(target: "sqlx::query", Level::DEBUG) {
            let mut summary = sql.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
            summary.push_str(" …");
            let whole = format!("\n\n{sql}\n");
            let elapsed = Duration::from_micros(400);
            tracing::debug!(target: "sqlx::query", summary, db.statement = whole, rows_affected = 1_u64,
                rows_returned = 1_u64, ?elapsed, elapsed_secs = elapsed.as_secs_f64());
        }
    }

    /// `cargo nextest run -p jarvis-observe --run-ignored only --no-capture measure`
    #[tokio::test]
    #[ignore = "a measurement"]
    async fn measure_the_cost_of_counting_a_statement() {
        let sql = "select m.id, m.first_name from public.gym_members_v2 m where m.gym_id = $1 ".repeat(4);
        let fastest = |counting: bool| {
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(std::io::sink)
                .with_filter(tracing_subscriber::filter::LevelFilter::INFO);
            let subscriber = tracing_subscriber::registry()
                .with(lines)
                .with(counting.then(statements));
            tracing::subscriber::with_default(subscriber, || {
                // The fastest of many short rounds is free of what else the machine does.
                let round = || {
                    let started = std::time::Instant::now();
                    (0..100).for_each(|_| tell(&sql));
                    started.elapsed() / 100
                };
                (0..500).map(|_| round()).min().unwrap_or_default()
            })
        };
        let (with, without) = (fastest(true), fastest(false));
        println!("a statement costs {with:?} counted, {without:?} not counted");
    }
}
