//! Finds the holes of a multi-tenant PostgreSQL that linters miss, in any database of version 15 or later.
//!
//! Two kinds of rules: queries of the catalogue (`sql/*.sql`), and probes that act as a visitor. Everything happens in
//! one `READ ONLY` transaction that is rolled back. A probe reads as the visitor; whether a visitor may write is asked
//! of the policies themselves, on sample rows, as the visitor: no trigger fires, no sequence moves, no row is locked.

mod catalogue;
mod probe;
mod rules;
mod samples;

pub use rules::{RULES, Rule, Said, Severity, rule};

use crate::DbError;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

/// What to look at, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Schemas to look at; empty for all that are neither PostgreSQL's nor the platform's.
    pub schemas: Vec<String>,
    /// Schemas that a data API exposes.
    pub exposed: Vec<String>,
    /// The column that names a row's tenant; none in a database of one tenant.
    pub tenant: Option<String>,
    /// Logins of processes that serve requests.
    pub logins: Vec<String>,
    /// Findings that were judged and accepted.
    pub allowed: Vec<Allowance>,
    /// An identity that nobody has.
    pub stranger: Uuid,
}

impl Settings {
    /// All schemas, `public` exposed, tenant `gym_id`, the logins that JARVIS and PostgREST use.
    pub fn new(stranger: Uuid) -> Self {
        Self {
            schemas: Vec::new(),
            exposed: vec!["public".to_owned()],
            tenant: Some("gym_id".to_owned()),
            logins: vec!["authenticator".to_owned(), "jarvis_login".to_owned()],
            allowed: Vec::new(),
            stranger,
        }
    }
}

/// A finding that was judged and accepted: `CODE`, or `CODE:OBJECT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    code: &'static str,
    object: Option<String>,
}

impl std::str::FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (code, object) = match text.split_once(':') {
            Some((code, object)) => (code, Some(object)),
            None => (text, None),
        };
        let known = rule(code).ok_or_else(|| format!("there is no rule `{code}`"))?;
        match object {
            Some("") => Err(format!(
                "name the object after `{code}:`, such as {code}:public.members"
            )),
            _ => Ok(Self {
                code: known.code,
                object: object.map(str::to_owned),
            }),
        }
    }
}

impl Allowance {
    fn covers(&self, finding: &Finding) -> bool {
        self.code == finding.code
            && self
                .object
                .as_ref()
                .is_none_or(|object| *object == finding.object)
    }
}

/// A hole, or what may be one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The rule.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, such as `public.members`.
    pub object: String,
    /// Which part of it: the name of a policy, constraint, column or role.
    pub part: Option<String>,
    /// What was seen; names only, never a row.
    pub what: Option<String>,
    /// What mends it: SQL where it can be given.
    pub mend: Option<String>,
}

/// What was looked at, and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The schemas that were looked at.
    pub schemas: Vec<String>,
    /// How many tables and views they have.
    pub relations: i64,
    /// How many questions were put as a visitor.
    pub probes: usize,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// What was found and had been accepted before.
    pub allowed: Vec<Finding>,
    /// What was looked at less closely than could be, and why.
    pub remarks: Vec<String>,
}

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LintError {
    /// The database said no.
    #[error(transparent)]
    Database(#[from] DbError),
    /// There is no such schema.
    #[error("there is no schema `{0}` in this database")]
    NoSchema(String),
    /// No table has the tenant column.
    #[error("no table has a column `{0}`, so no rule about tenants can be checked")]
    NoTenant(String),
    /// PostgreSQL is too old.
    #[error("this is PostgreSQL {0}; the rules need 15 or later")]
    TooOld(String),
}

impl From<sqlx::Error> for LintError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl LintError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Database(error) => error.hint().map(str::to_owned),
            Self::NoSchema(_) => Some("see `\\dn` in psql for their names".to_owned()),
            Self::NoTenant(_) => Some("name yours with --tenant COLUMN, or say --no-tenant".to_owned()),
            Self::TooOld(_) => None,
        }
    }
}

