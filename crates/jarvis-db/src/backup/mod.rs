//! Backup and restore: an encrypted dump that says what it holds, and a way back that is checked before it counts.
//!
//! A backup is an age file with a tar archive in it: a manifest, the signing key, and what `pg_dump` wrote. Counts and
//! sums of every table, taken in the snapshot that was dumped, make it possible to tell whether what comes back is
//! what went in. A restore builds a new database beside the old one, compares, applies past erasures again, and only
//! then takes the old one's name.

mod answers;
mod archive;
mod contents;
mod create;
mod error;
mod forgotten;
mod key;
mod ledger;
mod manifest;
mod place;
mod restore;
mod roles;
mod scratch;
mod sealed;
mod since;
mod tools;

pub use answers::Answers;
pub use create::{BackupRequest, Made, create};
pub use error::BackupError;
pub use key::{Keys, generate};
pub use ledger::{JOURNAL, Source as ErasureSource, keep_journal, read_file as read_erasures};
pub use place::{Kept, Label, Pruned, list, prune};
pub use restore::{RestoreRequest, Restored, restore, verify};
pub use sealed::{seal, unseal};

use archive::Visitor;
use manifest::Manifest;
use secrecy::SecretString;
use std::path::Path;

/// What a backup or a restore is doing, for a progress line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Counting and summing every table.
    Counting,
    /// Writing the dump.
    Dumping,
    /// Reading the backup from end to end.
    Reading,
    /// Loading it into a new database.
    Loading,
    /// Comparing what was loaded with the manifest.
    Comparing,
    /// Bringing the schema up to date.
    Migrating,
    /// Applying past erasures again.
    Erasing,
    /// Giving the new database the name of the old one.
    Swapping,
}

/// Hears about every [`Stage`].
pub type Progress<'a> = &'a (dyn Fn(Stage) + Send + Sync);

/// Reads the manifest, which stands at the beginning.
fn read_manifest(path: &Path, keys: &Keys) -> Result<Manifest, BackupError> {
    struct First(Option<Manifest>);
    impl Visitor for First {
        fn manifest(&mut self, manifest: Manifest) -> Result<bool, BackupError> {
            self.0 = Some(manifest);
            Ok(false)
        }
        fn signing_key(&mut self, _: SecretString) -> Result<(), BackupError> {
            Ok(())
        }
        fn dump(&mut self, _: &[u8]) -> Result<(), BackupError> {
            Ok(())
        }
    }
    let mut first = First(None);
    archive::read(path, keys, &mut first)?;
    first.0.ok_or_else(|| BackupError::NotABackup {
        path: path.to_owned(),
    })
}
