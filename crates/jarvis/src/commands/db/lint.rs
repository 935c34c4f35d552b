//! `jarvis db lint`: the holes of a multi-tenant database.

use crate::connection::{self, Urls};
use crate::failure::{Done, WithHint, WrongUse};
use crate::global::Global;
use crate::language::Lang;
use crate::output::Output;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::lint::{self, Allowance, Finding, LintError, Report, Settings, Severity};
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgConnectOptions;
use std::fmt::Write as _;

/// Find the holes through which one tenant, or anybody, reads another's rows.
///
/// Looks at any PostgreSQL 15 or newer: ours, or another's. It only reads, in one transaction that is undone: it acts as a
/// visitor (anon, and authenticated without a known identity) and asks the policies what they would let pass.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  jarvis db lint                                        of this installation
  jarvis db lint --database-url postgres://… --lang fr  of another database, in French
  jarvis db lint --tenant club_id --schema public       with another tenant column
  jarvis db lint --allow stranger_can_read:public.plans accepts one finding; so does @lint-allow(stranger_can_read)
                                                        in the comment of the table, view, function or policy

Exit codes: 0 nothing found, 1 failure, 2 wrong use, 3 findings. Every rule is explained in docs/lint.md.")]
pub struct Arguments {
    /// A schema to look at; may be repeated [default: all but those of PostgreSQL and the platform]
    #[arg(long, value_name = "SCHEMA")]
    schema: Vec<String>,
    /// A schema that a data API exposes; may be repeated
    #[arg(long, value_name = "SCHEMA", default_value = "public")]
    exposed: Vec<String>,
    /// The column that names a row's tenant
    #[arg(long, value_name = "COLUMN", default_value = "gym_id")]
    tenant: String,
    /// There is only one tenant: leave out the rules about tenants
    #[arg(long, conflicts_with = "tenant")]
    no_tenant: bool,
    /// A login of a process that serves requests; may be repeated [default: authenticator, jarvis_login, and that of DATABASE_URL beside JARVIS_ADMIN_DATABASE_URL]
    #[arg(long, value_name = "ROLE")]
    login: Vec<String>,
    /// A finding that was judged and accepted, as CODE or CODE:OBJECT; may be repeated
    #[arg(long, value_name = "CODE[:OBJECT]")]
    allow: Vec<Allowance>,
    /// The language of explanations [default: that of LC_ALL or LANG, else fr; with --json en]
    #[arg(long)]
    lang: Option<Lang>,
}

/// A finding with its explanation.
#[derive(serde::Serialize)]
struct Explained<'r> {
    #[serde(flatten)]
    finding: &'r Finding,
    title: &'static str,
    danger: &'static str,
}

#[derive(serde::Serialize)]
struct View<'r> {
    schemas: &'r [String],
    relations: i64,
    probes: usize,
    findings: Vec<Explained<'r>>,
    allowed: &'r [Finding],
    remarks: &'r [String],
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let urls = connection::urls(global)?;
    let lang = if out.is_json() {
        arguments.lang.unwrap_or(Lang::En)
    } else {
        Lang::or_of_surroundings(arguments.lang)
    };
    let mut conn = connection::admin(&urls).await.map_err(cannot_look)?;
    let settings = settings(arguments, &urls)?;
    let report = lint::run(&mut conn, &settings).await.map_err(refused)?;
    let view = View {
        schemas: &report.schemas,
        relations: report.relations,
        probes: report.probes,
        findings: report.findings.iter().map(|f| explained(f, lang)).collect(),
        allowed: &report.allowed,
        remarks: &report.remarks,
    };
    out.data(&view, |_| describe(&report, lang))?;
    Ok(if report.findings.is_empty() {
        Done::Ok
    } else {
        Done::Findings
    })
}

