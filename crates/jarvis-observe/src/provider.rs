//! What a provider of models is seen to do.

use crate::METRICS;
use crate::cost::{self, ModelUse};

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

/// Notes where the breaker of this process stands; to be called when a provider is set up, at every change, and
/// whenever somebody looks.
pub fn note_breaker(breaker: Breaker) {
    let open = match breaker {
        Breaker::Closed => 0.0,
        Breaker::HalfOpen => 0.5,
        Breaker::Open => 1.0,
    };
    METRICS.model_breaker.set(&[], open);
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

/// Notes the price of a call in millionths of a US dollar, once it is known, as [`note_call`] notes its tokens.
pub fn note_price(what_for: &'static str, micro_usd: u64) {
    METRICS.model_cost.add(&[what_for], micro_usd);
    cost::add_price(micro_usd);
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
            note_price("test", 2);
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
}
