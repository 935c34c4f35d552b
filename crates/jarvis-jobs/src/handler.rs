//! Handlers, by kind.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::job::{Backoff, Job, JobError, JobId};

/// What a handler knows of the job it runs, beside the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobContext {
    /// Number of the job.
    pub id: JobId,
    /// Kind.
    pub kind: String,
    /// The gym it was enqueued for.
    pub gym_id: Option<Uuid>,
    /// This try, from 1.
    pub attempt: i16,
    /// Tries allowed.
    pub max_attempts: i16,
}

impl JobContext {
    /// Whether a failure of this try sends the job to the dead letters, whatever its error says.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.max_attempts
    }
}

type Work = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

/// A handler whose argument type is forgotten.
pub(crate) struct Handler {
    pub(crate) timeout: Duration,
    pub(crate) backoff: Backoff,
    call: Box<dyn Fn(JobContext, serde_json::Value) -> Work + Send + Sync>,
}

impl Handler {
    pub(crate) fn new<J, F, W>(handler: F) -> Self
    where
        J: Job,
        F: Fn(JobContext, J) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        Self {
            timeout: J::TIMEOUT,
            backoff: J::BACKOFF,
            call: Box::new(move |ctx, args| match serde_json::from_value::<J>(args) {
                Ok(job) => Box::pin(handler(ctx, job)),
                // The parser's message can quote the arguments; the code alone is kept.
                Err(_) => Box::pin(std::future::ready(Err(JobError::fail("args_invalid")))),
            }),
        }
    }

    pub(crate) fn call(&self, ctx: JobContext, args: serde_json::Value) -> Work {
        (self.call)(ctx, args)
    }
}

pub(crate) type Handlers = BTreeMap<&'static str, Arc<Handler>>;