/// What a row's comment says to leave alone: `@lint-allow(code, code)`.
fn accepted_in(comment: Option<&str>, code: &str) -> bool {
    let mut rest = comment.unwrap_or_default();
    while let Some((_, after)) = rest.split_once("@lint-allow(") {
        let (codes, further) = after.split_once(')').unwrap_or((after, ""));
        if codes.split([',', ' ']).any(|word| word == code) {
            return true;
        }
        rest = further;
    }
    false
}

/// A finding, and the comment of what it is about.
struct Seen {
    finding: Finding,
    comment: Option<String>,
}

/// Accepted in the schema of JARVIS: rule, object, part. A session's id is made by the server (a UUID) and is the same
/// name everywhere, in the guide's own table too: no other tenant meets it by chance or by guessing.
const ACCEPTED_IN_OURS: [(&str, &str, &str); 1] = [(
    "unique_without_tenant",
    "public.conversation_summaries",
    "conversation_summaries_session_id_key",
)];

/// Looks at the database. Any login may ask; what this one may not see is named in the report.
///
/// # Errors
/// [`LintError`] when the database fails, or what was asked for is not there.
pub async fn run(conn: &mut PgConnection, settings: &Settings) -> Result<Report, LintError> {
    let mut tx = conn.begin_with("begin transaction read only").await?;
    let report = run_within(&mut tx, settings).await?;
    tx.rollback().await?;
    Ok(report)
}

/// Looks from within a transaction that is open, for example before a change of the schema is committed. Settings of the
/// transaction that it changes for itself are put back.
///
/// # Errors
/// As [`run`].
pub async fn run_within(conn: &mut PgConnection, settings: &Settings) -> Result<Report, LintError> {
    let patience = "set local statement_timeout = '10s'; set local lock_timeout = '2s'; set local jit = off";
    sqlx::raw_sql("savepoint linting").execute(&mut *conn).await?;
    sqlx::raw_sql(patience).execute(&mut *conn).await?;
    let place = catalogue::Place::find(conn, settings).await?;
    let mut report = Report {
        relations: place.relations,
        schemas: place.schemas.clone(),
        remarks: place.remarks.clone(),
        ..Report::default()
    };
    let mut seen = catalogue::look(conn, &place).await?;
    seen.extend(probe::ask(conn, settings, &place, &mut report).await?);
    sqlx::raw_sql("rollback to savepoint linting")
        .execute(conn)
        .await?;
    sort_out(seen, settings, place.is_ours(), &mut report);
    Ok(report)
}

fn sort_out(seen: Vec<Seen>, settings: &Settings, ours: bool, report: &mut Report) {
    let place = |finding: &Finding| RULES.iter().position(|rule| rule.code == finding.code);
    for Seen { finding, comment } in seen {
        let known = (
            finding.code,
            finding.object.as_str(),
            finding.part.as_deref().unwrap_or_default(),
        );
        let accepted = accepted_in(comment.as_deref(), finding.code)
            || settings
                .allowed
                .iter()
                .any(|allowance| allowance.covers(&finding))
            || ours && ACCEPTED_IN_OURS.contains(&known);
        let list = if accepted {
            &mut report.allowed
        } else {
            &mut report.findings
        };
        list.push(finding);
    }
    for list in [&mut report.findings, &mut report.allowed] {
        list.sort_by(|a, b| (place(a), &a.object, &a.part).cmp(&(place(b), &b.object, &b.part)));
        list.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_allowance_is_of_a_rule_and_names_an_object_or_none(
            at in 0..RULES.len(), object in "\\PC{0,12}", other in "[a-z_]{0,12}:?\\PC{0,6}",
        ) {
            let code = RULES[at].code;
            let whole = code.parse::<Allowance>().unwrap();
            prop_assert_eq!((whole.code, whole.object), (code, None));
            let named = format!("{code}:{object}").parse::<Allowance>();
            let expected = (!object.is_empty()).then_some(Allowance { code, object: Some(object) });
            prop_assert_eq!(named.ok(), expected);
            let (word, _) = other.split_once(':').unwrap_or((&other, ""));
            prop_assert!(rule(word).is_some() || other.parse::<Allowance>().is_err());
        }
    }
}
