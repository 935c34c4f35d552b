//! How a command ends: 0 ok, 1 failure, 2 wrong use, 3 findings.

use crate::output::Output;
use jarvis_core::Language;
use jarvis_db::DbError;
use jarvis_db::backup::BackupError;
use jarvis_db::migrations::MigrationError;
use jarvis_memory::MemoryError;
use std::process::ExitCode;

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Nothing to complain about.
    Ok,
    /// It found something that needs a person: exit code 3.
    Findings,
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> Self {
        match done {
            Done::Ok => Self::SUCCESS,
            Done::Findings => Self::from(3),
        }
    }
}

/// The command cannot be carried out as it was given: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub String);

/// Tells a taken name from other errors of the database: `taken` says what is taken and what to do.
pub fn or_taken(error: DbError, taken: impl FnOnce() -> String) -> anyhow::Error {
    match error {
        DbError::Conflict { .. } => WrongUse(taken()).into(),
        other => other.into(),
    }
}

/// An error that says the way out.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct WithHint {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub hint: String,
}

/// Says who could have done what was refused, for commands that only the owner of the database can carry out.
pub fn needs_owner(error: anyhow::Error) -> anyhow::Error {
    let denied = match error.downcast_ref::<MigrationError>() {
        Some(MigrationError::Database(e)) => matches!(e, DbError::Denied { .. }),
        Some(MigrationError::Failed { message, .. } | MigrationError::Adoption { message, .. }) => {
            message.contains("42501")
        }
        Some(_) => false,
        None => {
            matches!(error.downcast_ref(), Some(DbError::Denied { .. }))
                || matches!(
                    error.downcast_ref(),
                    Some(BackupError::Database(DbError::Denied { .. }))
                )
        }
    };
    if !denied {
        return error;
    }
    WithHint {
        problem: error.to_string(),
        hint: "this is for the owner of the database: set JARVIS_ADMIN_DATABASE_URL to the login that ran \
               `jarvis migration up`"
            .to_owned(),
    }
    .into()
}

/// Tells what went wrong, once, with its causes and the way out.
pub fn report(output: Output, error: &anyhow::Error) -> ExitCode {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    output.error(&causes, hint_of(error).as_deref());
    let refused = error.downcast_ref::<MigrationError>().is_some_and(|e| {
        matches!(
            e,
            MigrationError::ForeignSchema { .. }
                | MigrationError::UnknownVersions { .. }
                | MigrationError::NamesTaken { .. }
                | MigrationError::NoLegacyImport
                | MigrationError::Refused { .. }
                | MigrationError::DataLoss { .. }
                | MigrationError::BadSource(_)
                | MigrationError::NoSuchVersion { .. }
                | MigrationError::NothingToAdopt { .. }
                | MigrationError::UnknownModel { .. }
        )
    });
    let refused = refused || matches!(error.downcast_ref(), Some(MemoryError::Refused { .. }));
    let refused = refused
        || error
            .downcast_ref::<BackupError>()
            .is_some_and(BackupError::is_refusal);
    // A guardian must have been asked, what the predecessor left be settled before a member is erased, and the data map be
    // complete before an export.
    let refused = refused
        || error.chain().any(|cause| {
            matches!(cause.downcast_ref(), Some(DbError::Refused { code, .. }) if ["JC002", "JE002", "JP001"].contains(&code.as_str()))
        });
    if refused || error.is::<WrongUse>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(e) = cause.downcast_ref::<WithHint>() {
            return Some(e.hint.clone());
        }
        if let Some(e) = cause.downcast_ref::<MigrationError>() {
            return e.hint();
        }
        if let Some(e) = cause.downcast_ref::<BackupError>() {
            return e.hint();
        }
        if let Some(e) = cause.downcast_ref::<jarvis_db::embedded::EmbeddedError>() {
            return e.hint();
        }
        if let Some(MemoryError::Refused { code, .. }) = cause.downcast_ref::<MemoryError>() {
            return Some(code.hint(Language::En).to_owned());
        }
        cause
            .downcast_ref::<DbError>()
            .and_then(|e| e.hint().map(str::to_owned))
    })
}
