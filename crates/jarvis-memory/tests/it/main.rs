//! Memory against a real PostgreSQL: from a badge to the next visit.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod conversations;
mod facts;
mod forgetting;
mod injection;
mod keeping;
mod late_and_lost;
mod privacy;
mod providing;
mod reading;
mod recalling;
mod reembedding;
mod remembering_turns;
mod replaying;
mod speaking;
mod spending;
mod stage;
mod together;
mod withheld;
