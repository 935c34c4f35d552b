//! What one request or job costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

tokio::task_local! {
    static METER: Arc<Meter>;
}

#[derive(Debug, Default)]
struct Meter {
    statements: AtomicU64,
    database_ns: AtomicU64,
    pool_wait_ns: AtomicU64,
    model_calls: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    pico_usd: AtomicU64,
}

/// Prices have six decimals for a million tokens, so a token's price has twelve.
pub(crate) const PICO_PER_MICRO: u64 = 1_000_000;

/// What was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Statements sent to the database, those that begin and end transactions included.
    pub statements: u64,
    /// Time from sending them to having their answers, read out. At the same time counts twice.
    pub database: Duration,
    /// Time waited for a connection of the pool.
    pub pool_wait: Duration,
    /// Calls of models at a provider, retries not counted.
    pub model_calls: u64,
    /// Tokens that models read.
    pub input_tokens: u64,
    /// Tokens that models wrote.
    pub output_tokens: u64,
    /// The price of those calls, in millionths of a US dollar, as far as it is known; the last one may be begun only.
    pub micro_usd: u64,
}

/// Tokens of one call of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelUse {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
}

/// A bill that is still running. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Bill(Arc<Meter>);

impl Bill {
    /// Runs `work` on this bill: what it does in its own task is counted. Work that it spawns is not, unless it is
    /// given a clone.
    pub async fn charge<F: Future>(&self, work: F) -> F::Output {
        METER.scope(Arc::clone(&self.0), work).await
    }

    /// What was spent until now.
    pub fn so_far(&self) -> Cost {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let time = |counter: &AtomicU64| Duration::from_nanos(counter.load(Relaxed));
        Cost {
            statements: read(&self.0.statements),
            database: time(&self.0.database_ns),
            pool_wait: time(&self.0.pool_wait_ns),
            model_calls: read(&self.0.model_calls),
            input_tokens: read(&self.0.input_tokens),
            output_tokens: read(&self.0.output_tokens),
            micro_usd: read(&self.0.pico_usd).div_ceil(PICO_PER_MICRO),
        }
    }
}

/// The bill of this task, if it has one: for work that another task does for it.
pub fn bill() -> Option<Bill> {
    METER.try_with(|meter| Bill(Arc::clone(meter))).ok()
}

/// Adds a statement that took so long to the bill of this task, if it has one.
pub fn add_statement(took: Duration) {
    charge(|meter| {
        meter.statements.fetch_add(1, Relaxed);
        meter.database_ns.fetch_add(nanos(took), Relaxed);
    });
}

/// Adds a wait for a connection to the bill of this task, if it has one.
pub fn add_pool_wait(waited: Duration) {
    charge(|meter| {
        meter.pool_wait_ns.fetch_add(nanos(waited), Relaxed);
    });
}

/// Adds the call of a model to the bill of this task, if it has one.
pub fn add_model_call(used: ModelUse) {
    charge(|meter| {
        meter.model_calls.fetch_add(1, Relaxed);
        meter.input_tokens.fetch_add(used.input_tokens, Relaxed);
        meter.output_tokens.fetch_add(used.output_tokens, Relaxed);
    });
}

/// Adds the price of a model's call, in millionths of a millionth of a US dollar, to the bill of this task, if it has one.
pub fn add_price(pico_usd: u64) {
    charge(|meter| {
        meter.pico_usd.fetch_add(pico_usd, Relaxed);
    });
}

/// Time that this task's bill shows as waited for connections; nothing without a bill.
pub fn pool_wait_so_far() -> Duration {
    METER
        .try_with(|meter| Duration::from_nanos(meter.pool_wait_ns.load(Relaxed)))
        .unwrap_or_default()
}

fn charge(add: impl FnOnce(&Meter)) {
    // Work outside of requests and jobs is nobody's: a command, the queue's own heartbeat.
    let _nobodys = METER.try_with(|meter| add(meter));
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_charged_to_its_own_bill_and_to_no_other() {
        let (one, other) = (Bill::default(), Bill::default());
        let work = async {
            add_statement(Duration::from_millis(2));
            tokio::task::yield_now().await;
            add_statement(Duration::from_millis(3));
            add_pool_wait(Duration::from_millis(1));
        };
        tokio::join!(
            one.charge(work),
            other.charge(async {
                add_model_call(ModelUse {
                    input_tokens: 7,
                    ..ModelUse::default()
                });
                add_price(1_400_000);
                add_price(1_400_000);
            }),
        );
        add_statement(Duration::from_secs(1));
        let cost = one.so_far();
        assert_eq!((cost.statements, cost.database), (2, Duration::from_millis(5)));
        assert_eq!((cost.pool_wait, cost.model_calls), (Duration::from_millis(1), 0));
        assert_eq!((other.so_far().model_calls, other.so_far().input_tokens), (1, 7));
        assert_eq!((cost.micro_usd, other.so_far().micro_usd), (0, 3));
        assert_eq!(other.so_far().statements, 0);
    }

    #[tokio::test]
    async fn the_bill_of_a_task_can_be_given_to_another() {
        assert!(super::bill().is_none());
        let bill = Bill::default();
        let given = bill.charge(async { super::bill().unwrap() }).await;
        given.charge(async { add_statement(Duration::ZERO) }).await;
        assert_eq!(bill.so_far().statements, 1);
    }

    #[tokio::test]
    async fn a_spawned_task_is_charged_when_it_is_given_the_bill() {
        let bill = Bill::default();
        let given = bill.clone();
        bill.charge(async {
            let with =
                tokio::spawn(async move { given.charge(async { add_statement(Duration::ZERO) }).await });
            let without = tokio::spawn(async { add_statement(Duration::ZERO) });
            with.await.unwrap();
            without.await.unwrap();
        })
        .await;
        assert_eq!(bill.so_far().statements, 1);
    }
}
