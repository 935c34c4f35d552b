//! `jarvis session`: conversations and what became of them.

use crate::connection;
use crate::failure::Done;
use crate::global::Global;
use crate::output::{Output, table};
use crate::wiring;
use jarvis_core::{SessionId, SessionState};
use jarvis_db::queries::audit::Read;
use jarvis_db::queries::session::{self, SessionFilter};
use jarvis_memory::privacy;
use jarvis_memory::sessions::{self, SessionDetail};

/// Conversations and what became of them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List sessions, newest first
    List {
        /// Only those in this state: open, closing, processed, empty, failed
        #[arg(long, value_parser = |s: &str| s.parse::<SessionState>())]
        state: Option<SessionState>,
        /// Only those of this member, by id or badge
        #[arg(long)]
        member: Option<String>,
        /// Only those with this note, such as injection_quarantined
        #[arg(long, value_name = "CODE")]
        note: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Show a session with its facts and summary
    Show {
        /// The session's id
        session: SessionId,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
    /// Make the memory of an ended session again
    Reprocess {
        /// The session's id
        session: SessionId,
        /// The gym, by slug or id
        #[arg(long)]
        gym: Option<String>,
    },
}

/// Runs the command.
pub async fn run(global: &Global, out: Output, command: Command) -> anyhow::Result<Done> {
    match command {
        Command::List {
            state,
            member,
            note,
            limit,
            gym,
        } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let member = match member {
                Some(member) => Some(connection::find_member(&desk, &member).await?),
                None => None,
            };
            let mut tx = desk.db.begin(&desk.scope).await?;
            let found = session::list(
                &mut tx,
                desk.gym,
                SessionFilter {
                    note: note.as_deref(),
                    state,
                    member,
                    limit,
                },
            )
            .await?;
            out.data(&found, |found| {
                let rows = found.iter().map(|s| {
                    let why = s
                        .last_error
                        .clone()
                        .or_else(|| s.state_reason.clone())
                        .unwrap_or_default();
                    let id = s.session_id.to_string();
                    [
                        s.started_at.format("%F %T").to_string(),
                        s.state.as_str().to_owned(),
                        why,
                        id,
                    ]
                });
                table(["started (UTC)", "state", "why", "id"], rows)
            })?;
        }
        Command::Show { session, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let memory = wiring::memory_without_model(desk.db.clone());
            let detail = sessions::get(&memory, &desk.scope, &session).await?;
            let (member, of) = (detail.session.member_id, Some(session.as_str()));
            privacy::note_read(&memory, &desk.scope, desk.gym, member, Read::Transcript, of).await?;
            out.data(&detail, describe)?;
        }
        Command::Reprocess { session, gym } => {
            let desk = connection::desk(global, gym.as_deref()).await?;
            let memory = wiring::memory_without_model(desk.db.clone());
            sessions::reprocess(&memory, desk.gym, &desk.scope, &session).await?;
            out.data(
                &serde_json::json!({"session_id": session, "state": "closing"}),
                |_| format!("enqueued; see `jarvis session show {session}`"),
            )?;
        }
    }
    Ok(Done::Ok)
}

fn describe(detail: &SessionDetail) -> String {
    let s = &detail.session;
    let mut lines = vec![
        format!("session   {}", s.session_id),
        format!("member    {}", s.member_id),
        format!(
            "started   {}  ({}, {})",
            s.started_at.format("%F %T"),
            s.channel.as_str(),
            s.language
        ),
        format!(
            "state     {}  {}",
            s.state.as_str(),
            s.state_reason.as_deref().unwrap_or_default()
        ),
        format!(
            "events    {} ({} user turns)",
            detail.events.events, detail.events.user_turns
        ),
    ];
    if !s.notes.is_empty() {
        lines.push(format!("notes     {}", s.notes.join(", ")));
    }
    if let Some(error) = &s.last_error {
        lines.push(format!("error     {error} (try {})", s.attempts));
    }
    if let Some(extractor) = &s.extractor {
        lines.push(format!("extractor {extractor}"));
    }
    if let Some(reason) = &s.degraded_reason {
        lines.push(format!(
            "degraded  {reason}: the rules read it instead of a model"
        ));
    }
    if let Some(summary) = &detail.summary {
        lines.push(format!("\n{}", summary.summary_text));
    }
    for fact in &detail.facts {
        let quote = fact.source_quote.as_deref().unwrap_or_default();
        lines.push(format!(
            "- {}/{} {:.2} « {quote} »",
            fact.category.as_str(),
            fact.fact_key,
            fact.confidence
        ));
    }
    lines.join("\n")
}
