//! `jarvis doctor`: nothing lost, nothing stuck, nothing invented, nothing open.

mod checks;
mod kinds;

use crate::commands::backup;
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::language::Lang;
use crate::output::{Output, table};
use chrono::TimeDelta;
use jarvis_db::lint::{self, Severity};
use jarvis_db::queries::invariant::{self, BrokenSession};
use kinds::{KINDS, Kind};
use std::fmt::Write as _;

/// Check on live data that nothing was lost: conversations, jobs, isolation, schema, the machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  jarvis doctor                       everything; each finding with its cause and its mend
  jarvis doctor --lang en             in English
  jarvis doctor explain jobs_dead     what a finding means
  jarvis doctor explain               every finding there is

Exit code 0 when all is well, 3 on a finding.")]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The language of explanations [default: that of LC_ALL or LANG, else fr; with --json en]
    #[arg(long)]
    lang: Option<Lang>,
    /// Warn when the data folder has less room than this, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 1000)]
    min_free: u64,
    /// Warn when the newest backup is older than this, in hours
    #[arg(long, value_name = "HOURS", default_value_t = 36)]
    max_backup_age: u32,
}

/// What else doctor does.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What a finding of `jarvis doctor` or `jarvis db lint` means, where it comes from, and how to mend it
    Explain {
        /// The finding's code; without it, all codes
        code: Option<String>,
        /// The language [default: that of LC_ALL or LANG, else fr; with --json en]
        #[arg(long)]
        lang: Option<Lang>,
    },
}

/// Something that was found, before it is put into words.
#[derive(Debug)]
struct Finding {
    kind: &'static Kind,
    sessions: Vec<BrokenSession>,
    examples: Vec<String>,
}

impl Finding {
    fn about(code: &str, examples: Vec<String>) -> Self {
        Self {
            kind: kinds::kind(code).expect("every check has its kind"),
            sessions: Vec::new(),
            examples,
        }
    }

    fn of_sessions(code: &str, sessions: Vec<BrokenSession>) -> Self {
        Self {
            sessions,
            ..Self::about(code, Vec::new())
        }
    }

    fn count(&self) -> usize {
        self.sessions.len().max(self.examples.len())
    }
}

/// A finding in one language.
#[derive(Debug, serde::Serialize)]
struct View {
    code: &'static str,
    severity: Severity,
    count: usize,
    what: &'static str,
    meaning: &'static str,
    cause: &'static str,
    mend: &'static str,
    sessions: Vec<BrokenSession>,
    examples: Vec<String>,
}

#[derive(Debug, serde::Serialize)]
struct Report {
    findings: Vec<View>,
    /// What does not count as a finding, but is worth knowing.
    notes: Vec<View>,
    facts_without_evidence: i64,
    refused_writes: Vec<(String, i64)>,
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    if let Some(Command::Explain { code, lang }) = arguments.command {
        return explain(out, code.as_deref(), language(out, lang));
    }
    let report = examine(global, &arguments, language(out, arguments.lang)).await?;
    let lang = Lang::or_of_surroundings(arguments.lang);
    let clean = report.findings.is_empty();
    out.data(&report, |report| describe(report, lang))?;
    Ok(if clean { Done::Ok } else { Done::Findings })
}

/// Machines read the same whatever the terminal speaks.
fn language(out: Output, asked: Option<Lang>) -> Lang {
    if out.is_json() {
        asked.unwrap_or(Lang::En)
    } else {
        Lang::or_of_surroundings(asked)
    }
}

async fn examine(global: &Global, arguments: &Arguments, lang: Lang) -> anyhow::Result<Report> {
    let urls = connection::urls(global)?;
    let mut conn = connection::admin(&urls).await?;
    let mut found = checks::schema(&urls, &mut conn).await?;
    let fits = found
        .iter()
        .all(|f| f.count() == 0 || f.kind.code == "migrations_unknown");
    let (mut facts_without_evidence, mut refused_writes) = (0, Vec::new());
    if fits {
        found.extend(checks::sessions(&mut conn).await?);
        found.extend(checks::models(&mut conn).await?);
        found.extend(checks::jobs(&mut conn).await?);
        found.extend(checks::isolation(&urls, &mut conn).await?);
        if found[1].count() == 0 {
            found.push(checks::login(&urls).await?);
        }
        facts_without_evidence = invariant::facts_without_evidence(&mut conn).await?;
        let count = (facts_without_evidence > 0).then(|| facts_without_evidence.to_string());
        found.push(Finding::about(
            "facts_without_evidence",
            count.into_iter().collect(),
        ));
        refused_writes = invariant::refusals(&mut conn).await?;
    }
    let home = connection::home(global)?;
    found.extend(checks::machine(&mut conn, &home, arguments.min_free).await?);
    let patience = TimeDelta::hours(arguments.max_backup_age.into());
    found.extend(checks::backups(&mut conn, &backup::default_folder(global)?, patience).await?);
    found.retain(|finding| finding.count() > 0);
    let place = |finding: &Finding| KINDS.iter().position(|kind| std::ptr::eq(kind, finding.kind));
    found.sort_by_key(place);
    let (notes, findings): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|f| f.kind.severity == Severity::Unknown);
    let in_words = |found: Vec<Finding>| found.into_iter().map(|finding| view(finding, lang)).collect();
    Ok(Report {
        findings: in_words(findings),
        notes: in_words(notes),
        facts_without_evidence,
        refused_writes,
    })
}

