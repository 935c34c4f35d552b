//! Proposals to merge facts.

use super::{At, read};
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::{Output, table};
use crate::wiring;
use chrono::{DateTime, Utc};
use jarvis_core::{Clock as _, FactId, SystemClock};
use jarvis_db::queries::fact::proposal::{self, Proposal};
use jarvis_memory::facts::{self, Decision};
use serde_json::{Value, json};
use uuid::Uuid;

fn told(proposal: &Proposal, now: DateTime<Utc>) -> Value {
    let facts: Vec<Value> = proposal.facts.iter().map(|f| read::told_owned(f, now)).collect();
    let mut value = json!(proposal);
    if let Value::Object(fields) = &mut value {
        fields.insert("facts".to_owned(), json!(facts));
    }
    value
}

pub(super) async fn proposals(
    global: &Global,
    out: Output,
    member: Option<&str>,
    limit: i64,
    at: &At,
) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let member = match member {
        Some(member) => Some(connection::find_member(&desk, member).await?),
        None => None,
    };
    let now = SystemClock.now();
    let memory = wiring::memory_without_model(desk.db.clone());
    let found = facts::read::proposals(&memory, &desk.scope, desk.gym, member, limit).await?;
    let data: Vec<Value> = found.iter().map(|p| told(p, now)).collect();
    out.data(&data, |_| {
        if found.is_empty() {
            return "no merge is proposed".to_owned();
        }
        let rows = found.iter().map(|p| {
            let keys: Vec<_> = p.facts.iter().map(|f| f.fact.fact_key.as_str()).collect();
            let category = p
                .facts
                .first()
                .map(|f| f.fact.category.as_str())
                .unwrap_or_default();
            [
                category.to_owned(),
                keys.join(" = "),
                p.reason.clone(),
                p.member_id.to_string(),
                p.id.to_string(),
            ]
        });
        table(["category", "are these one?", "why", "member", "proposal"], rows)
    })?;
    Ok(Done::Ok)
}

pub(super) async fn accept(
    global: &Global,
    out: Output,
    id: Uuid,
    keep: Option<FactId>,
    at: &At,
) -> anyhow::Result<Done> {
    decide(global, out, (id, Decision::Accept { keep }), at).await
}

pub(super) async fn reject(global: &Global, out: Output, id: Uuid, at: &At) -> anyhow::Result<Done> {
    decide(global, out, (id, Decision::Reject), at).await
}

async fn decide(
    global: &Global,
    out: Output,
    (id, decision): (Uuid, Decision),
    at: &At,
) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let mut tx = desk.db.begin(&desk.scope).await?;
    let known = proposal::find(&mut tx, desk.gym, id).await?;
    drop(tx);
    let known = known.ok_or_else(|| {
        WrongUse(format!(
            "this gym has no proposal {id}; see `jarvis fact proposals`"
        ))
    })?;
    if known.state != "pending" {
        return Err(WrongUse(format!("proposal {id} was {} before", known.state)).into());
    }
    let memory = wiring::memory_without_model(desk.db.clone());
    let decided = facts::decide(&memory, &desk.scope, desk.gym, id, decision).await?;
    out.data(&told(&decided, SystemClock.now()), |_| {
        let lines: Vec<String> = decided
            .facts
            .iter()
            .map(|f| {
                let state = if f.fact.is_active { "stays" } else { "retired" };
                format!("{state}  {}  {}", f.fact.id, f.fact.fact_key)
            })
            .collect();
        format!("{}\n{}", decided.state, lines.join("\n"))
    })?;
    Ok(Done::Ok)
}
