//! Every metric of the program.
//!
//! A label has a word of a fixed list, a route's template or a job's kind: never a gym, of which there can be thousands,
//! never a member, never what somebody typed.

mod alerts;
mod kinds;
mod page;
mod table;

pub use alerts::{ALERTS, Alert, rules_file};
pub use kinds::{Counter, Gauge, Held, Histogram};
pub use page::page;
pub use table::{METRICS, Metrics, TABLE};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl Kind {
    /// The word that Prometheus uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A text in French and in English.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// In English.
    pub en: &'static str,
    /// In French.
    pub fr: &'static str,
}

/// What the table says of one metric.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Its name as it is scraped.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts, and in what unit.
    pub meaning: Text,
    /// When to worry; empty where it only explains others.
    pub worry: Text,
    /// Whether every process has it from its start; others come with what they count.
    pub from_the_start: bool,
}

/// The content type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
