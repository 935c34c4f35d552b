//! What a provider of models is seen to do.

use crate::METRICS;
use crate::cost::{self, ModelUse};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Where the circuit breaker before a provider stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Calls go through.
    Closed,
    /// One call at a time goes through, to see whether the provider is back.
    HalfOpen,
    /// No call goes through.
    Open,
}

const NONE: u8 = 0;
static BREAKER: AtomicU8 = AtomicU8::new(NONE);

/// Notes where the breaker of this process stands; to be called when a provider is set up and at every change.
pub fn note_breaker(breaker: Breaker) {
    let (mark, open) = match breaker {
        Breaker::Closed => (1, 0.0),
        Breaker::HalfOpen => (2, 0.5),
        Breaker::Open => (3, 1.0),
    };
    BREAKER.store(mark, Relaxed);
    METRICS.model_breaker.set(&[], open);
}

/// Where the breaker stands; `None` when no provider is set up.
pub fn breaker() -> Option<Breaker> {
    match BREAKER.load(Relaxed) {
        1 => Some(Breaker::Closed),
        2 => Some(Breaker::HalfOpen),
        3 => Some(Breaker::Open),
        _ => None,
    }
}

/// Notes a call of a model: what for (`embedding`, `extraction`), how it ended (`ok`, or the stable code of the
/// error), and what was used. It is counted in the metrics and on the bill of the request or job that waits for it.
pub fn note_call(what_for: &'static str, outcome: &'static str, used: ModelUse) {
    METRICS.model_calls.inc(&[what_for, outcome]);
    METRICS.model_tokens.add(&[what_for, "input"], used.input_tokens);
    METRICS
        .model_tokens
        .add(&[what_for, "output"], used.output_tokens);
    METRICS.model_cost.add(&[what_for], used.micro_usd);
    cost::add_model_call(used);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_breaker_is_told_as_it_was_noted() {
        assert_eq!(breaker(), None);
        for state in [Breaker::Open, Breaker::HalfOpen, Breaker::Closed] {
            note_breaker(state);
            assert_eq!(breaker(), Some(state));
        }
    }

    #[tokio::test]
    async fn a_call_is_on_the_bill_and_in_the_metrics() {
        let used = ModelUse {
            input_tokens: 11,
            output_tokens: 3,
            micro_usd: 2,
        };
        let bill = cost::Bill::default();
        bill.charge(async { note_call("test", "ok", used) }).await;
        let cost = bill.so_far();
        assert_eq!(
            (
                cost.model_calls,
                cost.input_tokens,
                cost.output_tokens,
                cost.micro_usd
            ),
            (1, 11, 3, 2)
        );
        assert_eq!(METRICS.model_tokens.get(&["test", "input"]), 11);
    }
}