/// What the arguments ask for.
fn settings(arguments: Arguments, urls: &Urls) -> anyhow::Result<Settings> {
    let stranger = jarvis_core::ids::uuid_v7(SystemClock.now());
    let mut settings = Settings::new(stranger);
    settings.schemas = arguments.schema;
    settings.exposed = arguments.exposed;
    settings.tenant = (!arguments.no_tenant).then_some(arguments.tenant);
    settings.allowed = arguments.allow;
    if arguments.login.is_empty() {
        settings.logins.extend(serving_login(urls)?);
    } else {
        settings.logins = arguments.login;
    }
    Ok(settings)
}

/// The login that serves, when another one looks.
pub fn serving_login(urls: &Urls) -> anyhow::Result<Option<String>> {
    let user = |url: &str| {
        url.parse::<PgConnectOptions>()
            .map(|o| o.get_username().to_owned())
    };
    let (admin, login) = (
        user(urls.admin.expose_secret())?,
        user(urls.login.expose_secret())?,
    );
    Ok((admin != login).then_some(login))
}

fn cannot_look(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<WithHint>() {
        Some(refused) => WrongUse(format!(
            "{}; looking takes a login of this database that may act as anon and authenticated: its owner or an administrator",
            refused.problem
        ))
        .into(),
        None => error,
    }
}

fn refused(error: LintError) -> anyhow::Error {
    match error {
        LintError::Database(error) => error.into(),
        other => match other.hint() {
            Some(hint) => WrongUse(format!("{other}; {hint}")).into(),
            None => WrongUse(other.to_string()).into(),
        },
    }
}

fn explained(finding: &Finding, lang: Lang) -> Explained<'_> {
    let rule = lint::rule(finding.code);
    Explained {
        finding,
        title: rule.map_or("", |rule| lang.of(rule.title)),
        danger: rule.map_or("", |rule| lang.of(rule.danger)),
    }
}

/// Rule by rule: what is wrong, what somebody gets from it, where, and what mends it.
fn describe(report: &Report, lang: Lang) -> String {
    let mut text = String::new();
    for rule in &lint::RULES {
        let of_rule: Vec<_> = report.findings.iter().filter(|f| f.code == rule.code).collect();
        if of_rule.is_empty() {
            continue;
        }
        let mark = if rule.severity == Severity::Error {
            '✗'
        } else {
            '!'
        };
        writeln!(
            text,
            "{mark} {} ({}): {}",
            lang.of(rule.title),
            of_rule.len(),
            rule.code
        )
        .expect("a text grows");
        writeln!(text, "  {}", lang.of(rule.danger)).expect("a text grows");
        for finding in of_rule {
            text.push_str(&place(finding));
        }
        text.push('\n');
    }
    for remark in &report.remarks {
        writeln!(text, "· {remark}").expect("a text grows");
    }
    text + &sum(report, lang)
}

fn place(finding: &Finding) -> String {
    let part = finding
        .part
        .as_ref()
        .map(|part| format!(" \"{part}\""))
        .unwrap_or_default();
    let what = finding
        .what
        .as_ref()
        .map(|what| format!(": {what}"))
        .unwrap_or_default();
    let mend = finding
        .mend
        .iter()
        .flat_map(|mend| mend.lines())
        .fold(String::new(), |mut lines, line| {
            writeln!(lines, "        {line}").expect("a text grows");
            lines
        });
    format!("    {}{part}{what}\n{mend}", finding.object)
}

fn sum(report: &Report, lang: Lang) -> String {
    let (found, allowed) = (report.findings.len(), report.allowed.len());
    let (relations, probes) = (report.relations, report.probes);
    match (lang, found) {
        (Lang::Fr, 0) => format!(
            "✓ aucun constat ({relations} tables et vues, {probes} questions de visiteur, {allowed} acceptés)"
        ),
        (Lang::En, 0) => format!(
            "✓ nothing found ({relations} tables and views, {probes} questions of a visitor, {allowed} accepted)"
        ),
        (Lang::Fr, _) => format!(
            "constats : {found} ({relations} tables et vues, {probes} questions de visiteur, {allowed} acceptés)"
        ),
        (Lang::En, _) => format!(
            "findings: {found} ({relations} tables and views, {probes} questions of a visitor, {allowed} accepted)"
        ),
    }
}
