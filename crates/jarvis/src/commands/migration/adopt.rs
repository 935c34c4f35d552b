use super::Stated;
use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, spinner, table};
use jarvis_db::migrations::Source;
use jarvis_db::migrations::adopt::{Adopted, AdoptionSettings, Badges, Finding, Severity, Verdict, adopt};

/// How the earlier schema is taken over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --yes it is rehearsed and rolled back: the plan is what would happen. The tables are locked meanwhile.
Exit code 0 when it works, 3 when something must be done first; then nothing is changed.
Example:
  jarvis migration adopt
  jarvis migration adopt --yes --consent imported:memory,voice")]
pub struct Arguments {
    /// Do it, in one transaction
    #[arg(long)]
    yes: bool,
    /// What the members agreed to before, as you state it: imported:PURPOSE,… (voice, memory, health_memory,
    /// profiling, share_with_staff); an answer on record is never overridden
    #[arg(long, value_name = "imported:PURPOSE,…")]
    consent: Option<Stated>,
    /// What to do with members of a gym whose badges differ in case or spaces alone
    #[arg(long, value_enum, default_value_t = SettleBadges::Refuse)]
    settle_badges: SettleBadges,
    /// The model that made the embeddings found
    #[arg(long, default_value = "text-embedding-3-small", value_name = "MODEL")]
    embedding_model: String,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SettleBadges {
    /// Stop, and name them
    Refuse,
    /// All but one get a suffix
    Suffix,
}

pub(super) async fn run(global: &Global, out: Output, arguments: Arguments) -> anyhow::Result<Done> {
    let settings = AdoptionSettings {
        embedding_model: arguments.embedding_model,
        consents: arguments.consent.map(|c| c.0).unwrap_or_default(),
        badges: match arguments.settle_badges {
            SettleBadges::Refuse => Badges::Refuse,
            SettleBadges::Suffix => Badges::Suffix,
        },
    };
    let bar = spinner("begins");
    let url = connection::urls(global)?.admin;
    let progress = |what: &'static str| bar.set_message(what);
    let adopted = adopt(&url, Source::embedded(), &settings, arguments.yes, &progress).await;
    bar.finish_and_clear();
    let adopted = adopted?;
    out.data(&adopted, |a| describe(a, arguments.yes))?;
    Ok(if adopted.is_blocked() {
        Done::Findings
    } else {
        Done::Ok
    })
}

fn describe(adopted: &Adopted, for_good: bool) -> String {
    let mut parts = Vec::new();
    let blocking = of(&adopted.findings, Severity::Blocking);
    if !blocking.is_empty() {
        parts.push(format!("TO DO FIRST\n{}", blocking.join("\n")));
    }
    for (title, severity) in [("SETTLED", Severity::Settled), ("NOTED", Severity::Note)] {
        let lines = of(&adopted.findings, severity);
        if !lines.is_empty() {
            parts.push(format!("{title}\n{}", lines.join("\n")));
        }
    }
    let rows = adopted.tables.iter().map(|t| {
        [
            t.table.clone(),
            t.found.to_string(),
            t.kept.to_string(),
            t.held.to_string(),
            t.changed.to_string(),
        ]
    });
    if !adopted.is_blocked() {
        parts.push(table(["rows of", "found", "kept", "set aside", "changed"], rows));
    }
    parts.push(last_words(adopted, for_good));
    parts.join("\n\n")
}

fn of(findings: &[Finding], severity: Severity) -> Vec<String> {
    let mark = match severity {
        Severity::Blocking => "✗",
        Severity::Settled => "✓",
        Severity::Note => "·",
    };
    findings
        .iter()
        .filter(|f| f.severity == severity)
        .map(|f| {
            let rows = f.rows.map(|n| format!(" ({n})")).unwrap_or_default();
            let detail = f.detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default();
            format!(
                "{mark} {} {}{rows}{detail}\n    → {}",
                f.code, f.place, f.settlement
            )
        })
        .collect()
}

fn last_words(adopted: &Adopted, for_good: bool) -> String {
    let consents = match adopted.consents {
        0 => String::new(),
        n => format!(" {n} lines of consent."),
    };
    match adopted.verdict {
        Verdict::Planned => format!(
            "this is a plan: it was carried out and rolled back in {} ms.{consents} Make a backup, stop what writes, \
             then repeat with --yes",
            adopted.locked_ms
        ),
        Verdict::Blocked => "nothing was changed: do what is said above first".to_owned(),
        Verdict::Adopted => format!("adopted in {} ms; no row was lost.{consents}", adopted.locked_ms),
        Verdict::AlreadyAdopted if adopted.consents > 0 && !for_good => {
            format!("adopted already. Would write:{consents} Repeat with --yes")
        }
        Verdict::AlreadyAdopted if adopted.consents > 0 => format!("adopted already. Written:{consents}"),
        Verdict::AlreadyAdopted => "adopted already; nothing was changed".to_owned(),
    }
}
