//! Stating, correcting, ending and forgetting facts.

use super::{At, read};
use crate::commands::member::kept_exports;
use crate::connection;
use crate::failure::{Done, WrongUse};
use crate::global::Global;
use crate::output::Output;
use crate::wiring;
use anyhow::Context as _;
use jarvis_core::{Clock as _, FactId, Scope, SystemClock};
use jarvis_db::queries::fact::person::OwnedFact;
use jarvis_memory::facts::{self, Change, StateFact};
use serde_json::json;

pub(super) async fn set(
    global: &Global,
    out: Output,
    member: &str,
    new: &StateFact,
    at: &At,
) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let id = connection::find_member(&desk, member).await?;
    let memory = wiring::memory_without_model(desk.db.clone());
    let stored = facts::state(&memory, &desk.scope, id, new).await?;
    tell(out, "stored", &stored)
}

pub(super) async fn confirm(global: &Global, out: Output, id: FactId, at: &At) -> anyhow::Result<Done> {
    change(global, out, (id, Change::Confirm), "confirmed", at).await
}

pub(super) async fn correct(
    global: &Global,
    out: Output,
    id: FactId,
    (value, confidence): (serde_json::Value, f64),
    at: &At,
) -> anyhow::Result<Done> {
    change(
        global,
        out,
        (id, Change::Correct(value, confidence)),
        "corrected",
        at,
    )
    .await
}

pub(super) async fn retire(global: &Global, out: Output, id: FactId, at: &At) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    if !read::find(&desk, id).await?.fact.is_active {
        return Err(WrongUse(format!(
            "fact {id} is retired already; see `jarvis fact show {id}`"
        ))
        .into());
    }
    let memory = wiring::memory_without_model(desk.db.clone());
    facts::change(&memory, &desk.scope, id, &Change::Retire).await?;
    out.data(&json!({"retired": id}), |_| format!("retired {id}"))?;
    Ok(Done::Ok)
}

async fn change(
    global: &Global,
    out: Output,
    (id, change): (FactId, Change),
    word: &str,
    at: &At,
) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    read::find(&desk, id).await?;
    let memory = wiring::memory_without_model(desk.db.clone());
    let stored = facts::change(&memory, &desk.scope, id, &change).await?;
    tell(out, word, &stored)
}

fn tell(out: Output, word: &str, stored: &OwnedFact) -> anyhow::Result<Done> {
    let now = SystemClock.now();
    out.data(&read::told_owned(stored, now), |_| {
        let fact = &stored.fact;
        format!("{word} {}/{}  {}", fact.category.as_str(), fact.fact_key, fact.id)
    })?;
    Ok(Done::Ok)
}

pub(super) async fn forget(
    global: &Global,
    out: Output,
    id: FactId,
    yes: bool,
    at: &At,
) -> anyhow::Result<Done> {
    let desk = connection::desk(global, at.gym()).await?;
    let owned = read::find(&desk, id).await?;
    if !yes {
        let fact = &owned.fact;
        return Err(WrongUse(format!(
            "this would forget {}/{} with its history, the words it came from and what was made of them, for good; \
             add --yes to do it, or `jarvis fact retire {id}` to end it and keep its history",
            fact.category.as_str(),
            fact.fact_key
        ))
        .into());
    }
    let memory = wiring::memory_without_model(desk.db.clone());
    let scope = Scope::gym(desk.gym, jarvis_core::Actor::Operator);
    let forgotten = facts::forget(&memory, &scope, desk.gym, id).await?;
    let exports = kept_exports::drop_outdated(&connection::home(global)?, &memory).await;
    out.data(&forgotten, |f| {
        format!(
            "forgot {id}: {} facts, words of {} turns; {} conversations are made into memory again without it\n\
             Backups made before keep it until they are pruned: see `jarvis backup list`.",
            f.facts,
            f.turns,
            f.sessions.len()
        )
    })?;
    exports
        .context("the fact is forgotten, and an export that tells it is still there: remove it by hand")?;
    Ok(Done::Ok)
}

pub(super) async fn tend(global: &Global, out: Output) -> anyhow::Result<Done> {
    let db = connection::db(&connection::urls(global)?).await?;
    let memory = wiring::memory_without_model(db);
    wiring::clocks_agree(&memory).await?;
    let done = facts::tend(&memory).await?;
    out.data(&done, |d| {
        format!(
            "{} injuries told to their gyms, {} alerts settled, {} facts purged",
            d.alerted, d.settled, d.purged
        )
    })?;
    Ok(Done::Ok)
}
