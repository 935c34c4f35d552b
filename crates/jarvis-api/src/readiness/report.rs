//! The report, as `/readyz` gives it.

use super::cause::{Cause, Standing};
use super::pulse::{Look, Pulse};
use super::signs::Readiness;
use chrono::{DateTime, NaiveDate, Utc};
use jarvis_core::Language;
use jarvis_memory::{Embedder, Memory};
use jarvis_observe::METRICS;
use jarvis_observe::provider::{Breaker, note_breaker};
use serde::Serialize;
use utoipa::ToSchema;

/// A job that waits for longer than this is waited for in vain.
const QUEUE_PATIENCE_SECONDS: f64 = 300.0;
/// A model's last day is told from so many days before, as by `jarvis doctor`.
const ANNOUNCED_DAYS: i64 = 90;
/// From so many days before, somebody must do something about it.
const ENDING_DAYS: i64 = 30;

/// Who reads a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Anybody: codes and hints, no host and no message of a program behind.
    Anybody,
    /// Who reaches the listener for operators.
    Operator,
}

/// How well the process works, and why not better.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadinessReport {
    /// The worst of the parts.
    pub(crate) status: Standing,
    /// The process itself: down as soon as it is told to stop.
    process: Part,
    /// The database.
    database: Part,
    /// Its schema. Absent while the database is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Part>,
    /// The jobs that wait. Absent while the database is down or its schema is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Part>,
    /// The embedding model. Without one, recall is by words.
    embedding: Part,
    /// The worker of this process, which makes memory of ended sessions. Absent where another process does.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Part>,
    /// The provider of embeddings. Absent when this machine computes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Part>,
    /// The model of a provider that reads conversations. Absent when rules alone do.
    #[serde(skip_serializing_if = "Option::is_none")]
    reader: Option<Part>,
    /// The disk of the embedded PostgreSQL. Absent where PostgreSQL is yours.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<Part>,
}

/// One part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Part {
    /// How well it works.
    status: Standing,
    /// Why not better: a stable code.
    cause: Option<Cause>,
    /// What to do about it, in the language of `Accept-Language` (French or English).
    hint: Option<&'static str>,
    /// What was observed; only for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Which one, such as the model's name.
    name: Option<String>,
    /// When it was last seen at work.
    last_seen_at: Option<DateTime<Utc>>,
    /// The last day on which the model's provider serves it; told from 90 days before.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_on: Option<NaiveDate>,
}

impl ReadinessReport {
    fn parts(&self) -> [(&'static str, Option<&Part>); 9] {
        [
            ("process", Some(&self.process)),
            ("database", Some(&self.database)),
            ("schema", self.schema.as_ref()),
            ("queue", self.queue.as_ref()),
            ("embedding", Some(&self.embedding)),
            ("worker", self.worker.as_ref()),
            ("provider", self.provider.as_ref()),
            ("reader", self.reader.as_ref()),
            ("disk", self.disk.as_ref()),
        ]
    }

    fn show(&self) {
        METRICS.ready.clear();
        for (name, part) in self.parts() {
            let Some(part) = part else { continue };
            let value = match part.status {
                Standing::Ready => 1.0,
                Standing::Degraded => 0.5,
                Standing::Down => 0.0,
            };
            METRICS.ready.set(&[name], value);
        }
    }
}

/// Makes parts for one reader.
struct Writer {
    language: Language,
    audience: Audience,
}

impl Writer {
    fn part(&self, cause: Option<Cause>) -> Part {
        Part {
            status: cause.map_or(Standing::Ready, Cause::standing),
            cause,
            hint: cause.map(|c| c.hint(self.language)),
            detail: None,
            name: None,
            last_seen_at: None,
            ends_on: None,
        }
    }

    /// A model of a provider, whose failing is told before its end.
    fn model(&self, failing: Option<String>, last_day: Option<NaiveDate>, today: NaiveDate) -> Part {
        let within = |days| last_day.filter(|end| (*end - today).num_days() <= days);
        let ending = within(ENDING_DAYS).map(|_| Cause::ModelEnding);
        let cause = failing.as_ref().map(|_| Cause::ProviderFailing).or(ending);
        Part {
            detail: self.detail(failing),
            ends_on: within(ANNOUNCED_DAYS),
            ..self.part(cause)
        }
    }

    fn observed(&self, seen: Option<&(Cause, String)>) -> Part {
        Part {
            detail: self.detail(seen.map(|(_, detail)| detail.clone())),
            ..self.part(seen.map(|(cause, _)| *cause))
        }
    }

    fn detail(&self, detail: Option<String>) -> Option<String> {
        detail.filter(|_| self.audience == Audience::Operator)
    }

    fn queue(&self, look: &Look) -> Option<Part> {
        if look.database.is_some() || look.schema.is_some() {
            return None;
        }
        let overdue = look.backlog.iter().map(|b| b.overdue_seconds).fold(0.0, f64::max);
        let stuck = overdue > QUEUE_PATIENCE_SECONDS;
        let detail = stuck.then(|| format!("the oldest job that waits has been due for {overdue:.0} s"));
        Some(Part {
            detail: self.detail(detail),
            ..self.part(stuck.then_some(Cause::QueueStuck))
        })
    }

    fn embedding(&self, embedder: &Embedder) -> Part {
        let cause = match embedder.breaker() {
            Some(Breaker::Open | Breaker::HalfOpen) => Cause::ProviderFailing,
            Some(Breaker::Closed) | None => Cause::EmbeddingUnavailable,
        };
        Part {
            name: embedder.model().map(str::to_owned),
            ..self.observed(embedder.lacking().map(|why| (cause, why)).as_ref())
        }
    }
}

/// Looks at everything. The metrics of readiness are brought up to date.
pub(crate) async fn report(
    memory: &Memory,
    readiness: &Readiness,
    pulse: &Pulse,
    language: Language,
    audience: Audience,
) -> ReadinessReport {
    let look = pulse.look(memory).await;
    let write = Writer { language, audience };
    let stopping = readiness.is_stopping().then_some(Cause::Stopping);
    let worker = readiness.worker(memory.clock.now());
    // What the breaker told when a call last moved it is not where it stands now: a pause ends by itself.
    let breaker = memory.embedder.breaker();
    if let Some(breaker) = breaker {
        note_breaker("embedding", breaker);
    }
    if let Some(reader) = &memory.reader {
        note_breaker("extraction", reader.standing());
    }
    let today = memory.clock.now().date_naive();
    let mut report = ReadinessReport {
        status: Standing::Ready,
        process: write.part(stopping),
        database: write.observed(look.database.as_ref()),
        schema: look
            .database
            .is_none()
            .then(|| write.observed(look.schema.as_ref())),
        queue: write.queue(&look),
        embedding: write.embedding(&memory.embedder),
        worker: worker.map(|(last_seen_at, cause)| Part {
            last_seen_at,
            ..write.part(cause)
        }),
        provider: breaker.map(|breaker| {
            let failing = (breaker != Breaker::Closed).then(|| memory.embedder.lacking());
            write.model(failing.flatten(), memory.embedder.last_day(), today)
        }),
        reader: memory.reader.as_ref().map(|reader| Part {
            name: Some(reader.model.clone()),
            ..write.model(reader.lacking(), reader.last_day(), today)
        }),
        disk: readiness.disk().map(|disk| write.part(disk.err())),
    };
    let parts = report.parts();
    let worst = parts.iter().filter_map(|(_, part)| part.map(|p| p.status)).max();
    report.status = worst.unwrap_or(Standing::Ready);
    METRICS.all_at_once(|| report.show());
    report
}