fn view(finding: Finding, lang: Lang) -> View {
    let kind = finding.kind;
    let count = match kind.code {
        "facts_without_evidence" => finding.examples.first().and_then(|n| n.parse().ok()).unwrap_or(1),
        _ => finding.count(),
    };
    View {
        code: kind.code,
        severity: kind.severity,
        count,
        what: lang.of(kind.what),
        meaning: lang.of(kind.meaning),
        cause: lang.of(kind.cause),
        mend: lang.of(kind.mend),
        sessions: finding.sessions,
        examples: finding.examples,
    }
}

/// Examples of one finding that are shown to people; with `--json` all are.
const SHOWN: usize = 5;

fn describe(report: &Report, lang: Lang) -> String {
    let mut text = String::new();
    let [cause, mend, more, refused, clean] = match lang {
        Lang::Fr => [
            "cause probable",
            "remède",
            "de plus (--json les montre)",
            "écritures de faits refusées",
            "✓ chaque conversation close est mémoire, chaque mémoire se retrouve, rien n'attend et rien n'est ouvert",
        ],
        Lang::En => [
            "likely cause",
            "mend",
            "more (--json shows them)",
            "refused writes of facts",
            "✓ every closed session is memory, every memory can be found, nothing waits and nothing is open",
        ],
    };
    for (mark, finding) in report
        .findings
        .iter()
        .map(|f| ('✗', f))
        .chain(report.notes.iter().map(|f| ('·', f)))
    {
        writeln!(
            text,
            "{mark} {} ({}): {}",
            finding.what, finding.count, finding.code
        )
        .expect("a text grows");
        writeln!(text, "    {}", finding.meaning).expect("a text grows");
        let sessions = finding
            .sessions
            .iter()
            .map(|s| format!("{}  {}", s.gym, s.session_id));
        let lines: Vec<_> = sessions.chain(finding.examples.iter().cloned()).collect();
        for line in lines.iter().take(SHOWN) {
            writeln!(text, "      {line}").expect("a text grows");
        }
        if lines.len() > SHOWN {
            writeln!(text, "      + {} {more}", lines.len() - SHOWN).expect("a text grows");
        }
        writeln!(
            text,
            "    {cause}: {}\n    {mend}: {}",
            finding.cause, finding.mend
        )
        .expect("a text grows");
    }
    for (code, count) in &report.refused_writes {
        writeln!(text, "· {refused}, {code}: {count}").expect("a text grows");
    }
    if report.findings.is_empty() {
        text.push_str(clean);
    }
    text
}

/// One finding's page, of doctor or of lint; or the list of all.
fn explain(out: Output, code: Option<&str>, lang: Lang) -> anyhow::Result<Done> {
    let Some(code) = code else {
        let doctor = KINDS.iter().map(|kind| (kind.code, lang.of(kind.what)));
        let all: Vec<_> = doctor
            .chain(lint::RULES.iter().map(|rule| (rule.code, lang.of(rule.title))))
            .collect();
        out.data(&all, |all| {
            let header = match lang {
                Lang::Fr => ["code", "constat"],
                Lang::En => ["code", "finding"],
            };
            table(
                header,
                all.iter()
                    .map(|(code, what)| [(*code).to_owned(), (*what).to_owned()]),
            )
        })?;
        return Ok(Done::Ok);
    };
    if let Some(kind) = kinds::kind(code) {
        let page = serde_json::json!({
            "code": kind.code, "severity": kind.severity, "what": lang.of(kind.what), "meaning": lang.of(kind.meaning),
            "cause": lang.of(kind.cause), "mend": lang.of(kind.mend)
        });
        out.data(&page, |_| kind.page(lang))?;
        return Ok(Done::Ok);
    }
    let rule = lint::rule(code).ok_or_else(|| {
        WrongUse(format!(
            "there is no finding `{code}`; `jarvis doctor explain` lists them all"
        ))
    })?;
    let page = serde_json::json!({
        "code": rule.code, "severity": rule.severity, "what": lang.of(rule.title), "meaning": lang.of(rule.danger)
    });
    out.data(&page, |_| {
        format!(
            "{}: {}\n\n{}\n\n`jarvis db lint`",
            rule.code,
            lang.of(rule.title),
            lang.of(rule.danger)
        )
    })?;
    Ok(Done::Ok)
}
