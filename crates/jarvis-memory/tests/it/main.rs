//! Memory against a real PostgreSQL: from a badge to the next visit.
#![expect(missing_docs, reason = "a test binary")]

mod conversations;
mod late_and_lost;
mod recalling;
mod stage;
mod withheld;
