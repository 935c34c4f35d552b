//! `jarvis doctor`: nothing lost, nothing stuck, nothing invented.

use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::Output;
use chrono::TimeDelta;
use jarvis_core::{Clock as _, SystemClock};
use jarvis_db::queries::invariant::{self, BrokenSession};
use sqlx::PgConnection;

/// Check on live data: a closed session with a user turn has its events, exactly one summary with an embedding,
/// and recall can find it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 0 when all is well, 3 on a finding. Each finding says how to mend it.")]
pub struct Arguments {}

/// A promise that is broken, or a fact worth knowing.
#[derive(Debug, serde::Serialize)]
struct Finding {
    code: &'static str,
    what: &'static str,
    mend: &'static str,
    sessions: Vec<BrokenSession>,
}

#[derive(Debug, serde::Serialize)]
struct Report {
    findings: Vec<Finding>,
    facts_without_evidence: i64,
    refused_writes: Vec<(String, i64)>,
}

/// A closed session should be memory within this time.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);

/// Runs the command.
pub async fn run(global: &Global, out: Output, _arguments: Arguments) -> anyhow::Result<Done> {
    let mut conn = connection::admin(&connection::urls(global)?).await?;
    let findings = findings(&mut conn).await?;
    let facts_without_evidence = invariant::facts_without_evidence(&mut conn).await?;
    let refused_writes = invariant::refusals(&mut conn).await?;
    let report = Report {
        findings,
        facts_without_evidence,
        refused_writes,
    };
    let clean = report.findings.is_empty() && report.facts_without_evidence == 0;
    out.data(&report, describe)?;
    Ok(if clean { Done::Ok } else { Done::Findings })
}

async fn findings(conn: &mut PgConnection) -> anyhow::Result<Vec<Finding>> {
    let now = SystemClock.now();
    let all = [
        Finding {
            code: "memory_missing",
            what: "processed, but without summary or embedding",
            mend: "see that the embedding weights are there (/readyz), then: jarvis session reprocess ID",
            sessions: invariant::processed_without_memory(conn).await?,
        },
        Finding {
            code: "memory_unsearchable",
            what: "summaries that recall cannot see",
            mend: "jarvis session reprocess ID",
            sessions: invariant::unsearchable_summaries(conn).await?,
        },
        Finding {
            code: "empty_with_words",
            what: "ended empty although the member spoke",
            mend: "jarvis session reprocess ID",
            sessions: invariant::empty_with_user_turns(conn).await?,
        },
        Finding {
            code: "processing_failed",
            what: "processing gave up",
            mend: "jarvis session show ID tells why; then: jarvis session reprocess ID",
            sessions: invariant::failed(conn).await?,
        },
        Finding {
            code: "processing_late",
            what: "closed for more than 15 minutes and not processed",
            mend: "is a worker running? start `jarvis worker`",
            sessions: invariant::waiting_since(conn, now - PATIENCE).await?,
        },
        Finding {
            code: "session_orphaned",
            what: "open without a sign of life for more than 30 minutes",
            mend: "is a worker running? start `jarvis worker`; it closes orphans every minute",
            sessions: invariant::open_since(conn, now - PATIENCE * 2).await?,
        },
    ];
    Ok(all.into_iter().filter(|f| !f.sessions.is_empty()).collect())
}

fn describe(report: &Report) -> String {
    let mut lines = Vec::new();
    for finding in &report.findings {
        lines.push(format!(
            "✗ {} ({}): {}",
            finding.what,
            finding.sessions.len(),
            finding.code
        ));
        let shown = finding.sessions.iter().take(5);
        lines.extend(shown.map(|s| format!("    {}  {}", s.gym, s.session_id)));
        lines.push(format!("    mend: {}", finding.mend));
    }
    if report.facts_without_evidence > 0 {
        lines.push(format!(
            "✗ facts whose evidence is not the member's own turn: {}",
            report.facts_without_evidence
        ));
        lines.push("    mend: jarvis fact retire ID, after looking at jarvis fact history MEMBER".to_owned());
    }
    for (code, count) in &report.refused_writes {
        lines.push(format!("· refused writes of facts, {code}: {count}"));
    }
    if report.findings.is_empty() && report.facts_without_evidence == 0 {
        lines.push("✓ every closed session is memory, and every memory can be found".to_owned());
    }
    lines.join("\n")
}
