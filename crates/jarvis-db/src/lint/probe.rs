//! The rules that only asking as a visitor answers.

use super::catalogue::Place;
use super::rules::{self, TARGETS};
use super::samples::{self, Sampled};
use super::{Finding, LintError, Report, Seen, Settings};
use crate::DbError;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::collections::{BTreeMap, BTreeSet};

/// Bits of `pg_relation_is_updatable`.
const UPDATE: i32 = 1 << 2;
const INSERT: i32 = 1 << 3;
const DELETE: i32 = 1 << 4;

/// Somebody who asks from outside.
struct Visitor {
    role: &'static str,
    label: &'static str,
    /// The codes of a read, an insert, an update and a delete that worked.
    codes: [&'static str; 4],
    sub: String,
    claims: String,
}

const ANON: [&str; 4] = [
    "anon_can_read",
    "anon_can_insert",
    "anon_can_update",
    "anon_can_delete",
];
const STRANGER: [&str; 4] = [
    "stranger_can_read",
    "stranger_can_insert",
    "stranger_can_update",
    "stranger_can_delete",
];

fn visitors(settings: &Settings) -> [Visitor; 4] {
    let stranger = settings.stranger.to_string();
    let visitor = |role, label, codes, sub: &str, claims: String| Visitor {
        role,
        label,
        codes,
        sub: sub.to_owned(),
        claims,
    };
    [
        visitor("anon", "anon without claims", ANON, "", String::new()),
        visitor(
            "anon",
            "anon with the public key",
            ANON,
            "",
            r#"{"role":"anon"}"#.to_owned(),
        ),
        visitor(
            "authenticated",
            "authenticated without an identity",
            STRANGER,
            "",
            r#"{"role":"authenticated"}"#.to_owned(),
        ),
        visitor(
            "authenticated",
            "authenticated as an unknown person",
            STRANGER,
            &stranger,
            format!(r#"{{"role":"authenticated","sub":"{stranger}"}}"#),
        ),
    ]
}

/// What a role could touch at all, and what stands before it.
struct Target {
    object: String,
    name: String,
    kind: Kind,
    comment: Option<String>,
    role: String,
    reaches_out: bool,
    updatable: i32,
    /// For reading, inserting, updating and deleting: whether there is a grant, and the policies' expression.
    verbs: [(bool, Option<String>); 4],
    /// What an update may make of a row.
    change: Option<String>,
}

/// What kind of relation it is, as far as rights go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A table without row level security.
    Bare,
    /// A table with it.
    Guarded,
    /// A view that reads with its owner's rights.
    OwnerView,
    /// A view that reads with its reader's rights.
    InvokerView,
}

impl Target {
    fn is_view(&self) -> bool {
        matches!(self.kind, Kind::OwnerView | Kind::InvokerView)
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            object: row.try_get("object")?,
            name: row.try_get("name")?,
            kind: match row.try_get::<String, _>("kind")?.as_str() {
                "v" if row.try_get("invoker")? => Kind::InvokerView,
                "v" => Kind::OwnerView,
                _ if row.try_get("guarded")? => Kind::Guarded,
                _ => Kind::Bare,
            },
            comment: row.try_get("comment")?,
            role: row.try_get("role")?,
            reaches_out: row.try_get("reaches_out")?,
            updatable: row.try_get("updatable")?,
            verbs: [
                (row.try_get("reads")?, row.try_get("read_mask")?),
                (row.try_get("inserts")?, row.try_get("insert_mask")?),
                (row.try_get("updates")?, row.try_get("update_mask")?),
                (row.try_get("deletes")?, row.try_get("delete_mask")?),
            ],
            change: row.try_get("change_mask")?,
        })
    }
}

/// What an attempt brought.
enum Answer {
    /// At least one row.
    Yes,
    /// No row, or a refusal.
    No,
    /// An error that says nothing about rights: its SQLSTATE.
    Unclear(String),
}

