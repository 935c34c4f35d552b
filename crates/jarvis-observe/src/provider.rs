//! What a provider of models is seen to do.

use crate::METRICS;
use crate::cost::{self, ModelUse, PICO_PER_MICRO};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

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

/// Notes where the breaker before the model of one use (`embedding`, `extraction`) stands in this process; to be called
/// when a provider is set up, at every change, and whenever somebody looks.
pub fn note_breaker(what_for: &'static str, breaker: Breaker) {
    let open = match breaker {
        Breaker::Closed => 0.0,
        Breaker::HalfOpen => 0.5,
        Breaker::Open => 1.0,
    };
    METRICS.model_breaker.set(&[what_for], open);
}

/// Notes a call of a model: what for (`embedding`, `extraction`), how it ended (`ok`, or the stable code of the
/// error), and what was used. It is counted in the metrics and on the bill of the request or job that waits for it.
pub fn note_call(what_for: &'static str, outcome: &'static str, used: ModelUse) {
    METRICS.model_calls.inc(&[what_for, outcome]);
    METRICS.model_tokens.add(&[what_for, "input"], used.input_tokens);
    METRICS
        .model_tokens
        .add(&[what_for, "output"], used.output_tokens);
    cost::add_model_call(used);
}

/// What is left of prices below a millionth of a dollar, by use: it counts as soon as it makes one.
static BELOW_A_MICRO: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Notes the price of a call in millionths of a millionth of a US dollar, once it is known, as [`note_call`] notes its
/// tokens. The metric counts whole millionths and loses nothing of many small prices.
pub fn note_price(what_for: &'static str, pico_usd: u64) {
    {
        // Whole after every statement, whoever panicked.
        let mut rests = BELOW_A_MICRO.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = rests.entry(what_for).or_default();
        let sum = rest.saturating_add(pico_usd);
        *rest = sum % PICO_PER_MICRO;
        METRICS.model_cost.add(&[what_for], sum / PICO_PER_MICRO);
    }
    cost::add_price(pico_usd);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_is_on_the_bill_and_in_the_metrics() {
        let used = ModelUse {
            input_tokens: 11,
            output_tokens: 3,
        };
        let bill = cost::Bill::default();
        let noting = async {
            note_call("test", "ok", used);
            note_price("test", 2_000_000);
        };
        bill.charge(noting).await;
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
        assert_eq!(METRICS.model_cost.get(&["test"]), 2);
    }

    #[test]
    fn ten_thousand_calls_of_a_twentieth_of_a_millionth_cost_five_hundred_millionths() {
        for _ in 0..10_000 {
            note_price("small", 50_000);
        }
        assert_eq!(METRICS.model_cost.get(&["small"]), 500);
    }
}
