//! Counters, gauges and histograms whose labels are named once, in the table.

use super::Spec;
use prometheus_client::metrics::counter::Counter as RawCounter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge as RawGauge;
use prometheus_client::metrics::histogram::Histogram as RawHistogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

type Labels = Vec<(&'static str, String)>;
type Number = RawGauge<f64, AtomicU64>;

/// Seconds of a statement or a request.
const SHORT: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Seconds of a wait for work to be done.
const LONG: [f64; 12] = [
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0,
];

/// What makes the histograms of a family.
#[derive(Debug, Clone)]
struct Buckets(&'static [f64]);

impl MetricConstructor<RawHistogram> for Buckets {
    fn new_metric(&self) -> RawHistogram {
        RawHistogram::new(self.0.iter().copied())
    }
}

fn named(spec: &Spec, values: &[&str]) -> Labels {
    debug_assert_eq!(spec.labels.len(), values.len(), "{} has other labels", spec.name);
    spec.labels
        .iter()
        .copied()
        .zip(values.iter().map(|&value| value.to_owned()))
        .collect()
}

/// The name without what the format adds by itself.
fn registered_name(spec: &Spec) -> &'static str {
    spec.name.strip_suffix("_total").unwrap_or(spec.name)
}

/// Help ends with a full stop, which the library adds.
fn help(spec: &Spec) -> &'static str {
    spec.meaning.en.trim_end_matches('.')
}

/// Only grows.
#[derive(Debug, Clone)]
pub struct Counter {
    spec: &'static Spec,
    family: Family<Labels, RawCounter>,
}

impl Counter {
    pub(super) fn register(registry: &mut Registry, spec: &'static Spec) -> Self {
        let family = Family::default();
        registry.register(registered_name(spec), help(spec), family.clone());
        Self { spec, family }
    }

    /// Counts one, under these label values in the order of the table.
    pub fn inc(&self, values: &[&str]) {
        self.add(values, 1);
    }

    /// Counts so many; 0 makes the counter appear, so that its rate is known from the start.
    pub fn add(&self, values: &[&str], n: u64) {
        self.family.get_or_create(&named(self.spec, values)).inc_by(n);
    }

    /// What was counted under these label values.
    pub fn get(&self, values: &[&str]) -> u64 {
        self.family.get_or_create(&named(self.spec, values)).get()
    }
}

/// Goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge {
    spec: &'static Spec,
    family: Family<Labels, Number>,
}

impl Gauge {
    pub(super) fn register(registry: &mut Registry, spec: &'static Spec) -> Self {
        let family = Family::default();
        registry.register(registered_name(spec), help(spec), family.clone());
        Self { spec, family }
    }

    /// Sets it.
    pub fn set(&self, values: &[&str], to: f64) {
        self.family.get_or_create(&named(self.spec, values)).set(to);
    }

    /// Raises it to this, unless it is higher.
    pub fn at_least(&self, values: &[&str], at_least: f64) {
        let gauge = self.family.get_or_create_owned(&named(self.spec, values));
        if gauge.get() < at_least {
            gauge.set(at_least);
        }
    }

    /// Adds one until what is returned is dropped.
    pub fn hold(&self, values: &[&str]) -> Held {
        let gauge = self.family.get_or_create_owned(&named(self.spec, values));
        gauge.inc();
        Held(gauge)
    }

    /// Forgets every value: what is not known is not shown.
    pub fn clear(&self) {
        self.family.clear();
    }
}

/// One that is counted in a gauge until it is dropped.
#[derive(Debug)]
pub struct Held(Number);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts durations by size.
#[derive(Debug, Clone)]
pub struct Histogram {
    spec: &'static Spec,
    family: Family<Labels, RawHistogram, Buckets>,
}

impl Histogram {
    fn with(registry: &mut Registry, spec: &'static Spec, buckets: &'static [f64]) -> Self {
        let family = Family::new_with_constructor(Buckets(buckets));
        registry.register(registered_name(spec), help(spec), family.clone());
        Self { spec, family }
    }

    /// Up to 10 seconds.
    pub(super) fn short(registry: &mut Registry, spec: &'static Spec) -> Self {
        Self::with(registry, spec, &SHORT)
    }

    /// Up to 6 hours.
    pub(super) fn long(registry: &mut Registry, spec: &'static Spec) -> Self {
        Self::with(registry, spec, &LONG)
    }

    /// Counts a duration, of a metric without labels.
    pub fn observe(&self, took: Duration) {
        self.observe_as(&[], took);
    }

    /// Counts a duration under these label values in the order of the table.
    pub fn observe_as(&self, values: &[&str], took: Duration) {
        self.family
            .get_or_create(&named(self.spec, values))
            .observe(took.as_secs_f64());
    }

    /// Makes it appear with nothing observed.
    pub fn show(&self, values: &[&str]) {
        drop(self.family.get_or_create(&named(self.spec, values)));
    }
}