/// What is said of a verb on a target.
enum Verdict {
    Shut,
    Open(&'static str),
    Unknown(String),
}

/// Asks as each visitor. Writing is never tried: the policies are asked, about rows that are there and an empty one.
pub(super) async fn ask(
    conn: &mut PgConnection,
    settings: &Settings,
    place: &Place,
    report: &mut Report,
) -> Result<Vec<Seen>, LintError> {
    let targets = targets(conn, place).await?;
    let samples = samples::take(conn, writable_tables(&targets)).await?;
    say_what_is_hidden(conn, report).await?;
    // As a data API sets it: functions of policies may rely on it.
    let path = [
        settings.exposed.as_slice(),
        &["public".to_owned(), "extensions".to_owned()],
    ]
    .concat();
    let mut open: BTreeMap<(&str, usize), Vec<(&str, &str)>> = BTreeMap::new();
    let mut seen = Vec::new();
    for visitor in visitors(settings) {
        sqlx::raw_sql("savepoint visitor").execute(&mut *conn).await?;
        if let Some(refused) = become_(conn, &visitor, &path, report).await? {
            seen.extend(refused);
        } else {
            for (index, target) in targets.iter().enumerate().filter(|(_, t)| t.role == visitor.role) {
                let rows_of_it = samples.get(&target.object);
                let rows = rows_of_it.and_then(|s| s.as_deref().ok()).unwrap_or_default();
                for (verb, code) in visitor.codes.into_iter().enumerate() {
                    let verdict = judge(conn, target, verb, rows, &mut report.probes).await?;
                    match unless_unproven(verdict, target, verb, rows_of_it) {
                        Verdict::Shut => {}
                        Verdict::Open(why) => {
                            open.entry((code, index)).or_default().push((visitor.label, why));
                        }
                        Verdict::Unknown(why) => seen.push(not_checked(
                            &target.object,
                            code,
                            format!("{}: {why}", visitor.label),
                            target,
                        )),
                    }
                }
            }
        }
        sqlx::raw_sql("rollback to savepoint visitor")
            .execute(&mut *conn)
            .await?;
    }
    seen.extend(
        open.into_iter()
            .map(|((code, index), whys)| opened(code, &targets[index], &whys)),
    );
    Ok(seen)
}

/// A verb that no rows were tried with is not known to be shut.
fn unless_unproven(verdict: Verdict, target: &Target, verb: usize, sampled: Option<&Sampled>) -> Verdict {
    match (&verdict, sampled) {
        (Verdict::Shut, Some(Err(code))) if verb > 0 && target.verbs[verb].0 => Verdict::Unknown(format!(
            "its rows could not be read for the attempt: SQLSTATE {code}"
        )),
        _ => verdict,
    }
}

async fn targets(conn: &mut PgConnection, place: &Place) -> Result<Vec<Target>, DbError> {
    sqlx::raw_sql("savepoint looking; set local search_path = ''")
        .execute(&mut *conn)
        .await?;
    let rows = place.query(TARGETS).fetch_all(&mut *conn).await?;
    sqlx::raw_sql("rollback to savepoint looking")
        .execute(conn)
        .await?;
    Ok(rows.iter().map(Target::read).collect::<Result<_, _>>()?)
}

/// Tables that a visitor has a grant to write.
fn writable_tables(targets: &[Target]) -> BTreeSet<&str> {
    let written = |t: &&Target| t.verbs[1..].iter().any(|(granted, _)| *granted);
    let tables = targets.iter().filter(|t| !t.is_view() && !t.reaches_out);
    tables.filter(written).map(|t| t.object.as_str()).collect()
}

async fn say_what_is_hidden(conn: &mut PgConnection, report: &mut Report) -> Result<(), DbError> {
    let sees_all: bool =
        sqlx::query_scalar("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
            .fetch_one(conn)
            .await?;
    if !sees_all {
        report.remarks.push(
            "this login is itself under row level security: policies for writing were asked about an empty row, \
             and about those existing rows that it may see"
                .to_owned(),
        );
    }
    Ok(())
}

/// Goes on as the visitor; what stands in the way otherwise.
async fn become_(
    conn: &mut PgConnection,
    visitor: &Visitor,
    path: &[String],
    report: &mut Report,
) -> Result<Option<Vec<Seen>>, DbError> {
    let exists: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(visitor.role)
        .fetch_one(&mut *conn)
        .await?;
    if !exists {
        let remark = format!("there is no role {}: nobody comes in as it", visitor.role);
        if !report.remarks.contains(&remark) {
            report.remarks.push(remark);
        }
        return Ok(Some(Vec::new()));
    }
    let path: Vec<String> = path
        .iter()
        .map(|schema| format!("\"{}\"", schema.replace('"', "\"\"")))
        .collect();
    let entered = sqlx::query(
        "select set_config('search_path', $1, true), set_config('request.jwt.claims', $2, true),
                set_config('request.jwt.claim.sub', $3, true), set_config('request.jwt.claim.role', '', true),
                set_config('statement_timeout', '2s', true), set_config('role', $4, true)",
    )
    .bind(path.join(", "))
    .bind(&visitor.claims)
    .bind(&visitor.sub)
    .bind(visitor.role)
    .execute(&mut *conn)
    .await;
    match entered {
        Ok(_) => Ok(None),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
            let what = format!("this login may not act as {}", visitor.role);
            Ok(Some(vec![Seen {
                finding: Finding {
                    mend: Some(format!(
                        "grant {} to the login that looks, or look as an administrator",
                        visitor.role
                    )),
                    ..unknown(visitor.role, None, what)
                },
                comment: None,
            }]))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the visitor, as whom `conn` acts, may do `verb` (0 read, 1 insert, 2 update, 3 delete).
async fn judge(
    conn: &mut PgConnection,
    target: &Target,
    verb: usize,
    rows: &[String],
    probes: &mut usize,
) -> Result<Verdict, DbError> {
    let (granted, mask) = &target.verbs[verb];
    if !granted {
        return Ok(Verdict::Shut);
    }
    if target.is_view() && verb > 0 {
        let possible = target.updatable & [0, INSERT, UPDATE, DELETE][verb] != 0;
        // Otherwise the tables below are asked, and they are targets of their own.
        let as_owner = possible && target.kind == Kind::OwnerView;
        return Ok(if as_owner {
            Verdict::Open("through a view, with its owner's rights")
        } else {
            Verdict::Shut
        });
    }
    if target.kind == Kind::Bare {
        return Ok(Verdict::Open("row level security is off"));
    }
    if target.reaches_out {
        return Ok(Verdict::Unknown(
            "not tried: it calls functions that act outside of the transaction".to_owned(),
        ));
    }
    let verdict = any(conn, questions(target, verb, mask.as_deref(), rows), probes).await?;
    if let (2, false, Verdict::Open(_)) = (verb, target.is_view(), &verdict) {
        // The row that an update leaves must pass as well; its writer chooses it.
        let change = questions(target, verb, target.change.as_deref(), rows);
        return Ok(match any(conn, change, probes).await? {
            Verdict::Open(_) => verdict,
            other => other,
        });
    }
    Ok(verdict)
}

/// Whether any of the questions gets a row.
async fn any(
    conn: &mut PgConnection,
    questions: Vec<Question<'_>>,
    probes: &mut usize,
) -> Result<Verdict, DbError> {
    for (sql, row, why) in questions {
        *probes += 1;
        match put(conn, sql, row).await? {
            Answer::Yes => return Ok(Verdict::Open(why)),
            Answer::No => {}
            Answer::Unclear(code) => {
                let why = format!("the attempt ended with SQLSTATE {code}");
                return Ok(Verdict::Unknown(why));
            }
        }
    }
    Ok(Verdict::Shut)
}

/// The statement, the row it is about, what a yes means.
type Question<'r> = (String, Option<&'r str>, &'static str);

/// The questions about one verb, the most telling first.
fn questions<'r>(target: &Target, verb: usize, mask: Option<&str>, rows: &'r [String]) -> Vec<Question<'r>> {
    let mask = mask.unwrap_or("false");
    let (object, alias) = (&target.object, target.name.replace('"', "\"\""));
    let mut questions = Vec::new();
    match verb {
        0 => questions.push((format!("select 1 from {object} limit 1"), None, "a row was read")),
        2 | 3 if target.verbs[0].0 => questions.push((
            format!("select 1 from {object} where ({mask}) limit 1"),
            None,
            "the policies let an existing row through",
        )),
        _ => {}
    }
    if target.is_view() || mask == "false" {
        return questions;
    }
    let of_row = format!(
        "select 1 from jsonb_populate_record(null::{object}, $1::text::jsonb) as \"{alias}\" where ({mask})"
    );
    let of_nothing = format!("select 1 from (select (null::{object}).*) as \"{alias}\" where ({mask})");
    if verb > 0 {
        questions.extend(rows.iter().map(|row| {
            (
                of_row.clone(),
                Some(row.as_str()),
                "the policies let an existing row through",
            )
        }));
    }
    questions.push((of_nothing, None, "the policies let any row through"));
    questions
}

async fn put(conn: &mut PgConnection, sql: String, row: Option<&str>) -> Result<Answer, DbError> {
    sqlx::raw_sql("savepoint asking").execute(&mut *conn).await?;
    // Names come quoted from the catalogue, expressions as PostgreSQL wrote them back.
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    if let Some(row) = row {
        query = query.bind(row);
    }
    let answer = query.fetch_optional(&mut *conn).await;
    sqlx::raw_sql("rollback to savepoint asking")
        .execute(conn)
        .await?;
    match answer {
        Ok(found) => Ok(if found.is_some() { Answer::Yes } else { Answer::No }),
        Err(sqlx::Error::Database(error)) => {
            let code = error.code().unwrap_or_default().into_owned();
            // No right to it, a policy that recurses, or a claim that the policy cannot read: the visitor gets an error.
            let refused = code == "42501" || code == "42P17" || code.starts_with("22");
            Ok(if refused {
                Answer::No
            } else {
                Answer::Unclear(code)
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// Who it was open to, reason by reason.
fn grouped(whys: &[(&str, &str)]) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (who, why) in whys {
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, visitors)) => visitors.push(who),
            None => reasons.push((why, vec![who])),
        }
    }
    let said = reasons
        .iter()
        .map(|(why, who)| format!("{}: {why}", who.join(", ")));
    said.collect::<Vec<_>>().join("; ")
}

fn opened(code: &'static str, target: &Target, whys: &[(&str, &str)]) -> Seen {
    let verb = if code.ends_with("read") {
        "select"
    } else {
        code.rsplit('_').next().unwrap_or_default()
    };
    let mend = if target.kind == Kind::Bare {
        format!(
            "alter table {0} enable row level security;\nalter table {0} force row level security;",
            target.object
        )
    } else {
        format!("revoke {verb} on {} from public, {};", target.object, target.role)
    };
    Seen {
        finding: Finding {
            code,
            severity: rules::Severity::Error,
            object: target.object.clone(),
            part: None,
            what: Some(grouped(whys)),
            mend: Some(mend),
        },
        comment: target.comment.clone(),
    }
}

fn unknown(object: &str, part: Option<String>, what: String) -> Finding {
    Finding {
        code: "not_checked",
        severity: rules::Severity::Unknown,
        object: object.to_owned(),
        part,
        what: Some(what),
        mend: None,
    }
}

fn not_checked(object: &str, code: &str, what: String, target: &Target) -> Seen {
    Seen {
        finding: unknown(object, Some(code.to_owned()), what),
        comment: target.comment.clone(),
    }
}
