//! The schema's migrations: what there is, what a database has, up and down.
//!
//! The history is `supabase_migrations.schema_migrations`, in the shape in which the Supabase CLI writes it, so
//! that both tools read and write the same one. Down migrations lie in a folder of their own, because beside the
//! others that CLI would run a down first.

pub mod adopt;
mod catalogue;
mod error;
mod history;
pub mod legacy;
mod loss;
mod mend;
mod names;
mod repair;
mod run;
mod source;
mod verify;

pub use catalogue::{Catalogue, Difference, Object};
pub use error::{MigrationError, repair_commands};
pub use history::{Entry, State};
pub use loss::Loss;
pub use repair::{Mark, Repaired, repair};
pub use run::{Applied, Reverted, Undoing, Which, down, plan_undo, status, undo, up};
pub use source::{Migration, Source, new_file};
pub use verify::{Finding, Verification, verify};

pub(crate) use history::check_current;

/// The migrations that this program brings along, oldest first.
pub fn list() -> Vec<Migration> {
    Source::embedded().migrations().to_vec()
}
