#![doc = include_str!("../README.md")]

mod connect;
mod enqueue;
mod execution;
mod handler;
mod inspect;
mod job;
mod keeper;
mod lease;
mod runner;
mod schedule;
mod sql;

pub use connect::{Chance, Clock, Connect};
pub use enqueue::{CHANNEL, Enqueued, enqueue, enqueue_instead};
pub use handler::JobContext;
pub use inspect::{
    Backlog, Count, Filter, JobRecord, JobState, UnknownState, backlog, cancel, counts, find, list, prune,
    retry, retry_dead,
};
pub use job::{Backoff, Job, JobError, JobId, NewJob};
pub use runner::{Runner, RunnerBuilder};
pub use schedule::Schedule;
