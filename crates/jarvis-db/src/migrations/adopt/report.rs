use serde::Serialize;
use uuid::Uuid;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The operator must do something first; until then nothing is changed.
    Blocking,
    /// Settled by the adoption itself, without losing anything.
    Settled,
    /// Worth knowing.
    Note,
}

impl Severity {
    pub(super) fn parse(word: &str) -> Self {
        match word {
            "blocking" => Self::Blocking,
            "note" => Self::Note,
            _ => Self::Settled,
        }
    }
}

/// Something in the found database that does not go without saying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code, such as `duplicate_badge`.
    pub code: String,
    /// How much it weighs.
    pub severity: Severity,
    /// Table, column or object.
    pub place: String,
    /// How many rows, where rows are counted.
    pub rows: Option<i64>,
    /// What was found.
    pub detail: Option<String>,
    /// How it is settled, or what to do first.
    pub settlement: String,
}

/// What became of the rows of one table: `found = kept + held`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableAccount {
    /// The table.
    pub table: String,
    /// Rows found.
    pub found: i64,
    /// Rows in the new table.
    pub kept: i64,
    /// Whole rows set aside.
    pub held: i64,
    /// Kept rows of which a value was set aside.
    pub changed: i64,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Rehearsed and rolled back; it would work.
    Planned,
    /// Something must be done first; nothing was changed.
    Blocked,
    /// Done.
    Adopted,
    /// Was done before; nothing was changed, except for consents that were stated now.
    AlreadyAdopted,
}

/// What an adoption did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// The adoption's id in `jarvis.adoptions`; of a plan, none.
    pub id: Option<Uuid>,
    /// How it ended.
    pub verdict: Verdict,
    /// The reconciliation. Of a blocked adoption it tells what was found and nothing else.
    pub tables: Vec<TableAccount>,
    /// What was found and how it is settled, in the order of the work.
    pub findings: Vec<Finding>,
    /// Lines of consent that were written, or would be.
    pub consents: i64,
    /// How long the tables were locked, in milliseconds.
    pub locked_ms: u64,
}

impl Adopted {
    /// Whether something must be done first.
    pub fn is_blocked(&self) -> bool {
        self.verdict == Verdict::Blocked
    }
}
